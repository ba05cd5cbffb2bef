"""The leader's duties: begun and ended with its term, and a bug in one of them is that one's trouble."""

import asyncio

import pytest
from cluster_kit import run

from orion.model.api.tasks import TaskRequest
from orion.model.errors import Unavailable
from orion.model.node import NodeStatus
from orion.node.leader import scheduling
from orion.node.leader.leader import Leader
from orion.node.leader.proposer import Proposer
from sim.engine import FOREVER
from sim.world import SimClock

WAIT_S = 30


class Noted:
    """A duty that notes its beginnings and ends. `meets` is what each of its runs comes to, the last for ever."""

    name = "noted"

    def __init__(self, *meets):
        self.meets = list(meets) or [None]
        self.terms = []
        self.ended = 0

    async def run(self, term, /):
        self.terms.append(term)
        meets = self.meets.pop(0) if len(self.meets) > 1 else self.meets[0]
        try:
            if meets == "returns":
                return
            if meets is not None:
                raise meets
            await asyncio.get_running_loop().create_future()
        finally:
            self.ended += 1


def lead(nodes, machine, *duties):
    """A second leader of that node, with these duties alone."""
    driver = machine.node.driver
    clock = SimClock(nodes.world)
    leader = Leader(clock=clock, machine=None, driver=driver, proposer=Proposer(driver), duties=duties)
    return machine.run.process.spawn(leader.run())


def create(nodes):
    """A task, submitted at the leader."""
    leader = nodes.leader
    request = TaskRequest(image=FOREVER, name="web")
    question = leader.node.service.create_task(request, idempotency_key="", timeout_s=10, wait_running_s=0)
    return asyncio.shield(leader.run.process.spawn(question))


def runs(nodes):
    return any(h.shown.state == "running" for m in nodes.machines for h in m.engine.containers.values())


def test_duties_last_for_one_term():
    async def main(nodes):
        duties = {}
        for machine in nodes.machines:
            duties[machine.name] = Noted()
            lead(nodes, machine, duties[machine.name])
        old = nodes.leader
        first = duties[old.name]
        await nodes.until(lambda: first.terms)
        old.run.process.spawn(old.node.driver.hand_over(0))
        await nodes.until(lambda: nodes.leader not in (old, None) and duties[nodes.leader.name].terms)
        await nodes.until(lambda: first.ended == 1)
        second = duties[nodes.leader.name]
        assert second.terms == [nodes.leader.node.driver.standing.term]
        assert second.terms[0] > first.terms[0]
        nodes.leader.run.process.spawn(nodes.leader.node.driver.hand_over(old.raft))
        await nodes.until(lambda: len(first.terms) == 2)
        assert first.terms[1] > second.terms[0]

    run(main)


def test_a_leader_that_was_elected_again_begins_its_duties_anew():
    """Its runner may not have had a turn while it did not lead."""

    async def main(nodes):
        leader, duty = nodes.leader, Noted()
        driver = leader.node.driver
        lead(nodes, leader, duty)
        await nodes.until(lambda: duty.terms)
        standing = driver.standing
        driver.standing = type(standing)(standing.role, standing.term + 1, standing.leader)
        driver.watch.nudge()
        await nodes.until(lambda: len(duty.terms) == 2)
        assert duty.terms == [standing.term, standing.term + 1]
        assert duty.ended == 1

    run(main)


def test_no_duty_begins_before_state_has_caught_up():
    async def main(nodes):
        leader, duty, caught_up = nodes.leader, Noted(), asyncio.Event()
        read_barrier = leader.node.driver.read_barrier

        async def slow():
            await caught_up.wait()
            return await read_barrier()

        leader.node.driver.read_barrier = slow
        lead(nodes, leader, duty)
        await asyncio.sleep(5)
        assert not duty.terms
        caught_up.set()
        await nodes.until(lambda: duty.terms)

    run(main)


@pytest.mark.parametrize(
    "bug", [KeyError("node9"), ExceptionGroup("of its runners", [TypeError("none")]), Unavailable("no leader")]
)
def test_a_duty_that_a_bug_ends_begins_anew_after_a_wait_and_the_others_go_on(bug, caplog):
    async def main(nodes):
        buggy, other = Noted(bug), Noted()
        lead(nodes, nodes.leader, buggy, other)
        await nodes.until(lambda: len(buggy.terms) == 4)
        assert (len(other.terms), other.ended) == (1, 0)
        assert len(set(buggy.terms)) == 1

    began = []
    run(lambda nodes: _timed(main, nodes, began))
    assert began[0] >= 3, "a second between two tries"
    assert "the leader's duty noted" in caplog.text


async def _timed(main, nodes, began):
    """In virtual time."""
    before = nodes.world.loop.time()
    await main(nodes)
    began.append(nodes.world.loop.time() - before)


def test_a_bug_in_the_scheduler_leaves_node_health_and_later_plans_alone(monkeypatch, caplog):
    async def main(nodes):
        def buggy(*_args, **_named):
            raise KeyError("a pool that is gone")

        monkeypatch.setattr(scheduling, "schedule", buggy)
        gone = next(m for m in nodes.machines if m is not nodes.leader)
        await create(nodes)
        await nodes.until(lambda: caplog.text.count("in the leader's duty scheduling") >= 2)
        gone.kill()
        view = nodes.leader.node.driver.view
        await nodes.until(lambda: view.node(gone.name).status is NodeStatus.DOWN)
        assert not runs(nodes)
        monkeypatch.undo()
        await nodes.until(lambda: runs(nodes))

    run(main)
    assert "a pool that is gone" in caplog.text


def test_a_duty_that_returns_is_done_for_its_term():
    async def main(nodes):
        once = Noted("returns")
        lead(nodes, nodes.leader, once, Noted())
        await asyncio.sleep(WAIT_S)
        assert len(once.terms) == 1

    run(main)


def test_an_assertion_that_fails_in_a_duty_ends_the_node():
    async def main(nodes):
        runner = lead(nodes, nodes.leader, Noted(AssertionError("this can't be")))
        await nodes.until(runner.done)
        with pytest.raises(BaseExceptionGroup) as raised:
            runner.result()
        assert raised.group_contains(AssertionError, match="this can't be")

    run(main)


def test_a_duty_whose_runners_fail_as_it_is_cancelled_ends_all_the_same():
    """Before Python 3.13 its TaskGroup forgets that it was cancelled."""

    class Together:
        name = "together"
        bug = None

        async def run(self, _term, /):
            self.bug = asyncio.get_running_loop().create_future()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._wait())

        async def _wait(self):
            await self.bug

    async def main(nodes):
        duty = Together()
        runner = lead(nodes, nodes.leader, duty)
        await nodes.until(lambda: duty.bug is not None)
        duty.bug.set_exception(KeyError("as it ends"))
        runner.cancel()
        await nodes.until(runner.done, 5)

    run(main)
