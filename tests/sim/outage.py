"""A scenario: the power fails everywhere while jobs run that come after others, and comes back node by node."""

import asyncio

from orion.process.config import Tuning
from sim.ordered import JOBS
from sim.scenario import LOOK_EVERY_S, Plan, Scenario, bound
from sim.world import World

BACK_WITHIN_MS = 8_000
ALL_RUN_BOUND_S = 60.0
NODES = 3
TUNING = Tuning(dead_voter_grace_ms=1_500, stop_grace_ms=6_000, snapshot_entries=15, trailing_entries=0)


class Outage(Scenario):
    """Each node finds its containers ended, and what its tasks come after may not be there yet."""

    def __init__(self, world: World) -> None:
        super().__init__(world, Plan(NODES, 0, NODES, 0.0, TUNING))

    async def run(self) -> None:
        await self.start()
        await self.until_at_rest()
        leader = self.cluster.leader()
        assert leader is not None
        for name in reversed(JOBS):
            await leader.ask(
                lambda s, n=name: s.jobs.put(n, JOBS[n], if_version=-1, plan="", idempotency_key="", timeout_s=5.0)
            )
        await self._all_run()
        self._power_fails()
        await asyncio.sleep(1)
        rng = self.world.rng("power")
        for machine in self.cluster.machines.values():
            self.world.after(rng.uniform(0, BACK_WITHIN_MS), machine.boot)
        await asyncio.sleep(BACK_WITHIN_MS / 1000)
        await self._all_run()
        await self.until_at_rest()
        assert self.world.counts["ordered start after an outage"] >= len(("o-web", "o-web", "o-side"))
        await self.check_answers()

    async def _all_run(self) -> None:
        """The migration has completed then."""
        async with bound(
            self.world, ALL_RUN_BOUND_S, "jobs run once what they come after was there", self._running
        ):
            while self._running() != sorted(set(JOBS) - {"o-migrate"}):  # noqa: ASYNC110 -- nothing tells the world
                await asyncio.sleep(LOOK_EVERY_S)

    def _running(self) -> list[str]:
        running = (held for engine in self.cluster.engines.values() for held in engine.running())
        return sorted({held.shown.labels.job for held in running})

    def _power_fails(self) -> None:
        for machine in self.cluster.machines.values():
            machine.kill(power=True)
            for held in machine.engine.running():
                machine.engine.end(held, 137, "")
            machine.engine.remembers.clear()
        self.cluster.on_outage()
