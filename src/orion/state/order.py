"""The order between jobs: what a task that is about to start has to wait for (docs/design/after.md)."""

from collections.abc import Callable, Iterator

from orion.model.after import After, Condition, Gap, JobWait
from orion.model.allocation import Allocation, AllocationState
from orion.model.ids import JobName
from orion.model.job import Job, JobKind
from orion.state.job_record import JobRecord

Lookup = Callable[[JobName], JobRecord | None]
# Not waited for unless it is required. What a job can never be is a mistake, and is said of both.
_OPTIONAL = (Gap.ABSENT, Gap.STOPPED, Gap.FAILED, Gap.ENDED)


def unmet(jobs: Lookup, record: JobRecord, version: int) -> tuple[JobWait, ...]:
    """Returns what a task of this version has to wait for before it starts; () when nothing.

    A version of which a task runs has begun. Its other tasks, and those that replace one, wait for nobody.
    """
    after = record.spec(version).after
    if not after:
        return ()
    waits = tuple(JobWait(each.job, each.condition, gap) for each in after if (gap := gap_of(jobs(each.job), each)))
    return () if waits and any(runs_of(record, version)) else waits


def runs_of(record: JobRecord, version: int) -> Iterator[Allocation]:
    """The tasks of a version that run."""
    return (each for each in _running(record) if each.job_version == version)


def gap_of(record: JobRecord | None, after: After) -> Gap | None:
    """Returns why the condition does not hold; None when it does, or the job is not waited for."""
    gap = _gap(record, after.condition)
    return None if gap in _OPTIONAL and not after.required else gap


def witnesses(record: JobRecord | None, condition: Condition) -> list[Allocation]:
    """Returns the tasks that run and by which the condition holds. What has completed needs none."""
    if record is None or condition is Condition.COMPLETED or has_completed(record):
        return []
    ready = condition is Condition.HEALTHY
    return [each for each in _running(record) if not ready or record.is_ready(each)]


def _gap(record: JobRecord | None, condition: Condition) -> Gap | None:
    if record is None or record.latest.stopping:
        return Gap.ABSENT
    job = record.job
    if record.latest.stopped:
        return Gap.STOPPED
    if job.kind is JobKind.CRON:
        return Gap.CRON
    if record.successor is not None:
        return Gap.NOT_YET
    if job.kind is JobKind.SERVICE and not job.count:
        return Gap.STOPPED  # as somebody has said who scaled it to nothing
    if job.collected or record.finished:
        if not has_completed(record):
            return Gap.FAILED
        return Gap.ENDED if condition is Condition.HEALTHY else None
    if condition is Condition.COMPLETED:
        return Gap.ENDLESS if job.kind is JobKind.SYSTEM else Gap.NOT_YET
    ready = condition is Condition.HEALTHY
    holds = any(not ready or record.is_ready(each) for each in _running(record))
    return None if holds else Gap.NOT_YET


def has_completed(record: JobRecord) -> bool:
    """Returns whether all tasks of the job, as it is now, have ended with exit code 0."""
    if record.job.collected:
        return True
    return record.finished and all(
        any(
            each.status.state is AllocationState.COMPLETED and each.job_version == record.version(index)
            for each in record.history(index)
        )
        for index in range(record.job.count)
    )


def _running(record: JobRecord) -> Iterator[Allocation]:
    if not record.active:
        return
    for index in range(len(record.slots)):
        for each in record.history(index):
            if each.wanted and each.status.state is AllocationState.RUNNING:
                yield each


def circle(jobs: Lookup, job: Job) -> tuple[JobName, ...]:
    """Returns the names of jobs that would wait for each other in a circle if `job` were there, from its own name
    to its own name; () when none would.
    """
    before: dict[JobName, JobName] = {}
    left = [(each.job, job.name) for each in reversed(job.task.after)]
    while left:
        name, by = left.pop()
        if name == job.name:
            names = [name, by]
            while names[-1] != job.name:
                names.append(before[names[-1]])
            return tuple(reversed(names))
        if name in before:
            continue
        before[name] = by
        record = jobs(name)
        if record is not None and not record.latest.stopping:
            left += [(each.job, name) for each in reversed(record.latest.task.after)]
    return ()
