"""Jobs and their allocations as rows: kept in the state itself (`records.Tables`), which is made for a million."""

from collections.abc import Iterator
from itertools import groupby
from typing import Self

import msgspec

from orion.model.allocation import SCHEDULED, Allocation
from orion.model.ids import AllocationId, JobName, NodeId
from orion.model.job import Job, JobKind, TaskSpec
from orion.model.levels import since
from orion.model.placement import RefusalReason
from orion.state import mutations
from orion.state.core.frames import Rows, batches
from orion.state.core.table import Table, same
from orion.state.job_record import JobRecord, Rollout, Slot
from orion.state.records import MAX_COUNT, Tables

_AT_ONCE = 2_000  # allocations: freeing them takes about a millisecond


class JobsFrame(Rows, frozen=True, array_like=True, tag=5):
    """With the refusal of each. A job's allocations follow it."""

    rows: list[tuple[Job, RefusalReason]]


class AllocationsFrame(Rows, frozen=True, array_like=True, tag=6):
    """The jobs that came before, by task, newest last."""

    rows: list[Allocation]


class RolloutRow(msgspec.Struct, frozen=True, array_like=True):
    """As Rollout, of a job that came before. `slots` are runs: a version, and how many slots one after the other
    want it; empty is all the job's own.
    """

    job: JobName
    slot_count: int
    last: int
    specs: tuple[tuple[int, TaskSpec], ...]
    slots: tuple[tuple[int, int], ...]
    healthy: int
    moving: tuple[AllocationId, ...]
    alone: bool


@since(2)
class RolloutsFrame(Rows, frozen=True, array_like=True, tag=12):
    """Each before its job's allocations."""

    rows: list[RolloutRow]


class SuccessorsFrame(Rows, frozen=True, array_like=True, tag=10):
    """Jobs that wait until the one of their name has ended, which came before."""

    rows: list[Job]


class Jobs(Table):
    frames = (JobsFrame, RolloutsFrame, AllocationsFrame, SuccessorsFrame)

    def __init__(self, state: Tables) -> None:
        self._state = state
        # While rows are taken back, equal values become one object, as they were where `apply` made them: a million
        # rows share much.
        self._names: dict[NodeId, NodeId] = {}
        self._created_at_ms = 0

    def capture(self) -> Iterator[Rows]:
        records = self._state.jobs.values()
        jobs = [(record.job, record.refusal, _row(record), record.slots.copy()) for record in records]
        successors = [record.successor for record in records if record.successor]
        return _frames(jobs, successors)

    def header(self) -> dict[str, int]:
        return {"next_allocation": self._state.next_allocation}

    def restore_header(self, header: dict[str, int]) -> None:
        self._state.next_allocation = header["next_allocation"]

    def restore(self, frame: JobsFrame | RolloutsFrame | AllocationsFrame | SuccessorsFrame) -> None:
        match frame:
            case AllocationsFrame():
                for allocation in frame.rows:
                    self._restore_allocation(allocation)
            case JobsFrame():
                for job, refusal in frame.rows:
                    if not _can_be(job) or job.name in self._state.jobs:
                        raise LookupError(job.name)
                    mutations.add_job(self._state, job, refusal)
            case RolloutsFrame():
                for row in frame.rows:
                    self._restore_rollout(row)
            case SuccessorsFrame():
                for job in frame.rows:
                    self._restore_successor(job)

    def _restore_rollout(self, row: RolloutRow) -> None:
        """Raises LookupError for one that can't be."""
        record = self._state.jobs[row.job]
        count = record.job.count
        wanted = sum(length for _, length in row.slots)
        if (
            record.rollout
            or record.active
            or not count <= row.slot_count <= MAX_COUNT
            or row.last < record.job.version
        ):
            raise LookupError(row.job)
        if row.slots and (wanted != row.slot_count or any(length < 1 for _, length in row.slots)):
            raise LookupError(row.job)
        rollout = record.rollout = Rollout(row.last)
        rollout.specs = dict(row.specs)
        rollout.healthy, rollout.alone = row.healthy, row.alone
        rollout.moving = dict.fromkeys(row.moving)
        if row.slots:
            rollout.slots = [version for version, length in row.slots for _ in range(length)]
        surplus = row.slot_count - count
        record.slots.extend([None] * surplus)
        record.open.extend(bytes(surplus))

    def _restore_successor(self, job: Job) -> None:
        """Raises LookupError for one that nothing keeps waiting."""
        record = self._state.jobs[job.name]
        if record.job.wanted or not record.active or not 0 <= job.count <= MAX_COUNT:
            raise LookupError(job.name)
        record.successor = job

    def _restore_allocation(self, row: Allocation) -> None:
        """Raises LookupError when its job, task or node is not there, or it is there already."""
        state = self._state
        record = state.jobs[row.job]
        node = state.records.get(row.node)
        fits = row.terminal or len(row.ports) == len(record.spec(row.job_version).ports)
        sound = 0 <= row.index < len(record.slots) and fits
        if not sound or row.id in state.allocations or (node is None and not row.terminal):
            raise LookupError(row)
        if row.created_at_ms != self._created_at_ms:
            self._created_at_ms = row.created_at_ms
        allocation = Allocation(
            row.id,
            record.job.name,
            row.job_version,
            state.small_ints[row.index] if row.index < len(state.small_ints) else row.index,
            node.node.id if node else self._names.setdefault(row.node, row.node),
            row.ports,
            row.wanted,
            self._created_at_ms,
            SCHEDULED if row.status.state is SCHEDULED.state and row.status == SCHEDULED else row.status,
            row.ran,
            row.ip,
            row.more_ips,
        )
        mutations.insert(state, record, node, allocation)

    def check(self, again: Self) -> None:
        mine, other = self._state, again._state
        for name in ("next_allocation", "allocations", "stuck", "waits_after", "waits_beside"):
            same(name, getattr(mine, name), getattr(other, name))
        same("order of jobs", list(mine.jobs), list(other.jobs))
        same("order of jobs by serial", sorted(mine.jobs, key=lambda name: mine.jobs[name].serial), list(mine.jobs))
        waiting = sorted((record.queue_key, name) for name, record in mine.jobs.items() if record.open_count)
        same("open jobs", list(mine.open_jobs.items()), [row for row in waiting if not mine.jobs[row[1]].refusal])
        same("refused jobs", list(mine.refused_jobs.items()), [row for row in waiting if mine.jobs[row[1]].refusal])
        for job, record in mine.jobs.items():
            same(f"record of {job}", _parts(record), _parts(other.jobs[job]))

    def free(self) -> Iterator[None]:
        state = self._state
        allocations = state.allocations
        while allocations:
            for _ in range(min(_AT_ONCE, len(allocations))):
                allocations.popitem()
            yield
        while state.jobs:
            _, record = state.jobs.popitem()
            while record.slots:
                del record.slots[-_AT_ONCE:]
                yield
        for queue in (state.open_jobs, state.refused_jobs):
            queue.clear()
            yield
        state.stuck.clear()
        state.waits_beside.clear()
        state.waits_after.clear()
        yield


def _can_be(job: Job) -> bool:
    slots = len(job.homes) if job.kind is JobKind.SYSTEM else job.count
    return 0 <= job.count <= MAX_COUNT and job.count == slots


def _row(record: JobRecord) -> RolloutRow | None:
    rollout = record.rollout
    if rollout is None:
        return None
    return RolloutRow(
        record.job.name,
        len(record.slots),
        rollout.last,
        tuple(sorted(rollout.specs.items())),
        tuple((version, len(list(run))) for version, run in groupby(rollout.slots or ())),
        rollout.healthy,
        tuple(sorted(rollout.moving)),
        rollout.alone,
    )


def _frames(
    jobs: list[tuple[Job, RefusalReason, RolloutRow | None, list[Slot]]], successors: list[Job]
) -> Iterator[Rows]:
    for job, refusal, rollout, slots in jobs:
        yield JobsFrame([(job, refusal)])
        if rollout is not None:
            yield RolloutsFrame([rollout])
        for rows in batches(_flat(slots)):
            yield AllocationsFrame(rows)
    for successor in successors:
        yield SuccessorsFrame([successor])


def _flat(slots: list[Slot]) -> Iterator[Allocation]:
    for slot in slots:
        if slot is None:
            continue
        if type(slot) is tuple:  # quicker than isinstance, a million times
            yield from slot
        else:
            yield slot  # type: ignore[misc]


def _parts(record: JobRecord) -> tuple[object, ...]:
    assert record.successor is None or (record.active and not record.job.wanted), f"{record.job.name} need not wait"
    assert record.active or not record.job.stopping, f"{record.job.name} is over"
    return (
        record.job,
        record.refusal,
        record.successor,
        record.rollout.parts() if record.rollout else None,
        record.slots,
        record.open,
        record.open_count,
        record.active,
    )
