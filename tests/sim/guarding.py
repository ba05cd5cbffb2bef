"""A scenario: jobs that allow different ones have a task on each node, beside each other."""

from orion.model.api.jobs import JobRequest
from orion.model.settings import NETWORK
from orion.process.config import Tuning
from sim.cluster import UNDERLAY_MTU
from sim.engine import FOREVER
from sim.networked import VALUES
from sim.scenario import Plan, Scenario
from sim.world import World

NODES = 3
TUNING = Tuning(dead_voter_grace_ms=1_500, stop_grace_ms=6_000, snapshot_entries=15, trailing_entries=0)
ALLOWED = {"g-db": ["g-web"], "g-web": ["g-door"], "g-door": []}


class Guarding(Scenario):
    """At rest each machine guards its tasks as the state says."""

    def __init__(self, world: World) -> None:
        super().__init__(world, Plan(NODES, 0, NODES, 0.0, TUNING))
        for machine in self.cluster.machines.values():  # all can take part, in each seed
            machine.engine.kernel.underlay[machine.config.advertise] = UNDERLAY_MTU

    async def run(self) -> None:
        await self.start()
        await self.until_at_rest()
        leader = self.cluster.leader()
        assert leader is not None
        await leader.ask(
            lambda s: s.configs.put(NETWORK, VALUES[0].encode(), if_version=None, idempotency_key="", timeout_s=5.0)
        )
        for name, allowed in ALLOWED.items():
            job = JobRequest(image=FOREVER, kind="system", restart_policy="always", allow_from=allowed)
            await leader.ask(
                lambda s, n=name, j=job: s.jobs.put(n, j, if_version=-1, plan="", idempotency_key="", timeout_s=5.0)
            )
        await self.until_at_rest()
        assert self.world.counts["guarded at rest"] >= NODES
        await self.check_answers()
