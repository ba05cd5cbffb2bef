"""How many runs of a job do what."""

from collections.abc import Iterable
from typing import NamedTuple

from orion.model.allocation import Allocation, AllocationState
from orion.state.job_record import JobRecord


class Counts(NamedTuple):
    """Runs of a job, or of one of its slots: those that have not ended, and of these those whose program runs; of
    these those that may be used, and those of the version that was asked for last. `troubled`: those that may have
    to say why the job is not as asked. `failed`: slots that have had a run which failed.
    """

    active: int = 0
    running: int = 0
    ready: int = 0
    updated: int = 0
    troubled: int = 0
    failed: int = 0


NONE = Counts()


def of_slot(record: JobRecord, index: int) -> Counts:
    history = record.history(index)
    active = [each for each in history if not each.terminal]
    failed = [each for each in history if each.status.state is AllocationState.FAILED]
    if not active:
        return Counts(troubled=int(any(each.wanted for each in failed)), failed=1) if failed else NONE
    running = [each for each in active if each.status.state is AllocationState.RUNNING]
    return Counts(
        len(active),
        len(running),
        sum(record.is_ready(each) for each in running if each.wanted),
        sum(each.job_version == record.latest.version for each in running),
        sum(each.wanted and (each.status.restarts > 0 or bool(each.status.reason)) for each in active),
        int(bool(failed)),
    )


def of_job(record: JobRecord) -> Counts:
    return summed(of_slot(record, index) for index in range(len(record.slots)))


def summed(each: Iterable[Counts]) -> Counts:
    return Counts(*map(sum, zip(NONE, *each, strict=True)))


def active_of(record: JobRecord) -> list[Allocation]:
    return [each for index in range(len(record.slots)) for each in record.history(index) if not each.terminal]
