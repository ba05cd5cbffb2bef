"""What the scheduler decided."""

import msgspec

from orion.model.ids import AllocationId, JobName
from orion.state.commands import ApplyPlan, Placements, Refusal


class Plan(msgspec.Struct, frozen=True):
    """The parts of an ApplyPlan, and `rest`: jobs that are not done with, because the plan was full or enough was
    looked at for one turn. Schedule them again once this plan is applied.

    `refusals` has only what is new: a job refused with the words that state already holds is not in it.
    """

    placements: tuple[Placements, ...] = ()
    stops: tuple[AllocationId, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    rest: tuple[JobName, ...] = ()
    moves: tuple[AllocationId, ...] = ()

    @property
    def empty(self) -> bool:
        """Nothing to propose."""
        return not (self.placements or self.stops or self.refusals or self.moves)

    def command(self, at_ms: int) -> ApplyPlan:
        return ApplyPlan(at_ms, self.placements, self.stops, self.refusals, self.moves)
