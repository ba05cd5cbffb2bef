"""The history of jobs: what people have done to each, kept for a while after it was removed. No command writes it:
the jobs' own do.
"""

import enum

import msgspec

from orion.model.ids import JobName
from orion.model.job import Job
from orion.model.levels import level_of_type, since
from orion.state.core.frames import Rows
from orion.state.core.step import Step
from orion.state.core.table import KeyedTable, TableSet
from orion.state.records import Tables

MAX_CHANGES = 20  # of one job, oldest out first
MAX_REMOVED = 1_000  # jobs whose history is kept after they were removed, oldest out first


@since(2, "UPDATED", "SCALED", "ROLLED_BACK", "RESTARTED")
class ChangeKind(enum.StrEnum):
    CREATED = "created"
    STOPPED = "stopped"
    STARTED = "started"
    REMOVED = "removed"
    UPDATED = "updated"
    SCALED = "scaled"
    ROLLED_BACK = "rolled back"
    RESTARTED = "restarted"


class JobChange(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One change, by the log entry at `index`, and the job as it is asked for from then on. `created_index` tells a
    job from a former one of its name.
    """

    index: int
    at_ms: int
    kind: ChangeKind
    created_index: int
    version: int
    count: int
    image: str


class JobHistory(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Oldest change first, over all jobs that had the name one after the other."""

    job: JobName
    changes: tuple[JobChange, ...]


@since(2, words="the history of jobs")
class HistoryFrame(Rows, frozen=True, array_like=True, tag=11):
    """By last change, the oldest first."""

    rows: list[JobHistory]


class _Removed:
    """An index of the jobs that were removed last, and not created again; the one removed first is first."""

    def __init__(self) -> None:
        self.names: dict[JobName, None] = {}

    def add(self, key: JobName, row: JobHistory) -> None:
        if row.changes[-1].kind is ChangeKind.REMOVED:
            self.names[key] = None

    def remove(self, key: JobName, _row: JobHistory) -> None:
        self.names.pop(key, None)

    def replace(self, key: JobName, former: JobHistory, row: JobHistory) -> None:
        self.remove(key, former)
        self.add(key, row)

    def clear(self) -> None:
        self.names.clear()

    def content(self) -> object:
        return list(self.names)


class History(KeyedTable[JobName, JobHistory]):
    rows_frame = HistoryFrame

    def __init__(self, state: TableSet) -> None:
        self._removed = _Removed()
        super().__init__(state, self._removed)

    @staticmethod
    def key(row: JobHistory) -> JobName:
        return row.job

    @staticmethod
    def size_bytes(row: JobHistory) -> int:
        return sum(64 + len(change.image) for change in row.changes)

    @staticmethod
    def can_be(row: JobHistory) -> bool:
        return 0 < len(row.changes) <= MAX_CHANGES

    def add(self, job: JobName, change: JobChange) -> None:
        former: tuple[JobChange, ...] = ()
        if (row := self.get(job)) is not None:
            former = row.changes[1 - MAX_CHANGES :]
            self.drop(job)  # so that the rows are in the order of their last changes
        self.put(JobHistory(job, (*former, change)))
        if len(self._removed.names) > MAX_REMOVED:
            self.drop(next(iter(self._removed.names)))


def note(state: Tables, step: Step, kind: ChangeKind, job: Job) -> None:
    """Keeps what was done to a job, which is `job` from now on; not before all nodes keep it."""
    if state.level < level_of_type(HistoryFrame):
        return
    change = JobChange(step.index, step.at_ms, kind, job.created_index, job.version, job.count, job.task.image)
    state.of(History).add(job.name, change)


TABLES = (History,)
COMMANDS = ()
