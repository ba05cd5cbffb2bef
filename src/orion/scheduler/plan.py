"""The scheduler's decisions."""

import msgspec

from orion.model.ids import AllocationId, JobName
from orion.state.tables.plans import ApplyPlan, Placements, Refusal


class Plan(msgspec.Struct, frozen=True):
    """The parts of an ApplyPlan, and `rest`: jobs that were not finished, because the plan was full or the bound of
    looks was reached. They have to be scheduled again once this plan is applied.

    `refusals` has only new ones: a job refused for what state already holds is not in it.
    """

    placements: tuple[Placements, ...] = ()
    stops: tuple[AllocationId, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    rest: tuple[JobName, ...] = ()
    moves: tuple[AllocationId, ...] = ()

    @property
    def empty(self) -> bool:
        """True when there is nothing to propose."""
        return not (self.placements or self.stops or self.refusals or self.moves)

    def command(self, at_ms: int) -> ApplyPlan:
        return ApplyPlan(at_ms, self.placements, self.stops, self.refusals, self.moves)
