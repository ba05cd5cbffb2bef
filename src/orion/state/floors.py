"""How many tasks of a job may end. The leader decided from a state that is older by what was committed meanwhile: a
task that another one was to be ended for may be lost by now.
"""

from collections.abc import Sequence

from orion.model.allocation import Allocation
from orion.model.job import JobKind
from orion.model.update import UpdatePolicy
from orion.state.job_record import JobRecord


def held_back(record: JobRecord, retire: Sequence[Allocation], *, stop_first: bool) -> set[int]:
    """Returns the slots whose tasks of `retire` have to go on, so that the job keeps its floor: with them ended,
    nothing in the slot would be ready. None of a batch: nobody uses its tasks.
    """
    if record.job.kind is JobKind.BATCH:
        return set()
    going, count = {each.id for each in retire}, record.job.count
    losing = {each.index for each in retire if each.index < count and each.wanted and record.is_ready(each)}
    missed = sorted(index for index in losing if not record.has_ready(index, going))
    if not missed:
        return set()
    floor = (record.job.update or UpdatePolicy()).floor(record.used, stop_first=stop_first)
    spare = sum(map(record.has_ready, range(count))) - floor
    return set(missed[max(0, spare) :])
