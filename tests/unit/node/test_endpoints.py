"""Where a job's tasks can be reached, as whole nodes say it."""

import asyncio

import msgspec
import pytest
from cluster_kit import run

from orion.model.allocation import Allocation
from orion.model.api.endpoints import EndpointView
from orion.model.api.tasks import TaskRequest
from orion.model.errors import NotFound
from orion.model.membership import MemberState
from orion.node.membership.directory import Directory, Seen
from orion.node.rpc.reads import Read
from orion.node.views.endpoints import _used
from orion.ports.membership import Member
from sim.engine import FOREVER


def of(machine, question):
    return asyncio.shield(machine.run.process.spawn(question))


async def create(machine, name, **fields):
    request = TaskRequest(FOREVER, name=name, port_bindings={"80/tcp": ""}, **fields)
    made = machine.node.service.create_task(request, idempotency_key="", timeout_s=5, wait_running_s=20)
    return (await of(machine, made)).node_id


async def found(machine, job, *, everything=False):
    listing = await of(machine, machine.node.service.endpoints.find(job, Read(), everything=everything))
    return listing.rows(EndpointView)


async def until_found(nodes, machine, job, count):
    async with asyncio.timeout(30):
        while len(got := await found(machine, job)) != count:  # noqa: ASYNC110 -- asked over and over
            await asyncio.sleep(0.05)
    return got


class Reader:
    """Follows a job's endpoints at one node, in that node's process."""

    def __init__(self, machine, job):
        self.lists = []
        self.runner = machine.run.process.spawn(self._read(machine.node.service.endpoints.watch(job)))

    async def _read(self, lists):
        async for body in lists:
            self.lists.append([each.node_id for each in msgspec.json.decode(body, type=list[EndpointView])])


def worker_of(nodes):
    conf = nodes.leader.node.driver.raft.conf
    return next(m for m in nodes.machines if m.raft not in (*conf.voters, *conf.learners))


def test_a_ready_task_is_shown_by_every_node():
    async def main(nodes):
        node = await create(nodes.leader, "web")
        for machine in nodes.machines:
            (one,) = await until_found(nodes, machine, "web", 1)
            assert (one.task, one.node_id, one.version, one.ready) == ("web/0", node, 0, True)
            assert one.address
            assert one.ready_since
            assert list(one.ports) == ["80/tcp"]
        with pytest.raises(NotFound):
            await found(nodes.leader, "none")

    run(main, count=4, voters=3)


def test_a_task_that_is_to_end_leaves_at_once_and_is_still_among_all():
    async def main(nodes):
        await create(nodes.leader, "web", stop_grace_seconds=5.0)
        await until_found(nodes, nodes.leader, "web", 1)
        leader = nodes.leader
        await of(leader, leader.node.service.stop_task("web", timeout_s=5))
        assert await found(leader, "web") == []
        assert [each.ready for each in await found(leader, "web", everything=True)] in ([False], [])

    run(main)


def test_the_stream_has_each_list_once_and_is_empty_once_the_job_is_gone():
    async def main(nodes):
        worker = worker_of(nodes)
        node = await create(nodes.leader, "web")
        await until_found(nodes, nodes.leader, "web", 1)
        reader = Reader(worker, "web")
        await nodes.until(lambda: reader.lists == [[node]])
        await asyncio.sleep(10)
        assert reader.lists == [[node]]
        leader = nodes.leader
        await of(leader, leader.node.service.delete_task("web", timeout_s=5))
        await nodes.until(lambda: reader.lists == [[node], []])
        again = await create(nodes.leader, "web")
        await nodes.until(lambda: reader.lists == [[node], [], [again]])
        assert not reader.runner.done()

    run(main, count=8, voters=5)


def test_a_job_that_is_not_there_is_told_at_once():
    async def main(nodes):
        reader = Reader(worker_of(nodes), "none")
        await nodes.until(reader.runner.done)
        assert isinstance(reader.runner.exception(), NotFound)

    run(main, count=8, voters=5)


class Doubting:
    """A directory in which these nodes are suspect, and these alive."""

    def __init__(self, suspect, alive):
        self._states = dict.fromkeys(suspect, MemberState.SUSPECT) | dict.fromkeys(alive, MemberState.ALIVE)

    def seen(self, node):
        if node not in self._states:
            return None
        member = Member(node, self._states[node], "", 1, {})
        return Seen(member, None)

    is_alive, is_gone = Directory.is_alive, Directory.is_gone


@pytest.mark.parametrize(
    ("suspect", "alive", "left"),
    [
        ((), ("node1", "node2"), {1, 2}),
        (("node1",), ("node2",), {2}),
        (("node1", "node2"), (), {1, 2}),
        (("node1",), (), {2}),
        ((), (), {1, 2}),
    ],
)
def test_gossips_doubt_takes_an_endpoint_out_only_where_another_is_left(suspect, alive, left):
    ready = [Allocation(number, "web", 0, number, f"node{number}") for number in (1, 2)]
    assert _used(ready, Doubting(suspect, alive)) == left
