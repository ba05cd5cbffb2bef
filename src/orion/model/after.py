"""The order between jobs: what a job waits for before its tasks start."""

import enum

import msgspec

from orion.model.ids import JOB_NAME, JobName
from orion.model.levels import since
from orion.model.times import time_of_day

MAX_AFTER = 16  # jobs that one job may wait for


@since(2)
class Condition(enum.StrEnum):
    STARTED = "started"  # a task of it runs, or it has completed
    HEALTHY = "healthy"  # a task of it is ready
    COMPLETED = "completed"  # all of its tasks have ended with exit code 0


@since(2)
class After(msgspec.Struct, frozen=True, array_like=True):
    """A task starts once this holds of `job`. Unless it is `required`, a job that is not there, is stopped or has
    failed is not waited for.
    """

    job: JobName
    condition: Condition
    required: bool = True


@since(2)
class Gap(enum.StrEnum):
    """Why a condition does not hold."""

    NOT_YET = "not yet"
    ABSENT = "absent"
    STOPPED = "stopped"
    FAILED = "failed"  # a task of it has failed for good
    ENDED = "ended"  # all of it has ended, so nothing of it will be ready
    ENDLESS = "endless"  # it never completes: a system job
    CRON = "cron"  # it has no tasks, but its runs do
    UNSURE = "unsure"  # it holds by what is known, but no node that it is known of confirms it


@since(2)
class JobWait(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A job that is waited for. `since_ms` is the wall clock of who noticed first, 0 where nobody has noted it."""

    job: JobName
    condition: Condition
    gap: Gap
    since_ms: int = 0

    @property
    def key(self) -> tuple[JobName, Condition]:
        return self.job, self.condition


def after_fault(after: tuple[After, ...], name: str = "") -> str:
    """Says what no client's request has, "" where nothing is wrong."""
    if len(after) > MAX_AFTER:
        return f"after names {len(after)} jobs"
    if any(not JOB_NAME.fullmatch(each.job) for each in after):
        return "after is no job's name"
    if len({each.job for each in after}) < len(after) or any(each.job == name for each in after):
        return "after names a job twice, or the job itself"
    return ""


_WORDS = {
    Condition.STARTED: "be started",
    Condition.HEALTHY: "be healthy",
    Condition.COMPLETED: "be completed",
}
_WHY = {
    Gap.NOT_YET: "",
    Gap.ABSENT: "there is no job of that name",
    Gap.STOPPED: "it is stopped",
    Gap.FAILED: "it has failed",
    Gap.ENDED: "it has ended",
    Gap.ENDLESS: "it is a system job, which never completes",
    Gap.CRON: "it is a cron job, whose runs are jobs of their own",
    Gap.UNSURE: "its nodes do not confirm it yet",
}


def waits_text(waits: tuple[JobWait, ...]) -> str:
    """As in: waits for db to be healthy, since 12:03:11 UTC; and for app to be started (it is stopped)."""
    return f"waits {'; and '.join(map(_wait_text, waits))}"


def _wait_text(wait: JobWait) -> str:
    why = f" ({_WHY[wait.gap]})" if _WHY[wait.gap] else ""
    since_when = f", since {time_of_day(wait.since_ms)}" if wait.since_ms else ""
    return f"for {wait.job} to {_WORDS[wait.condition]}{why}{since_when}"


def noted(waits: tuple[JobWait, ...], former: tuple[JobWait, ...], at_ms: int) -> tuple[JobWait, ...]:
    """Returns the waits with the time since which each is there: that of the former one, or now."""
    known = {wait.key: wait.since_ms for wait in former}
    return tuple(msgspec.structs.replace(wait, since_ms=known.get(wait.key) or at_ms) for wait in waits)
