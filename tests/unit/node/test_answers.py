import asyncio

import pytest
from cluster_kit import run

from orion.model.api.nodes import NodeView
from orion.model.errors import NoMajority, Unavailable
from orion.node.rpc.reads import Read


def of(machine, question):
    return asyncio.shield(machine.run.process.spawn(question))


def worker_of(nodes):
    conf = nodes.leader.node.driver.raft.conf
    return next(m for m in nodes.machines if m.raft not in (*conf.voters, *conf.learners))


def test_a_stale_answer_needs_no_leader():
    async def main(nodes):
        alone = nodes[2]
        nodes.isolate(alone)
        await nodes.until(lambda: not alone.node.driver.standing.leader)
        async with asyncio.timeout(0.1):
            listing = await of(alone, alone.node.service.nodes(Read(stale=True)))
        assert len(listing.rows(NodeView)) == 3

    run(main)


def test_events_where_no_voter_is_known():
    async def main(nodes):
        worker = worker_of(nodes)
        worker.node.directory.update([])
        with pytest.raises(Unavailable):
            await of(worker, anext(worker.node.service.events(None, follow=True)))

    run(main, count=8, voters=5)


def test_a_worker_leaves_a_voter_that_is_cut_off():
    """It goes on showing signs of life, but nothing new."""

    async def main(nodes):
        worker = worker_of(nodes)
        voter = nodes.leader
        await nodes.until(lambda: worker.node._source.latest is not None)
        others = [m for m in nodes.machines if m not in (voter, worker)]
        nodes.cut(voter, *others)
        await nodes.until(lambda: nodes.leader not in (None, voter))
        leader = nodes.leader
        await of(leader, leader.node.service.drain(worker.name, draining=True, timeout_s=5))
        index = leader.node.driver.applied_index
        await nodes.until(lambda: worker.node._source.latest.index >= index, 10)

    run(main, count=8, voters=5)


async def _told(machine, question, seconds):
    """What it is refused with, before a request would be given up."""
    async with asyncio.timeout(seconds):
        with pytest.raises(NoMajority) as caught:
            await of(machine, question)
    return caught.value.detail


def test_without_a_majority_everybody_learns_who_is_missing():
    async def main(nodes):
        alive, *dead = nodes.machines
        for machine in dead:
            machine.kill()
        names = ", ".join(m.name for m in dead)
        words = f"no majority: 2 of 3 voters ({names}) do not answer"
        service = alive.node.service
        assert await _told(alive, service.tasks(Read(timeout_s=60)), 15) == words
        # Known by now: nothing but an election is waited for.
        assert await _told(alive, service.tasks(Read(timeout_s=60)), 1.5) == words
        poll = Read(after_index=10**9, wait_s=60, timeout_s=60)
        assert await _told(alive, service.tasks(poll), 1.5) == words
        changed = f"{words}; nothing was changed"
        assert await _told(alive, service.delete_task("web", timeout_s=60), 1.5) == changed
        assert await _told(alive, service.drain("node2", draining=True, timeout_s=60), 1.5) == changed
        for machine in dead:
            machine.boot()
        await nodes.until(lambda: nodes.leader is not None)
        assert await of(alive, service.tasks(Read(timeout_s=10))) is not None

    run(main)


def test_a_leader_that_lost_its_majority_can_t_say_whether_its_write_survives():
    async def main(nodes):
        leader = nodes.leader
        nodes.isolate(leader)
        detail = await _told(leader, leader.node.service.drain("node2", draining=True, timeout_s=60), 15)
        assert detail.startswith("no majority: 2 of 3 voters")
        assert detail.endswith("the change may still have been made: look before you repeat it")

    run(main)


def test_a_worker_hears_of_a_lost_majority_from_the_voters_that_are_left():
    async def main(nodes):
        worker = worker_of(nodes)
        voters = [m for m in nodes.machines if m.raft in nodes.leader.node.driver.raft.conf.voters]
        for machine in voters[:3]:
            machine.kill()
        detail = await _told(worker, worker.node.service.tasks(Read(timeout_s=60)), 30)
        assert detail.startswith("no majority: 3 of 5 voters")

    run(main, count=8, voters=5)
