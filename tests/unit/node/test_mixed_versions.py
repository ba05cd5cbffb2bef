"""Replies that this version can't read, as a later one may give: one more value of an enum is enough."""

import asyncio

import pytest
from cluster_kit import run

from orion.model.api.cluster import RaftView
from orion.model.api.tasks import TaskRequest, TaskView
from orion.model.errors import Unavailable
from orion.model.resources import MIB
from orion.node.agent.assignment_stream import AssignmentSet, WatchAssignments
from orion.node.agent.confirm import Confirm
from orion.node.membership.removed_member import RemovedMember
from orion.node.routing.submit import Submit, Submitted
from orion.node.rpc.lists import ListHead
from orion.node.rpc.reads import Read
from orion.node.rpc.request import decode_answer, decode_reply
from orion.node.services.events import WatchEvents
from orion.node.services.tasks import AskTasks
from sim.engine import FOREVER
from support.node_requests import decode_request

STRANGE = [b"", b"\xc1", b"\x91\xa3new", b"\x92\x01", b"\xa1\xff", b"\x91" * 100_000]


@pytest.mark.parametrize("data", STRANGE, ids=range(len(STRANGE)))
def test_what_can_t_be_read_is_unavailable_and_named(data):
    for decode in (
        lambda: decode_reply(data, Submitted, "host:1"),
        lambda: decode_reply(data, AssignmentSet, "host:1"),
        lambda: decode_reply(data, RaftView, "host:1"),
        lambda: decode_reply(data, ListHead, "host:1"),
        lambda: decode_answer(data, WatchEvents(None, follow=True), "host:1"),
    ):
        with pytest.raises(
            Unavailable, match=r"host:1 answered with .* does not understand .* one version\?"
        ) as caught:
            decode()
        assert caught.value.code == "unavailable"


def garble(machine, *kinds):
    """Replies to requests of these kinds become strange. Returns what undoes it."""
    peers = machine.run.peers
    call, stream = peers.call, peers.stream

    async def strange_call(address, request, *, timeout_s):
        reply = await call(address, request, timeout_s=timeout_s)
        return b"\x91\xa3new" if isinstance(decode_request(request), kinds) else reply

    async def strange_stream(address, request):
        items = stream(address, request)
        try:
            async for item in items:
                yield b"\x91\xa3new" if item and isinstance(decode_request(request), kinds) else item
        finally:
            await items.aclose()

    peers.call, peers.stream = strange_call, strange_stream

    def undo():
        peers.call, peers.stream = call, stream

    return undo


def workers_of(nodes):
    conf = nodes.leader.node.driver.raft.conf
    return [m for m in nodes.machines if m.raft not in (*conf.voters, *conf.learners)]


def of(machine, question):
    return asyncio.shield(machine.run.process.spawn(question))


async def _states(nodes):
    views = (await of(nodes.leader, nodes.leader.node.service.tasks(Read()))).rows(TaskView)
    return [view.state for view in views]


def test_a_worker_that_can_t_read_its_work_or_its_leave_to_start_lives_and_starts_later():
    async def main(nodes):
        workers = workers_of(nodes)
        for worker in workers:
            worker.kill()
            worker.boot()
        undo = [garble(worker, WatchAssignments, Confirm) for worker in workers]  # from their first word on
        # One fills a node.
        for number in range(len(nodes.machines)):
            request = TaskRequest(FOREVER, name=f"big{number}", memory=1_500 * MIB)
            service = nodes.leader.node.service
            await of(nodes.leader, service.create_task(request, idempotency_key="", timeout_s=5, wait_running_s=0))
        others = len(nodes.machines) - len(undo)

        async def until(running):
            async with asyncio.timeout(30):
                while (await _states(nodes)).count("running") != running:  # noqa: ASYNC110 -- the state of the cluster
                    await asyncio.sleep(0.1)

        await until(others)
        undo.pop()()
        await until(others + 1)
        second = workers[0]
        undo.pop()()
        undo_leave = garble(second, Confirm)
        latest = second.node._source.latest
        await nodes.until(lambda: second.node._source.latest is not latest)
        await asyncio.sleep(5)
        await until(others + 1)
        undo_leave()
        await until(others + 2)

    run(main, count=9, voters=5)


def test_a_question_and_a_change_are_refused_in_words():
    async def main(nodes):
        worker = workers_of(nodes)[0]
        undo = garble(worker, AskTasks)
        with pytest.raises(Unavailable, match="do all nodes run one version"):
            await of(worker, worker.node.service.tasks(Read()))
        undo()
        garble(worker, Submit)
        put = worker.node.service.configs.put("k", b"", if_version=None, idempotency_key="", timeout_s=60)
        async with asyncio.timeout(5):
            with pytest.raises(
                Unavailable, match=r"do all nodes run one version\?; the change may still have been"
            ):
                await of(worker, put)

    run(main, count=8, voters=5)


def test_events_that_can_t_be_read_end_in_words():
    async def main(nodes):
        worker = workers_of(nodes)[0]
        garble(worker, WatchEvents)
        with pytest.raises(Unavailable, match="do all nodes run one version"):
            await of(worker, anext(worker.node.service.events((0, 0), follow=False)))

    run(main, count=8, voters=5)


def test_a_leader_that_can_t_be_read_has_excluded_nobody():
    class Strange:
        async def call(self, *_, **__):
            return b"\x91\xa3new"

    async def main(nodes):
        voter = next(m for m in nodes.machines if m is not nodes.leader)
        node = voter.node
        exclusion = RemovedMember(raft=voter.raft, driver=node.driver, directory=node.directory, peers=Strange())
        assert not await exclusion._is_excluded(node.directory.seen(nodes.leader.config.node))

    run(main)
