"""Deployments as rows: the running one of each job, and the last ones that ended."""

from msgspec.structs import replace

from orion.model.deployment import NO_VERSION, Deployment, DeploymentState
from orion.model.ids import JobName
from orion.model.job import Job
from orion.model.levels import since
from orion.state.core.frames import Rows
from orion.state.core.step import Step
from orion.state.core.table import KeyedTable, TableSet

MAX_OF_JOB = 10  # deployments that are remembered, oldest out first
MAX_ALL = 1_000  # ended ones, of all jobs
MAX_REASON = 2_000  # characters
_FAILED = (DeploymentState.FAILED, DeploymentState.ROLLED_BACK)


@since(2, words="versions of jobs and their deployments")
class DeploymentsFrame(Rows, frozen=True, array_like=True, tag=13):
    """As they began."""

    rows: list[Deployment]


class _ByJob:
    """An index: the ids of each job's deployments, oldest first; and of the running ones."""

    def __init__(self) -> None:
        self.ids: dict[JobName, list[int]] = {}
        self.running: dict[int, None] = {}

    def add(self, key: int, row: Deployment) -> None:
        self.ids.setdefault(row.job, []).append(key)
        if row.running:
            self.running[key] = None

    def remove(self, key: int, row: Deployment) -> None:
        ids = self.ids[row.job]
        ids.remove(key)
        if not ids:
            del self.ids[row.job]
        self.running.pop(key, None)

    def replace(self, key: int, _former: Deployment, row: Deployment) -> None:
        if not row.running:
            self.running.pop(key, None)

    def clear(self) -> None:
        self.ids.clear()
        self.running.clear()

    def content(self) -> object:
        return self.ids, sorted(self.running)


class Deployments(KeyedTable[int, Deployment]):
    rows_frame = DeploymentsFrame

    def __init__(self, state: TableSet) -> None:
        self._by_job = _ByJob()
        super().__init__(state, self._by_job)

    @staticmethod
    def key(row: Deployment) -> int:
        return row.id

    @staticmethod
    def size_bytes(row: Deployment) -> int:
        return 200 + len(row.reason)

    @staticmethod
    def can_be(row: Deployment) -> bool:
        return row.id > 0

    def of_job(self, job: JobName) -> list[Deployment]:
        """Oldest first, also of former jobs of the name."""
        return [self.rows[key] for key in self._by_job.ids.get(job, ())]

    def latest(self, job: JobName) -> Deployment | None:
        ids = self._by_job.ids.get(job)
        return self.rows[ids[-1]] if ids else None

    def running_of(self, job: JobName) -> Deployment | None:
        latest = self.latest(job)
        return latest if latest and latest.running else None

    def proven(self, job: Job) -> list[int]:
        """Returns the versions that all of the job was ready at, the last one last, as far as is remembered."""
        found: dict[int, None] = {}
        for row in self._of(job):
            version = _ready_at(row)
            if version != NO_VERSION:
                found.pop(version, None)
                found[version] = None
        return list(found)

    def failed(self, job: Job) -> frozenset[int]:
        """Returns the versions to which the last deployment has failed."""
        last = {row.to_version: row.state for row in self._of(job)}
        return frozenset(version for version, state in last.items() if state in _FAILED)

    def _of(self, job: Job) -> list[Deployment]:
        return [row for row in self.of_job(job.name) if row.created_index == job.created_index]

    def running(self) -> list[Deployment]:
        """Oldest first."""
        return [self.rows[key] for key in sorted(self._by_job.running)]

    def begin(self, row: Deployment) -> None:
        self.put(row)
        ids = self._by_job.ids[row.job]
        if len(ids) > MAX_OF_JOB:
            self.drop(ids[0])
        if len(self.rows) > MAX_ALL + len(self._by_job.running):
            self.drop(next(key for key in self.rows if key not in self._by_job.running))

    def end(self, step: Step, row: Deployment, state: DeploymentState, reason: str = "") -> None:
        ended = replace(row, state=state, reason=(reason or row.reason)[:MAX_REASON], ended_at_ms=step.at_ms)
        self.put(ended)
        why = f": {ended.reason}" if ended.reason else ""
        step.tell("DeploymentEnded", row.job, f"deployment {row.id} of {row.job}: {state}{why}")

    def supersede(self, step: Step, job: JobName, reason: str) -> None:
        """Whatever is under way with the job is not what is wanted any more."""
        if (row := self.running_of(job)) is not None:
            self.end(step, row, DeploymentState.SUPERSEDED, reason)


def _ready_at(row: Deployment) -> int:
    """Returns the version that all was ready at once it had ended, NO_VERSION where that is not known."""
    if row.state is DeploymentState.DONE:
        return row.to_version
    return row.from_version if row.state is DeploymentState.ROLLED_BACK else NO_VERSION


TABLES = (Deployments,)
COMMANDS = ()
