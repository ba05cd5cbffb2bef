"""Nodes: their rows, and how they join and come back."""

import itertools
from collections.abc import Iterator
from typing import Annotated, Self

from msgspec.structs import replace

from orion.model.allocation import Allocation
from orion.model.counts import several
from orion.model.errors import Conflict, NotFound, OrionError
from orion.model.ids import AllocationId, NodeId, RaftId, task_id
from orion.model.labels import Changes, effective
from orion.model.levels import FIRST, since
from orion.model.node import Node, NodeStatus, address_parts
from orion.model.resources import Resources
from orion.model.storage import NodePlugin, plugins_fault
from orion.state import mutations, node_moves
from orion.state.core.command import Command, command
from orion.state.core.faults import (
    MAX_ID,
    MAX_LEVEL,
    MAX_PORT,
    MAX_TEXT,
    MAX_WORD,
    first,
    longer,
    node_fault,
    outside,
    resources_fault,
)
from orion.state.core.frames import Rows, batches
from orion.state.core.step import MAX_EVENTS_EACH, Step
from orion.state.core.table import Table, same
from orion.state.gate import level_with, rise, welcome
from orion.state.records import MAX_REMOVED, NodeRecord, Tables
from orion.state.tables.jobs import settle_ended
from orion.state.tables.reconnect import reconnect

# --- rows --------------------------------------------------------------------------------------------------


class NodesFrame(Rows, frozen=True, array_like=True, tag=2):
    rows: list[Node]


class RemovedFrame(Rows, frozen=True, array_like=True, tag=3):
    """Raft ids of data directories that are welcome no more."""

    rows: list[RaftId]


class Nodes(Table):
    """Kept in the state itself (`records.Tables`), where a million placements look for them."""

    frames = (NodesFrame, RemovedFrame)

    def __init__(self, state: Tables) -> None:
        self._state = state

    def capture(self) -> Iterator[Rows]:
        nodes, removed = list(self._state.nodes.values()), list(self._state.removed)
        return itertools.chain(map(NodesFrame, batches(nodes)), map(RemovedFrame, batches(removed)))

    def header(self) -> dict[str, int]:
        return {"next_number": self._state.next_number}

    def restore_header(self, header: dict[str, int]) -> None:
        self._state.next_number = header["next_number"]

    def restore(self, frame: NodesFrame | RemovedFrame) -> None:
        state = self._state
        if isinstance(frame, RemovedFrame):
            state.removed.update(dict.fromkeys(frame.rows))
            return
        for node in frame.rows:
            if node.id in state.nodes or node.number in state.numbers or node.number >= state.next_number:
                raise LookupError(node)
            mutations.add_node(state, node).work_index = state.index

    def check(self, again: Self) -> None:
        mine, other = self._state, again._state
        for name in ("next_number", "nodes", "removed", "engines"):
            same(name, getattr(mine, name), getattr(other, name))
        for name in ("records", "numbers", "draining"):
            same(f"keys of {name}", set(getattr(mine, name)), set(getattr(other, name)))
        same("holdings", _holdings(mine), _holdings(other))
        for node, record in mine.records.items():
            labels = effective(record.node.own_labels, record.node.label_changes)
            same(f"labels of {node}", record.node.labels, labels)
            assert record is mine.numbers[record.number]
            same(f"record of {node}", _parts(record), _parts(other.records[node]))

    def free(self) -> Iterator[None]:
        self._state.by_node.clear()
        yield
        self._state.engines.clear()
        yield


def _holdings(state: Tables) -> dict[NodeId, list[AllocationId]]:
    for node, holdings in state.by_node.items():
        assert bool(holdings) or node in state.nodes
        for identity in holdings.ids():
            assert identity in holdings.of_job(state.allocations[identity].job)
    return {node: holdings.ids() for node, holdings in state.by_node.items()}


def _parts(record: NodeRecord) -> tuple[object, ...]:
    free = (record.cpu_free, record.memory_free, record.disk_free)
    shares = (record.cpu_share, record.memory_share, record.load)
    return (record.node, record.number, record.schedulable, free, shares, record.ports, record.tasks)


# --- a node says who it is ---------------------------------------------------------------------------------


class RegisterNode(Command, frozen=True, array_like=True, tag=2):
    """A node says who it is, at every start and when its facts change. Makes it ready again when it was down
    or left. Refused (Conflict) when another live data directory owns the id, or when this one was removed.

    `replaces`: the proposing leader has seen by gossip that the id's former data directory is gone. `engine` and
    `engine_run` are an EngineInfo's id and run. `level`: the highest that its build understands (model/levels.py).
    """

    node: NodeId
    raft_id: RaftId
    peer_address: str
    api_address: str
    capacity: Resources
    labels: tuple[tuple[str, str], ...]
    engine: str
    version: str
    engine_down: str = ""
    replaces: bool = False
    engine_run: str = ""
    gossip_port: int = 0
    level: int = 1
    # Those that work there, by name.
    plugins: Annotated[tuple[NodePlugin, ...], since(2)] = ()


def _registration_fault(command: RegisterNode) -> str:
    labels = sum(len(key) + len(value) for key, value in command.labels)
    return first(
        (
            node_fault(command.node),
            outside("raft_id", command.raft_id, MAX_ID, 1),
            _address_fault(command.peer_address),
            _address_fault(command.api_address),
            resources_fault(command.capacity),
            longer("labels", labels, MAX_TEXT),
            longer("engine", len(command.engine), MAX_WORD),
            longer("version", len(command.version), MAX_WORD),
            longer("engine_down", len(command.engine_down), MAX_TEXT),
            outside("gossip_port", command.gossip_port, MAX_PORT),
            outside("level", command.level, MAX_LEVEL, FIRST),
            plugins_fault(command.plugins),
        )
    )


def _address_fault(address: str) -> str:
    if fault := longer("an address", len(address), MAX_WORD):
        return fault
    try:
        address_parts(address)
    except ValueError as error:
        return str(error)
    return ""


@command(RegisterNode, fault=_registration_fault)
def register_node(state: Tables, step: Step, command: RegisterNode) -> Node | OrionError | None:
    if command.raft_id in state.removed:
        return Conflict(
            "this data directory belonged to a node that was removed; start it with an empty data directory"
        )
    record = state.records.get(command.node)
    refusal = welcome(state, command.node, command.level, command.version) or _conflict(state, record, command)
    if refusal is not None:
        return refusal
    level = level_with(state, command.node, command.level)
    if record is None:
        node = _join(state, step, command)
    elif record.node.raft_id == command.raft_id:
        node = _return(state, step, record, command)
    else:
        node = _replace(state, step, record, command)
    rise(state, step, level)
    return node


def _conflict(state: Tables, record: NodeRecord | None, command: RegisterNode) -> Conflict | None:
    if record is None:
        for other in state.nodes.values():
            if other.raft_id == command.raft_id:
                return Conflict(f"this data directory belongs to node {other.id}; start it with that --id")
        return None
    if record.node.raft_id == command.raft_id or command.replaces:
        return None
    return Conflict(
        f"a node named {command.node} with another data directory is in this cluster; start this one with another"
        f" --id, or remove the other first: orion nodes rm {command.node}"
    )


def _join(state: Tables, step: Step, command: RegisterNode) -> Node:
    node = _node(command, state.next_number, step.at_ms, ())
    record = mutations.add_node(state, replace(node, engine=engine_of(state, node)))
    state.next_number += 1
    step.tell("NodeJoined", command.node, f"{command.node} joined")
    _tell_engine(step, record.node, former="")
    return record.node


def _return(state: Tables, step: Step, record: NodeRecord, command: RegisterNode) -> Node:
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
        lost = node_moves.lose_all(state, record, f"{node.id} has another container engine now", step.at_ms)
        node = replace(node, refused_ports=())
    mutations.set_node(state, record, node)
    if node.engine != former.engine:
        lost += node_moves.move_engine(state, record, former.engine, step.at_ms)
    if not was_ready:
        step.tell("NodeCameBack", node.id, f"{node.id} came back")
    _tell_changes(step, former, node)
    _tell_engine(step, node, former.engine_down)
    if former.status is NodeStatus.DOWN and node.engine_id == former.engine_id:
        reconnect(state, step, record, former.changed_at_ms)
    after_loss(state, step, lost)
    return node


def engine_of(state: Tables, node: Node) -> str:
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


def _replace(state: Tables, step: Step, record: NodeRecord, command: RegisterNode) -> Node:
    former = record.node
    lost = node_moves.lose_all(state, record, f"{former.id} started anew with an empty data directory", step.at_ms)
    bury(state, former.raft_id)
    node = _node(command, former.number, step.at_ms, former.label_changes)
    node = replace(node, draining=former.draining)
    node = replace(node, engine=engine_of(state, node))
    mutations.set_node(state, record, node)
    if node.engine != former.engine:
        node_moves.move_engine(state, record, former.engine, step.at_ms)
    step.tell("NodeCameBack", node.id, f"{node.id} came back with an empty data directory{lost_text(lost)}")
    _tell_engine(step, node, former.engine_down)
    after_loss(state, step, lost)
    return node


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
        plugins=command.plugins,
    )


def unknown_node(node: str) -> NotFound:
    return NotFound(f"there is no node named {node}; orion nodes lists them")


def bury(state: Tables, raft: RaftId) -> None:
    """Its data directory is welcome no more."""
    state.removed[raft] = None
    if len(state.removed) > MAX_REMOVED:
        del state.removed[next(iter(state.removed))]


def after_loss(state: Tables, step: Step, lost: list[Allocation]) -> None:
    """Tell of each lost task, unless the event that says how many is enough, and forget jobs that are over."""
    missed = [allocation for allocation in lost if allocation.wanted]
    if len(missed) <= MAX_EVENTS_EACH:
        for allocation in missed:
            task = task_id(allocation.job, allocation.index)
            step.tell("TaskLost", task, f"{task} lost: {allocation.status.reason}")
    settle_ended(state, step, lost)


def lost_text(lost: list[Allocation]) -> str:
    missed = sum(allocation.wanted for allocation in lost)
    return f": {several(missed, 'task')} lost" if missed else ""


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


TABLES = (Nodes,)
COMMANDS = (register_node,)
