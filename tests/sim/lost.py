"""Machines that die for good while voters change, in every seed. There are no jobs but single tasks, so that what
is found here stays where it is found when jobs learn something.
"""

from sim.events import EVERYTHING, Keep
from sim.scenario import Scenario, choose_plan, with_losses
from sim.world import World


class Lost(Scenario):
    flags = " --lost"

    def __init__(self, world: World, keep: Keep = EVERYTHING) -> None:
        rng = world.rng("plan")
        plan = choose_plan(rng)
        super().__init__(world, plan if plan.losses else with_losses(plan, rng), keep)
        self.workload.deployers = 0
        self.workload.with_kinds = self.workload.with_order = False
