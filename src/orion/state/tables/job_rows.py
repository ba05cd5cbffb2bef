"""Jobs and their allocations as rows: kept in the state itself (`records.Tables`), which is made for a million."""

from collections.abc import Iterator
from typing import Self

from orion.model.allocation import SCHEDULED, Allocation
from orion.model.ids import NodeId
from orion.model.job import Job
from orion.model.placement import RefusalReason
from orion.state import mutations
from orion.state.core.frames import Rows, batches
from orion.state.core.table import Table, same
from orion.state.records import MAX_COUNT, JobRecord, Slot, Tables

_AT_ONCE = 2_000  # allocations: freeing them takes about a millisecond


class JobsFrame(Rows, frozen=True, array_like=True, tag=5):
    """With the refusal of each. A job's allocations follow it."""

    rows: list[tuple[Job, RefusalReason]]


class AllocationsFrame(Rows, frozen=True, array_like=True, tag=6):
    """The jobs that came before, by task, newest last."""

    rows: list[Allocation]


class SuccessorsFrame(Rows, frozen=True, array_like=True, tag=10):
    """Jobs that wait until the one of their name has ended, which came before."""

    rows: list[Job]


class Jobs(Table):
    frames = (JobsFrame, AllocationsFrame, SuccessorsFrame)

    def __init__(self, state: Tables) -> None:
        self._state = state
        # While rows are taken back, equal values become one object, as they were where `apply` made them: a million
        # rows share much.
        self._names: dict[NodeId, NodeId] = {}
        self._created_at_ms = 0

    def capture(self) -> Iterator[Rows]:
        records = self._state.jobs.values()
        jobs = [(record.job, record.refusal, record.slots.copy()) for record in records]
        successors = [record.successor for record in records if record.successor]
        return _frames(jobs, successors)

    def header(self) -> dict[str, int]:
        return {"next_allocation": self._state.next_allocation}

    def restore_header(self, header: dict[str, int]) -> None:
        self._state.next_allocation = header["next_allocation"]

    def restore(self, frame: JobsFrame | AllocationsFrame | SuccessorsFrame) -> None:
        match frame:
            case AllocationsFrame():
                for allocation in frame.rows:
                    self._restore_allocation(allocation)
            case JobsFrame():
                for job, refusal in frame.rows:
                    if not 0 <= job.count <= MAX_COUNT or job.name in self._state.jobs:
                        raise LookupError(job.name)
                    mutations.add_job(self._state, job, refusal)
            case SuccessorsFrame():
                for job in frame.rows:
                    self._restore_successor(job)

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
        sound = 0 <= row.index < record.job.count and len(row.ports) == len(record.job.task.ports)
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
        )
        mutations.insert(state, record, node, allocation)

    def check(self, again: Self) -> None:
        mine, other = self._state, again._state
        for name in ("next_allocation", "allocations", "stuck", "waits_beside"):
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
        yield


def _frames(jobs: list[tuple[Job, RefusalReason, list[Slot]]], successors: list[Job]) -> Iterator[Rows]:
    for job, refusal, slots in jobs:
        yield JobsFrame([(job, refusal)])
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
        record.slots,
        record.open,
        record.open_count,
        record.active,
    )
