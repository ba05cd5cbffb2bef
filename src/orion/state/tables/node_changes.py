"""Commands of people about a node: drain it, make it ready again, remove it."""

from msgspec.structs import replace

from orion.model.counts import several
from orion.model.errors import Conflict, OrionError
from orion.model.ids import NodeId, RaftId
from orion.model.node import Node, NodeStatus
from orion.state import mutations, node_moves
from orion.state.core.command import Command, Once, command
from orion.state.core.faults import key_fault, node_fault
from orion.state.core.step import Step
from orion.state.gate import level_with, rise
from orion.state.records import Tables
from orion.state.tables.answers import Answers
from orion.state.tables.claims import Claims
from orion.state.tables.nodes import after_loss, bury, lost_text, unknown_node
from orion.state.tables.subnets import drop_subnets


class DrainNode(Command, frozen=True, array_like=True, tag=4):
    """`draining` false makes it ready for work again. Carried out once, as CreateJob; without an `idempotency_key`
    (as logs of before have it) every time that it comes.
    """

    node: NodeId
    draining: bool
    idempotency_key: str = ""
    since: int = 0


class RemoveNode(Command, frozen=True, array_like=True, tag=5):
    """Forget a node for good. Refused while it is ready and not drained of its work, and (Conflict) when another
    data directory than `raft` has its name by now; 0 is whichever. Carried out once, as DrainNode.
    """

    node: NodeId
    raft_id: RaftId = RaftId(0)
    idempotency_key: str = ""
    since: int = 0


def _fault(command: DrainNode | RemoveNode) -> str:
    return node_fault(command.node) or key_fault(command.idempotency_key)


def _mark(verb: str, command: DrainNode | RemoveNode) -> str:
    """A command without a key is carried out every time that it comes."""
    return f"{verb} {command.idempotency_key} {command.node}" if command.idempotency_key else ""


@command(
    DrainNode,
    fault=_fault,
    once=Once(
        Answers,
        mark=lambda command: _mark("drain" if command.draining else "ready", command),
        subject=lambda command: command.node,
    ),
)
def drain_node(state: Tables, step: Step, command: DrainNode) -> NodeId | OrionError:
    """Only a flag: the scheduler moves the work, plan by plan."""
    record = state.records.get(command.node)
    if record is None:
        return unknown_node(command.node)
    if record.node.draining == command.draining:
        return command.node
    node = replace(record.node, draining=command.draining)
    mutations.set_node(state, record, node)
    if command.draining:
        text = f"{node.id} is draining: {several(record.active, 'task')} to move" if record.active else ""
        step.tell("NodeDrained", node.id, text or f"{node.id} is drained")
    else:
        step.tell("NodeReadied", node.id, f"{node.id} takes work again")
    return node.id


@command(
    RemoveNode,
    fault=_fault,
    once=Once(Answers, mark=lambda command: _mark("remove", command), subject=lambda command: command.node),
)
def remove_node(state: Tables, step: Step, command: RemoveNode) -> NodeId | OrionError:
    record = state.records.get(command.node)
    if record is None:
        return unknown_node(command.node)
    node = record.node
    if command.raft_id not in (0, node.raft_id):
        return Conflict(
            f"{node.id} has another data directory than the node that was to be removed; look at it before you"
            " remove it: orion nodes"
        )
    if node.status is NodeStatus.READY:
        if not node.draining:
            return Conflict(f"{node.id} is in use; drain it first: orion drain {node.id}")
        if record.active:
            return Conflict(
                f"{node.id} still has {several(record.active, 'task')}; wait until it is drained, or stop it first"
            )
    level = level_with(state, node.id, None)
    lost = node_moves.lose_all(state, record, f"{node.id} was removed", step.at_ms)
    step.tell("NodeRemoved", node.id, f"{node.id} was removed{lost_text(lost)}")
    after_loss(state, step, lost)
    if node.status is NodeStatus.LEFT:
        _add_grace(state, node)
    node_moves.drop_node(state, record)
    drop_subnets(state, node.id)
    bury(state, node.raft_id)
    rise(state, step, level)
    return node.id


def _add_grace(state: Tables, node: Node) -> None:
    """A node that has stopped on purpose lets its tasks go on for its grace before their time without the cluster
    begins. Whoever counts that time begins with the removal.
    """
    claims = state.of(Claims)
    for claim in claims.of_node(node.id):
        if claim.stop_after_ms:
            claims.put(replace(claim, stop_after_ms=claim.stop_after_ms + node.grace_ms))


TABLES = ()
COMMANDS = (drain_node, remove_node)
