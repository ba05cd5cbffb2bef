"""A verdict about a node: it leaves, goes down, or is there again."""

from msgspec.structs import replace

from orion.model.allocation import Allocation
from orion.model.counts import several
from orion.model.errors import OrionError
from orion.model.ids import NodeId, RaftId
from orion.model.node import Node, NodeStatus
from orion.state import mutations, node_moves
from orion.state.core.command import Command, command
from orion.state.core.faults import MAX_MS, MAX_TEXT, first, longer, node_fault, outside
from orion.state.core.step import Step
from orion.state.records import NodeRecord, Tables
from orion.state.tables.nodes import after_loss, lost_text, unknown_node
from orion.state.tables.reconnect import reconnect


class SetNodeStatus(Command, frozen=True, array_like=True, tag=3):
    """The leader's verdict, or a node's own word that it stops on purpose (status left, `grace_ms`).

    Down: its allocations are lost in the same step. `raft_id` must be the registered one, else nothing happens:
    a verdict about an older run of the node is void.
    """

    node: NodeId
    raft_id: RaftId
    status: NodeStatus
    reason: str = ""
    grace_ms: int = 0


def _status_fault(command: SetNodeStatus) -> str:
    return first(
        (
            node_fault(command.node),
            longer("reason", len(command.reason), MAX_TEXT),
            outside("grace_ms", command.grace_ms, MAX_MS),
        )
    )


@command(SetNodeStatus, fault=_status_fault)
def set_node_status(state: Tables, step: Step, command: SetNodeStatus) -> Node | OrionError | None:
    record = state.records.get(command.node)
    if record is None:
        return unknown_node(command.node)
    former = record.node
    if former.raft_id != command.raft_id:
        return None
    if (former.status, command.status) not in _STATUS_CHANGES:
        return former
    leaves = command.status is NodeStatus.LEFT
    node = replace(
        former,
        status=command.status,
        changed_at_ms=step.at_ms,
        grace_ms=command.grace_ms if leaves else 0,
    )
    lost: list[Allocation] = []
    if command.status is NodeStatus.DOWN:
        lost = node_moves.lose_all(state, record, f"{node.id} went down", step.at_ms)
    mutations.set_node(state, record, node)
    reason = f" ({command.reason})" if command.reason else ""
    if command.status is NodeStatus.DOWN:
        step.tell("NodeWentDown", node.id, f"{node.id} went down{reason}{lost_text(lost)}")
    elif leaves:
        step.tell("NodeLeft", node.id, f"{node.id} left on purpose{reason}{_wait_text(record)}")
    else:
        step.tell("NodeCameBack", node.id, f"{node.id} came back{reason}")
        if former.status is NodeStatus.DOWN:
            reconnect(state, step, record, former.changed_at_ms)
    after_loss(state, step, lost)
    return node


# What a verdict may change. Down is final until the node speaks again; leaving on purpose is no way out of it.
_STATUS_CHANGES = frozenset(
    (
        (NodeStatus.READY, NodeStatus.LEFT),
        (NodeStatus.READY, NodeStatus.DOWN),
        (NodeStatus.LEFT, NodeStatus.DOWN),
        (NodeStatus.LEFT, NodeStatus.READY),
        (NodeStatus.DOWN, NodeStatus.READY),
    )
)


def _wait_text(record: NodeRecord) -> str:
    if not record.active:
        return ""
    verb = "waits" if record.active == 1 else "wait"
    return f"; {several(record.active, 'task')} {verb} for it up to {record.node.grace_ms / 1000:g} s"


TABLES = ()
COMMANDS = (set_node_status,)
