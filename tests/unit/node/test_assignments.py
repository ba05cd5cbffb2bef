"""A worker's assignments, as it comes from the voters."""

import asyncio
import logging

import pytest
from cluster_kit import run

from orion.model.api.tasks import TaskRequest, TaskView
from orion.model.ids import AllocationId
from orion.node.agent import assignment_stream, assignments
from orion.node.agent.assignment_stream import AssignmentSet
from orion.node.rpc.reads import Read
from sim.engine import FOREVER

VARIABLE_BYTES = 128_000  # Linux takes no longer one


def of(machine, question):
    return asyncio.shield(machine.run.process.spawn(question))


def worker_of(nodes):
    conf = nodes.leader.node.driver.raft.conf
    return next(m for m in nodes.machines if m.raft not in (*conf.voters, *conf.learners))


async def drain_all_but(nodes, machine):
    service = nodes.leader.node.service
    for other in nodes.machines:
        if other is not machine:
            await of(nodes.leader, service.drain(other.name, draining=True, timeout_s=5))


async def create(nodes, number, variables=7):
    env = {f"V{n}": "v" * VARIABLE_BYTES for n in range(variables)}
    request = TaskRequest(FOREVER, name=f"task{number}", env=env)
    service = nodes.leader.node.service
    await of(nodes.leader, service.create_task(request, idempotency_key="", timeout_s=5, wait_running_s=0))


def running(machine):
    return len(machine.engine.running())


def warnings(caplog):
    return [
        r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING and r.name == assignments.log.name
    ]


def test_a_worker_gets_more_work_than_a_frame_holds(caplog):
    async def main(nodes):
        worker = worker_of(nodes)
        await drain_all_but(nodes, worker)
        for number in range(12):
            await create(nodes, number)
        await nodes.until(lambda: running(worker) == 12)
        worker.kill()
        worker.boot()  # all of it at once
        await nodes.until(lambda: worker.node and worker.node._source.latest is not None)
        assert len(worker.node._source.latest.assigned) == 12
        service = nodes.leader.node.service
        for number in range(12):
            await of(nodes.leader, service.delete_task(f"task{number}", timeout_s=5))
        await nodes.until(lambda: running(worker) == 0)

    run(main, count=8, voters=5)
    assert warnings(caplog) == []


@pytest.mark.parametrize("home_of", [worker_of, lambda nodes: nodes.leader], ids=["worker", "voter"])
def test_a_node_hears_what_state_has_of_its_own_reports(home_of):
    """Else it would report the same for as long as its work stays as it is."""

    async def main(nodes):
        home = home_of(nodes)
        await drain_all_but(nodes, home)
        await create(nodes, 0, variables=0)
        source = home.node._source
        await nodes.until(lambda: [a.allocation.status.state for a in source.latest.assigned] == ["running"])

    run(main, count=8, voters=5)


def test_a_worker_that_can_t_have_its_work_says_so_once_in_a_while(caplog, monkeypatch):
    monkeypatch.setattr(assignment_stream, "MAX_WORK_BYTES", 500_000)
    asked = []

    async def main(nodes):
        worker = worker_of(nodes)
        stream = worker.run.peers.stream
        worker.run.peers.stream = lambda *request: asked.append(request) or stream(*request)
        await drain_all_but(nodes, worker)
        began_s = nodes.world.loop.time()
        await create(nodes, 1, variables=4)
        await asyncio.sleep(25)
        assert worker.up
        looks = (nodes.world.loop.time() - began_s) / assignments.REFUSED_AGAIN_S
        assert len(asked) <= 5 * (looks + 1), "the voters are not pestered"
        views = (await of(nodes.leader, nodes.leader.node.service.tasks(Read()))).rows(TaskView)
        assert [v.state for v in views] == ["scheduled"]
        monkeypatch.setattr(assignment_stream, "MAX_WORK_BYTES", 600_000)
        await nodes.until(lambda: running(worker) == 1)

    run(main, count=8, voters=5)
    said = warnings(caplog)
    assert 2 <= len(said) <= 3
    assert said[0].endswith(": the work of this node is more than 500,000 bytes of allocations and their specs")


def test_a_worker_keeps_the_container_of_a_stopped_task_until_it_is_removed():
    async def main(nodes):
        worker = worker_of(nodes)
        await drain_all_but(nodes, worker)
        await create(nodes, 1, variables=0)
        await nodes.until(lambda: running(worker) == 1)
        service = nodes.leader.node.service
        await of(nodes.leader, service.stop_task("task1", timeout_s=5))
        await nodes.until(lambda: running(worker) == 0)
        await asyncio.sleep(15)  # longer than the agent takes to look at everything again
        (held,) = worker.engine.containers.values()
        assert held.shown.state == "exited"
        await of(nodes.leader, service.delete_task("task1", timeout_s=5))
        await nodes.until(lambda: not worker.engine.containers)

    run(main, count=8, voters=5)


def work(index, **named):
    return AssignmentSet(index, 7, registered=True, assigned=(), neighbours=(), **named)


def test_work_never_goes_back():
    """Another voter may be behind the one before."""

    async def main(nodes):
        worker = worker_of(nodes)
        watcher = worker.node._source
        newer = 10_000  # past all that the voters have said
        watcher.changed.clear()
        watcher._offer(work(newer, kept=(AllocationId(1),)))
        assert watcher.changed.is_set()
        watcher.changed.clear()
        watcher._offer(work(newer - 1))
        assert watcher.latest.index == newer
        assert watcher.latest.kept == (1,)
        assert not watcher.changed.is_set()
        watcher._offer(work(newer + 1, kept=(AllocationId(1),)))
        assert watcher.latest.index == newer + 1
        assert not watcher.changed.is_set(), "the same work, known to be so a little later"
        watcher._offer(work(newer + 1))
        assert watcher.changed.is_set()

    run(main, count=8, voters=5)
