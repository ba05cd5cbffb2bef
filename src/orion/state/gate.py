"""The gate: the cluster's level, which rises when all its nodes understand the next one, and never goes back.

It is decided in `apply`, from what the registered nodes said of themselves, so every node rises at the same entry.
"""

from collections.abc import Iterable

from orion.model.errors import Outdated, TooNew
from orion.model.ids import NodeId
from orion.model.levels import LEVEL, brought
from orion.model.node import Node
from orion.state.core.command import Command
from orion.state.core.features import Need, need_of
from orion.state.core.step import Step
from orion.state.records import Tables
from orion.state.view import View


def welcome(state: Tables, node: str, level: int, version: str) -> Outdated | None:
    """Why a node can't register, None when it can: it must understand what the cluster writes."""
    if level >= state.level:
        return None
    others = _versions(other for other in state.nodes.values() if other.level >= state.level)
    return Outdated(
        f"{node} runs orion {version}, which is too old for this cluster: it understands level"
        f" {level} of what the cluster writes, and that has risen to {state.level}; start it with"
        f" {others or 'a newer version'}"
    )


def level_with(state: Tables, changed: NodeId, level: int | None) -> int:
    """The cluster's level once this node understands `level`; None: once it is removed.

    Raises Outdated, before anything has changed, when that is more than this build understands: to go on would part
    this node's state from that of the others, so the node must stop.
    """
    others = [node for node in state.nodes.values() if node.id != changed]
    levels = [node.level for node in others] + ([] if level is None else [level])
    reached = max(state.level, min(levels, default=0))
    require_understood(reached, "the cluster", _versions(others))
    return reached


def rise(state: Tables, step: Step, level: int) -> None:
    """To be called once nodes have changed, with what `level_with` has said."""
    for reached in range(state.level + 1, level + 1):
        step.tell("LevelRaised", str(reached), f"all nodes understand level {reached} now: {brought(reached)}")
    state.level = level


def require_understood(level: int, what: str, others: str = "") -> None:
    """Raises Outdated for what is written at a level that this build does not know."""
    if level > LEVEL:
        raise Outdated(
            f"{what} is at level {level}, and this version of orion understands {LEVEL}: it has to be"
            f" {others or 'a newer version'}"
        )


def require_open(command: Command, view: View) -> None:
    """Raises TooNew for a command that says more than all nodes understand."""
    need = need_of(command)
    if need.level > view.level:
        raise too_new(need, view)


def too_new(need: Need, view: View) -> TooNew:
    """Its `what` is empty where this build does not know what is newer."""
    behind = waits_for(view.nodes(), need.level)
    return TooNew(
        f"not all nodes understand {need.what or 'this'} yet, which is of level {need.level}: {behind or 'some'};"
        " start them with the newer version of orion that others run, or remove them: orion nodes rm"
    )


def waits_for(nodes: Iterable[Node], level: int) -> str:
    """The nodes that keep the cluster below a level, with their versions: node2 (0.1.0), node3 (0.1.0)."""
    return ", ".join(f"{node.id} ({node.version})" for node in nodes if node.level < level)


def outlook(nodes: Iterable[Node], level: int) -> str:
    """Returns what it takes to rise, "" when no node understands more than the cluster's level."""
    nodes = tuple(nodes)
    higher = [node.level for node in nodes if node.level > level]
    if not higher:
        return ""
    behind = waits_for(nodes, level + 1)
    return (
        f"what is replicated stays at level {level}, until all nodes run the newer version of orion:"
        f" still to come {behind}"
    )


def _versions(nodes: Iterable[Node]) -> str:
    """The versions that run, as "orion 0.1.0 or 0.2.0"; "" for none."""
    versions = sorted({node.version for node in nodes})
    return f"orion {' or '.join(versions)}" if versions else ""
