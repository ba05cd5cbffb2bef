"""Status updates of nodes about their allocations."""

from orion.model.allocation import TRANSITIONS, Allocation, AllocationState, AllocationStatus
from orion.model.errors import NotFound
from orion.model.ids import AllocationId, NodeId, task_id
from orion.state import mutations
from orion.state.core.command import Command, command
from orion.state.core.faults import (
    MAX_MS,
    MAX_NUMBER,
    MAX_PORT,
    MAX_TEXT,
    MAX_WORD,
    MIN_MS,
    first,
    longer,
    node_fault,
    outside,
)
from orion.state.core.step import Step
from orion.state.records import Tables
from orion.state.tables.jobs import settle_ended


class UpdateAllocations(Command, frozen=True, array_like=True, tag=8):
    """Status updates of one node about its allocations. Illegal transitions are ignored one by one."""

    node: NodeId
    updates: tuple[tuple[AllocationId, AllocationStatus], ...]


def _fault(command: UpdateAllocations) -> str:
    return node_fault(command.node) or first(_status_fault(status) for _, status in command.updates)


def _status_fault(status: AllocationStatus) -> str:
    return first(
        (
            longer("reason", len(status.reason), MAX_TEXT),
            longer("address", len(status.address), MAX_WORD),
            longer("container", len(status.container), MAX_WORD),
            outside("started_at_ms", status.started_at_ms, MAX_MS, MIN_MS),
            outside("finished_at_ms", status.finished_at_ms, MAX_MS, MIN_MS),
            outside("restarts", status.restarts, MAX_NUMBER),
            outside("failed_starts", status.failed_starts, MAX_NUMBER),
            outside("refused_port", status.refused_port, MAX_PORT),
            outside("ready_since_ms", status.ready_since_ms, MAX_MS, MIN_MS),
            outside("done_bytes", status.pull.done_bytes, MAX_NUMBER) if status.pull else "",
            outside("total_bytes", status.pull.total_bytes, MAX_NUMBER) if status.pull else "",
        )
    )


@command(UpdateAllocations, fault=_fault)
def update_allocations(state: Tables, step: Step, command: UpdateAllocations) -> NotFound | None:
    """Each update stands alone: one about another node's allocation, a forgotten one, or an illegal transition
    is ignored.
    """
    record = state.records.get(command.node)
    if record is None:
        return NotFound(f"there is no node named {command.node}; orion nodes lists them")
    ended: list[Allocation] = []
    heard = False
    for identity, status in command.updates:
        former = state.allocations.get(identity)
        if former is None or former.node != command.node or not _follows(former.status, status):
            continue
        changed = mutations.set_status(state, former, status)
        heard = True
        if status.refused_port:
            mutations.note_refused_port(state, record, changed)
        _tell(step, former, changed)
        if changed.terminal:
            ended.append(changed)
    if heard:
        record.work_index = step.index  # or its agent would say it again, for ever
    if ended and record.node.draining and not record.active:
        step.tell("NodeEmptied", command.node, f"{command.node} is drained: no task is left on it")
    settle_ended(state, step, ended)
    return None


def _follows(former: AllocationStatus, status: AllocationStatus) -> bool:
    if status.state is former.state:
        return not former.terminal and status != former
    return status.state in TRANSITIONS[former.state]


_EVENTS = {
    AllocationState.RUNNING: ("TaskStarted", "runs"),
    AllocationState.COMPLETED: ("TaskCompleted", "completed"),
    AllocationState.FAILED: ("TaskFailed", "failed"),
    AllocationState.STOPPED: ("TaskStopped", "stopped"),
    AllocationState.LOST: ("TaskLost", "was lost"),
}


def _tell(step: Step, former: Allocation, changed: Allocation) -> None:
    status = changed.status
    if status.state is former.status.state:
        return
    if former.status.state is AllocationState.RUNNING and not status.terminal:
        kind, verb = "TaskRestarted", "is started again"
    elif status.state in _EVENTS:
        kind, verb = _EVENTS[status.state]
    else:
        return
    task = task_id(changed.job, changed.index)
    reason = f": {status.reason}" if status.reason else ""
    step.tell(kind, task, f"{task} {verb} on {changed.node}{reason}")


TABLES = ()
COMMANDS = (update_allocations,)
