"""Statuses on their way into the log: the newest of each allocation counts, repeated until it is committed."""

import asyncio
import contextlib

import pytest

from orion.model.allocation import AllocationState, AllocationStatus
from orion.model.errors import Refused, Unavailable
from orion.model.ids import AllocationId, NodeId
from orion.node.agent import status_updates
from orion.node.agent.status_updates import StatusUpdates
from sim.world import SimClock, World

ONE, TWO = AllocationId(1), AllocationId(2)
STARTING = AllocationStatus(AllocationState.STARTING)
RUNNING = AllocationStatus(AllocationState.RUNNING)


class Log:
    """Takes commands as a Submitter does. `answer` is called while one is under way, and may raise."""

    def __init__(self, answer=lambda number: None):
        self.taken = []
        self.answer = answer

    async def submit(self, command, *, timeout_s):
        self.taken.append(dict(command.updates))
        await asyncio.sleep(0.05)
        self.answer(len(self.taken))


def run(main, log):
    """Runs `main(updates)` in virtual time beside the updates."""
    world = World(1)
    world.install()

    async def both():
        updates = StatusUpdates(me=NodeId("node1"), clock=SimClock(world), submitter=log)
        runner = asyncio.ensure_future(updates.run())
        try:
            async with asyncio.timeout(30):
                await main(updates)
            assert not runner.done()
        finally:
            runner.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await runner

    try:
        world.loop.run_until_complete(both())
    finally:
        world.loop.close()


async def until(condition):
    while not condition():  # noqa: ASYNC110 -- it tells nobody
        await asyncio.sleep(0.01)


def test_a_retried_status_never_overwrites_a_newer_one():
    """The first is refused while the second comes in."""
    log = Log()

    async def main(updates):
        def answer(number):
            if number == 1:
                updates.add(ONE, RUNNING)
                raise Unavailable("no leader")

        log.answer = answer
        updates.add(ONE, STARTING)
        updates.add(TWO, STARTING)
        await until(lambda: len(log.taken) == 2)
        await asyncio.sleep(1)
        assert log.taken == [{ONE: STARTING, TWO: STARTING}, {ONE: RUNNING, TWO: STARTING}]

    run(main, log)


def test_what_is_not_committed_is_repeated_until_it_is():
    log = Log()

    async def main(updates):
        def answer(number):
            if number < 4:
                raise Unavailable("no leader")

        log.answer = answer
        updates.add(ONE, RUNNING)
        await until(lambda: len(log.taken) == 4)
        await asyncio.sleep(1)
        assert log.taken == [{ONE: RUNNING}] * 4

    run(main, log)


def test_what_the_cluster_refuses_is_not_repeated():
    log = Log()

    async def main(updates):
        def answer(_):
            raise Refused("node1 is not registered")

        log.answer = answer
        updates.add(ONE, RUNNING)
        await until(lambda: log.taken)
        await asyncio.sleep(1)
        assert len(log.taken) == 1

    run(main, log)


@pytest.mark.parametrize("count", [3, 4, 9])
def test_so_many_go_into_one_command_and_no_more(count, monkeypatch):
    monkeypatch.setattr(status_updates, "MAX_UPDATES", 4)
    log = Log()

    async def main(updates):
        for number in range(count):
            updates.add(AllocationId(number), RUNNING)
        await until(lambda: sum(map(len, log.taken)) == count)
        assert max(map(len, log.taken)) <= 4

    run(main, log)
