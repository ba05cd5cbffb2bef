"""A task is a slot of its job: its state follows from the allocations that the slot remembers."""

import msgspec

from orion.model.allocation import Allocation, AllocationState
from orion.state.core.step import tasks_text
from orion.state.records import OPEN, JobRecord, ends_slot

PENDING = "pending"
STOPPED = "stopped"
WAITING = "waiting to be placed"


class TaskSlot(msgspec.Struct, frozen=True):
    """`state`: pending, an AllocationState, or stopped. `allocation` is the run that this state is about; None
    while pending, or when it never ran.
    """

    state: str
    reason: str
    allocation: Allocation | None


def task_slot(record: JobRecord, index: int) -> TaskSlot:
    if record.successor is not None:
        state = STOPPED if record.successor.stopped else PENDING
        return TaskSlot(state, _why_after(record), None)
    history = record.history(index)
    if record.open[index] == OPEN:
        return TaskSlot(PENDING, _why_pending(record, history), None)
    current = _current(record, history)
    if current is None:
        return TaskSlot(STOPPED, "", None)
    reason = current.status.reason_text(record.latest.task.image)
    if record.job.stopped and current.terminal and not ends_slot(current, record.job.kind):
        return TaskSlot(STOPPED, reason, current)
    if not current.wanted and not current.terminal:
        reason = f"stopping; {reason}" if reason else "stopping"
    return TaskSlot(current.status.state.value, reason, current)


def _current(record: JobRecord, history: tuple[Allocation, ...]) -> Allocation | None:
    """The run that counts: the one wanted and active, else the one that ended the slot, else the newest."""
    for allocation in reversed(history):
        if allocation.wanted and not allocation.terminal:
            return allocation
    for allocation in reversed(history):
        if ends_slot(allocation, record.job.kind):
            return allocation
    return history[-1] if history else None


def _why_after(record: JobRecord) -> str:
    """What a job waits for that has its name from another one, or from itself before it was stopped."""
    if record.job.count > 1:
        verb = "has" if record.active == 1 else "have"
        return f"waits until {tasks_text(record.active)} of the former {record.job.name} {verb} ended"
    nodes = sorted(allocation.node for allocation in record.history(0) if not allocation.terminal)
    return f"waits until the former {record.job.name} has ended on {' and '.join(nodes)}"


def _why_pending(record: JobRecord, history: tuple[Allocation, ...]) -> str:
    """What the scheduler said, else what became of the run before."""
    if record.refusal:
        return record.refusal
    if history and history[-1].status.state is AllocationState.LOST:
        return f"{history[-1].status.reason}; {WAITING}"
    return WAITING
