"""A duty: places what has no node, and moves what its node can't start."""

import asyncio
import contextlib

from orion.node.consensus.driver import RaftDriver
from orion.node.leader.proposer import Proposer
from orion.ports.clock import Clock
from orion.scheduler.pools import Pools
from orion.scheduler.retry_rotation import RetryRotation
from orion.scheduler.schedule import schedule

LOOK_AGAIN_S = 0.5
MAX_JOBS_PER_PLAN = 64
STUCK_AGAIN_MS = 2_000  # what its node can't start is looked at so often, when nothing else calls for it
GATHER_S = 0.002  # after a change: what comes together is planned together, and its writer is answered first


class Scheduling:
    name = "scheduling"

    def __init__(self, *, clock: Clock, driver: RaftDriver, proposer: Proposer) -> None:
        self._clock = clock
        self._driver = driver
        self._proposer = proposer

    async def run(self, _term: int, /) -> None:
        """Plan while there is something to place or to move; a job that did not fit, and a task that its node can't
        start, is tried again when capacity was freed or added. Of more refused jobs than one plan looks at, each
        has its turn.
        """
        pools = Pools()
        turns = RetryRotation()
        epoch: tuple[int, int] | None = None
        stuck_due_ms = turn = 0
        while True:
            view = self._driver.view
            now = self._driver.installs, view.capacity_epoch
            if epoch != now:
                epoch, stuck_due_ms = now, 0
            stuck = view.has_stuck and self._clock.now_ms() >= stuck_due_ms
            refused = turns.batch(view, now, MAX_JOBS_PER_PLAN)
            batch = [*view.jobs_to_place(MAX_JOBS_PER_PLAN), *refused]
            if not batch and not stuck:
                await self._something_to_plan(timeout_s=LOOK_AGAIN_S if view.has_stuck else None)
                continue
            plan = schedule(view, batch, pools, turn=turn)
            turn, stuck_due_ms = turn + 1, self._clock.now_ms() + STUCK_AGAIN_MS
            if plan.empty or await self._proposer.propose(plan.command(self._clock.wall_ms())) is not None:
                turns.taken(plan.rest)
            await asyncio.sleep(0)

    async def _something_to_plan(self, timeout_s: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._driver.watch.changed()
                await asyncio.sleep(GATHER_S)
