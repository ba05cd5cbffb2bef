"""Node commands: join, come back, leave, go down, drain, be removed."""

import itertools
from collections.abc import Callable

from msgspec.structs import replace

from orion.model.allocation import Allocation
from orion.model.errors import Conflict, NotFound, OrionError
from orion.model.ids import NodeId, RaftId, task_id
from orion.model.labels import Changes, effective
from orion.model.node import Node, NodeStatus
from orion.state import mutations
from orion.state.commands import DrainNode, RegisterNode, RemoveNode, SetNodeStatus
from orion.state.core.step import MAX_EVENTS_EACH, Answered, Result, Step, tasks_text
from orion.state.gate import rise, welcome
from orion.state.idempotency import once
from orion.state.records import MAX_REMOVED, NodeRecord
from orion.state.tables import State
from orion.state.tables.jobs import settle_ended


def register_node(state: State, step: Step, command: RegisterNode) -> Result:
    if command.raft_id in state.removed:
        return Conflict(
            "this data directory belonged to a node that was removed; start it with an empty data directory"
        )
    if (refusal := welcome(state, command)) is not None:
        return refusal
    record = state.records.get(command.node)
    if record is None:
        result = _join(state, step, command)
    elif record.node.raft_id == command.raft_id:
        result = _return(state, step, record, command)
    elif command.replaces:
        result = _replace(state, step, record, command)
    else:
        return _taken(command)
    rise(state, step)
    return result


def _taken(command: RegisterNode) -> Conflict:
    return Conflict(
        f"a node named {command.node} with another data directory is in this cluster; start this one with another"
        f" --id, or remove the other first: orion nodes rm {command.node}"
    )


def _join(state: State, step: Step, command: RegisterNode) -> Result:
    for other in state.nodes.values():
        if other.raft_id == command.raft_id:
            return Conflict(f"this data directory belongs to node {other.id}; start it with that --id")
    node = _node(command, state.next_number, step.at_ms, ())
    record = mutations.add_node(state, replace(node, engine=engine_of(state, node)))
    state.next_number += 1
    step.tell("NodeJoined", command.node, f"{command.node} joined")
    _tell_engine(step, record.node, former="")
    return record.node


def _return(state: State, step: Step, record: NodeRecord, command: RegisterNode) -> Result:
    former = record.node
    was_ready = former.status is NodeStatus.READY
    node = replace(
        _node(command, former.number, former.registered_at_ms, former.label_changes),
        engine=former.engine,
        draining=former.draining,
        changed_at_ms=former.changed_at_ms if was_ready else step.at_ms,
        refused_ports=former.refused_ports,
    )
    if not node.engine_id and command.engine_down:
        # It starts while its engine is down, so it can't know which engine it has: it has the same one still.
        node = replace(node, engine_id=former.engine_id, engine_run=former.engine_run)
    if node == former:
        return former
    node = replace(node, engine=engine_of(state, node))
    lost: list[Allocation] = []
    if node.engine_id != former.engine_id:
        lost = mutations.lose_all(state, record, f"{node.id} has another container engine now", step.at_ms)
        node = replace(node, refused_ports=())
    mutations.set_node(state, record, node)
    if node.engine != former.engine:
        lost += mutations.move_engine(state, record, former.engine, step.at_ms)
    if not was_ready:
        step.tell("NodeCameBack", node.id, f"{node.id} came back")
    _tell_changes(step, former, node)
    _tell_engine(step, node, former.engine_down)
    _after_loss(state, step, lost)
    return node


def engine_of(state: State, node: Node) -> str:
    """Which engine the node has: that of another node whose engine says the same id and is not known to be another
    running one, else one of its own.

    A node whose engine says the same id as before has the same one still, although every engine is another run
    after a restart, and nodes that share one tell of it one after the other. Only a run that others have too tells
    more.
    """
    if not node.engine_id:
        return ""
    others = [o for o in state.nodes.values() if o.engine_id == node.engine_id and o.id != node.id]
    same_run = [o for o in others if node.engine_run and o.engine_run == node.engine_run]
    former = state.nodes.get(node.id)
    known = former.engine if former and (former.raft_id, former.engine_id) == (node.raft_id, node.engine_id) else ""
    if known and (not same_run or any(other.engine == known for other in same_run)):
        return known
    unknown = [o for o in others if not (node.engine_run and o.engine_run)]
    if found := same_run or unknown:
        return min(found, key=lambda other: other.number).engine
    taken = {other.engine for other in others}
    names = itertools.chain([node.engine_id], (f"{node.engine_id} {n}" for n in itertools.count(2)))
    return next(name for name in names if name not in taken)


def _replace(state: State, step: Step, record: NodeRecord, command: RegisterNode) -> Result:
    former = record.node
    lost = mutations.lose_all(state, record, f"{former.id} started anew with an empty data directory", step.at_ms)
    bury(state, former.raft_id)
    node = _node(command, former.number, step.at_ms, former.label_changes)
    node = replace(node, draining=former.draining)
    node = replace(node, engine=engine_of(state, node))
    mutations.set_node(state, record, node)
    if node.engine != former.engine:
        mutations.move_engine(state, record, former.engine, step.at_ms)
    step.tell("NodeCameBack", node.id, f"{node.id} came back with an empty data directory{_lost_text(lost)}")
    _tell_engine(step, node, former.engine_down)
    _after_loss(state, step, lost)
    return node


def set_node_status(state: State, step: Step, command: SetNodeStatus) -> Result:
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
        lost = mutations.lose_all(state, record, f"{node.id} went down", step.at_ms)
    mutations.set_node(state, record, node)
    reason = f" ({command.reason})" if command.reason else ""
    if command.status is NodeStatus.DOWN:
        step.tell("NodeWentDown", node.id, f"{node.id} went down{reason}{_lost_text(lost)}")
    elif leaves:
        step.tell("NodeLeft", node.id, f"{node.id} left on purpose{reason}{_wait_text(record)}")
    else:
        step.tell("NodeCameBack", node.id, f"{node.id} came back{reason}")
    _after_loss(state, step, lost)
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


def drain_node(state: State, step: Step, command: DrainNode) -> Result:
    """Only a flag: the scheduler moves the work, plan by plan."""
    verb = "drain" if command.draining else "ready"
    return _once(state, step, verb, command, lambda: _drain(state, step, command))


def remove_node(state: State, step: Step, command: RemoveNode) -> Result:
    return _once(state, step, "remove", command, lambda: _remove(state, step, command))


def _once(
    state: State, step: Step, verb: str, command: DrainNode | RemoveNode, change: Callable[[], Answered]
) -> Answered:
    if not command.idempotency_key:
        return change()
    mark = f"{verb} {command.idempotency_key} {command.node}"
    return once(state.answers, step.index, mark, command.since, command.node, change)


def _drain(state: State, step: Step, command: DrainNode) -> NodeId | OrionError:
    record = state.records.get(command.node)
    if record is None:
        return unknown_node(command.node)
    if record.node.draining == command.draining:
        return command.node
    node = replace(record.node, draining=command.draining)
    mutations.set_node(state, record, node)
    if command.draining:
        text = f"{node.id} is draining: {tasks_text(record.active)} to move" if record.active else ""
        step.tell("NodeDrained", node.id, text or f"{node.id} is drained")
    else:
        step.tell("NodeReadied", node.id, f"{node.id} takes work again")
    return node.id


def _remove(state: State, step: Step, command: RemoveNode) -> NodeId | OrionError:
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
                f"{node.id} still has {tasks_text(record.active)}; wait until it is drained, or stop it first"
            )
    lost = mutations.lose_all(state, record, f"{node.id} was removed", step.at_ms)
    step.tell("NodeRemoved", node.id, f"{node.id} was removed{_lost_text(lost)}")
    _after_loss(state, step, lost)
    mutations.drop_node(state, record)
    bury(state, node.raft_id)
    rise(state, step)
    return node.id


def _node(command: RegisterNode, number: int, registered_at_ms: int, label_changes: Changes) -> Node:
    return Node(
        id=command.node,
        raft_id=command.raft_id,
        number=number,
        peer_address=command.peer_address,
        api_address=command.api_address,
        capacity=command.capacity,
        labels=effective(command.labels, label_changes),
        engine="",
        engine_id=command.engine,
        engine_run=command.engine_run,
        version=command.version,
        engine_down=command.engine_down,
        gossip_port=command.gossip_port,
        registered_at_ms=registered_at_ms,
        changed_at_ms=registered_at_ms,
        own_labels=command.labels,
        label_changes=label_changes,
        level=command.level,
    )


def unknown_node(node: str) -> NotFound:
    return NotFound(f"there is no node named {node}; orion nodes lists them")


def bury(state: State, raft: RaftId) -> None:
    """Its data directory is welcome no more."""
    state.removed[raft] = None
    if len(state.removed) > MAX_REMOVED:
        del state.removed[next(iter(state.removed))]


def _after_loss(state: State, step: Step, lost: list[Allocation]) -> None:
    """Tell of each lost task, unless the event that says how many is enough, and forget jobs that are over."""
    missed = [allocation for allocation in lost if allocation.wanted]
    if len(missed) <= MAX_EVENTS_EACH:
        for allocation in missed:
            task = task_id(allocation.job, allocation.index)
            step.tell("TaskLost", task, f"{task} lost: {allocation.status.reason}")
    settle_ended(state, step, lost)


def _lost_text(lost: list[Allocation]) -> str:
    missed = sum(allocation.wanted for allocation in lost)
    return f": {tasks_text(missed)} lost" if missed else ""


def _wait_text(record: NodeRecord) -> str:
    if not record.active:
        return ""
    verb = "waits" if record.active == 1 else "wait"
    return f"; {tasks_text(record.active)} {verb} for it up to {record.node.grace_ms / 1000:g} s"


def _tell_engine(step: Step, node: Node, former: str) -> None:
    if node.engine_down and not former:
        text = f"the container engine of {node.id} does not answer: {node.engine_down}"
        step.tell("EngineWentDown", node.id, text)
    elif former and not node.engine_down:
        step.tell("EngineCameBack", node.id, f"the container engine of {node.id} answers again")


def _tell_changes(step: Step, former: Node, node: Node) -> None:
    changed = [
        name
        for name, before, now in (
            ("addresses", (former.peer_address, former.api_address), (node.peer_address, node.api_address)),
            ("capacity", former.capacity, node.capacity),
            ("labels", former.labels, node.labels),
            ("engine", former.engine_id, node.engine_id),
            ("version", former.version, node.version),
        )
        if before != now
    ]
    if changed:
        step.tell("NodeChanged", node.id, f"{node.id} has changed: {', '.join(changed)}")
