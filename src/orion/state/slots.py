"""A task is a slot of its job: its state follows from the allocations that the slot remembers."""

import msgspec

from orion.model.allocation import Allocation, AllocationState
from orion.model.counts import several
from orion.model.job import JobKind, TaskSpec
from orion.model.placement import PlacementFailure
from orion.model.placement_text import placement_text
from orion.state.job_record import OPEN, JobRecord, ends_slot

PENDING = "pending"
HELD = "waiting"  # for other jobs
STOPPED = "stopped"
WAITING = "waiting to be placed"


class TaskSlot(msgspec.Struct, frozen=True):
    """`state`: pending, waiting, an AllocationState, or stopped. `allocation` is the run that this state is about;
    None while pending or waiting, or when it never ran. `failure`: why no node takes it. `words`: any other reason.
    """

    state: str
    task: TaskSpec
    allocation: Allocation | None = None
    failure: PlacementFailure | None = None
    words: str = ""

    @property
    def reason(self) -> str:
        """Why it is in this state, in a sentence for a person; "" where nothing is to be said."""
        if self.failure is not None:
            return placement_text(self.failure, self.task)
        if self.allocation is None:
            return self.words
        said = self.allocation.status.reason_text(self.task.image)
        return "; ".join(filter(None, (self.words, said)))


def task_slot(record: JobRecord, index: int) -> TaskSlot:
    task = record.latest.task
    if record.successor is not None:
        state = STOPPED if record.successor.stopped else PENDING
        return TaskSlot(state, task, words=_why_after(record))
    if record.job.kind is JobKind.CRON:
        runs = f"its runs are jobs of their own: 'orion cron runs {record.job.name}' lists them"
        return TaskSlot(STOPPED if record.job.stopped else PENDING, task, words=runs)
    history = record.history(index)
    if record.open[index] == OPEN and not _in_use(history):
        if isinstance(record.refusal, str):
            return TaskSlot(PENDING, task, words=record.refusal or _why_open(history))
        return TaskSlot(HELD if record.refusal.waits else PENDING, task, failure=record.refusal)
    current = _current(record, history)
    if current is None:
        return TaskSlot(AllocationState.COMPLETED.value if record.job.collected else STOPPED, task)
    task = record.spec(current.job_version)
    if record.job.stopped and current.terminal and not ends_slot(current, record.job.kind):
        return TaskSlot(STOPPED, task, current)
    ending = not current.wanted and not current.terminal
    return TaskSlot(current.status.state.value, task, current, words="stopping" if ending else "")


def _in_use(history: tuple[Allocation, ...]) -> bool:
    """Returns whether a former run serves while its slot waits for a new one."""
    return any(each.wanted and not each.terminal for each in history)


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
    """Returns what a job waits for that has its name from another one, or from itself before it was stopped."""
    if record.job.count > 1:
        verb = "has" if record.active == 1 else "have"
        return f"waits until {several(record.active, 'task')} of the former {record.job.name} {verb} ended"
    nodes = sorted(allocation.node for allocation in record.history(0) if not allocation.terminal)
    return f"waits until the former {record.job.name} has ended on {' and '.join(nodes)}"


def _why_open(history: tuple[Allocation, ...]) -> str:
    """Returns what became of the run before, of a task that the scheduler has said nothing of."""
    if history and history[-1].status.state is AllocationState.LOST:
        return f"{history[-1].status.reason}; {WAITING}"
    return WAITING
