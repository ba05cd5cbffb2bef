"""Nodes ask each other for what they need to know, not for what people are shown: that may sort all there is."""

import asyncio

import pytest
from cluster_kit import run

from orion.model.api.tasks import TaskRequest
from orion.model.errors import Unavailable
from orion.node.consensus.position import AskPosition
from orion.node.membership.removed_member import RemovedMember
from orion.node.services.nodes import AskRaftId
from orion.node.services.raft import AskRaft, AskTransfer
from orion.node.views import render
from support.node_requests import decode_request


def worker_of(nodes):
    return next(m for m in nodes.machines if not m.node.driver.is_member)


def requests_of(machine):
    """The types of the calls that it makes from now on, and how long the answers are."""
    asked, call = [], machine.run.peers.call

    async def listen(address, request, *, timeout_s):
        answer = await call(address, request, timeout_s=timeout_s)
        asked.append((type(decode_request(request)), len(answer)))
        return answer

    machine.run.peers.call = listen
    return asked


async def of(machine, work):
    return await asyncio.shield(machine.run.process.spawn(work))


def test_a_write_at_a_worker_asks_a_voter_for_an_index_alone(monkeypatch):
    async def main(nodes):
        worker, service = worker_of(nodes), worker_of(nodes).node.service
        monkeypatch.setattr(render, "raft", lambda *_: pytest.fail("what people are shown was asked for"))
        asked = requests_of(worker)
        await of(worker, service.configs.put("a", b"1", if_version=None, idempotency_key="", timeout_s=5))
        await of(worker, service.configs.delete("a", if_version=None, idempotency_key="", timeout_s=5))
        await of(worker, service.drain("node2", draining=True, timeout_s=5))
        task = await of(
            worker,
            service.create_task(TaskRequest(image="app"), idempotency_key="", timeout_s=5, wait_running_s=0),
        )
        await of(worker, service.delete_task(task.id, timeout_s=5))
        positions = [size for kind, size in asked if kind is AskPosition]
        assert len(positions) == 5
        assert max(positions) < 100
        assert not {kind for kind, _ in asked} & {AskRaft, AskTransfer}

    run(main, count=8, voters=5)


def test_a_removal_at_a_worker_asks_for_one_data_directory():
    async def main(nodes):
        worker = worker_of(nodes)
        machine = next(m for m in nodes.machines if m not in (worker, nodes.leader))
        asked = requests_of(worker)
        assert await of(worker, worker.node.service._nodes.raft_id(machine.name)) == machine.raft
        assert await of(worker, worker.node.service._nodes.raft_id("nobody")) == 0
        assert [kind for kind, _ in asked] == [AskRaftId, AskRaftId]

    run(main, count=8, voters=5)


def test_a_member_that_was_removed_learns_so_from_its_leaders_position():
    async def main(nodes):
        leader = nodes.leader
        leader_seen = leader.node.directory.seen(leader.name)
        for machine in nodes.machines:
            if machine is leader:
                continue
            asked = requests_of(machine)
            driver = machine.node.driver
            exclusion = RemovedMember(
                raft=machine.raft, driver=driver, directory=machine.node.directory, peers=machine.run.peers
            )
            assert not await of(machine, exclusion._is_excluded(leader_seen))
            stranger = RemovedMember(
                raft=77, driver=driver, directory=machine.node.directory, peers=machine.run.peers
            )
            driver.standing = driver.standing.__class__(driver.standing.role, driver.standing.term, 0)
            assert await of(machine, stranger._is_excluded(leader_seen))
            assert {kind for kind, _ in asked} == {AskPosition}
            return

    run(main)


def test_a_worker_knows_no_position():
    async def main(nodes):
        worker = worker_of(nodes)
        for request in (AskPosition(), AskRaftId("node1")):
            with pytest.raises(Unavailable, match="does not follow the cluster's log"):
                await of(worker, worker.node.registry.answer(request))

    run(main, count=8, voters=5)
