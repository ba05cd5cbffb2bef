"""The leader's moves of tasks that are to run elsewhere, of jobs that say how they are updated."""

from orion.model.ids import AllocationId, JobName
from orion.model.levels import since
from orion.state import rollouts
from orion.state.core.command import Command, command
from orion.state.core.faults import MAX_WORD, first, longer, outside
from orion.state.core.step import Step
from orion.state.records import Tables

MAX_MOVED = 500


@since(2, words="drains within a job's update policy")
class MoveTasks(Command, frozen=True, array_like=True, tag=40):
    """Has the slots of `move` want another task beside these allocations, and those of `retire` end."""

    job: JobName
    move: tuple[AllocationId, ...] = ()
    retire: tuple[AllocationId, ...] = ()


def _fault(moves: MoveTasks) -> str:
    return first(
        (
            longer("job", len(moves.job), MAX_WORD),
            outside("moved allocations", len(moves.move), MAX_MOVED),
            outside("retired allocations", len(moves.retire), MAX_MOVED),
        )
    )


@command(MoveTasks, fault=_fault)
def move_tasks(state: Tables, _: Step, moves: MoveTasks) -> None:
    record = state.jobs.get(moves.job)
    if record is None or not record.job.wanted:
        return
    for identity in moves.move:
        if rollouts.is_wanted(state, moves.job, identity):
            rollouts.set_moving(state, record, identity)
    rollouts.retire(state, moves.job, moves.retire)


TABLES = ()
COMMANDS = (move_tasks,)
