"""Pools of nodes that may run a job at all: they are ready, have the labels that it asks for, and pass its
constraints.

A pool changes only when some node's record or status does, so one is kept for each distinct set of constraints.
"""

from collections.abc import Collection, Sequence

from msgspec.structs import replace

from orion.model.node import Node, NodeStatus
from orion.model.placement import PlacementFailure
from orion.model.placement_rules import Constraint, PlacementRules
from orion.state.placed import engine_key
from orion.state.records import NodeRecord
from orion.state.view import View

Labels = tuple[tuple[str, str], ...]

EXACT = 128  # in a pool of up to so many nodes all are looked at; in a larger one a few tasks look at a sample
_MAX_POOLS = 1_024
_SCATTER = 0x9E3779B1  # odd: number -> place is a bijection on 32 bits that sets neighbours far apart


class Pool:
    """Nodes that pass the filters; the others are counted by what they lack, for the explanation.

    Up to EXACT nodes are in order of number. More are scattered, so that any stretch of them is a fair sample.
    `even` is True when all have equal cpu and memory. `failure` counts those that take no work at all, and those
    that labels and constraints exclude.
    """

    __slots__ = ("even", "failure", "nodes")

    def __init__(self, nodes: list[NodeRecord], failure: PlacementFailure) -> None:
        if len(nodes) > EXACT:
            nodes = sorted(nodes, key=lambda record: record.number * _SCATTER & 0xFFFFFFFF)
        self.nodes = nodes
        self.even = len({(record.cpu_share, record.memory_share) for record in nodes}) <= 1
        self.failure = failure

    def without(self, engines: Collection[str]) -> "Pool":
        return Pool([r for r in self.nodes if engine_key(r.node) not in engines], self.failure)

    def has(self, row: NodeRecord) -> bool:
        return any(each.number == row.number for each in self.nodes)

    def of(self, nodes: list[NodeRecord]) -> "Pool":
        """Some of its nodes; the others are of no interest."""
        return Pool(nodes, PlacementFailure())


class Pools:
    """The pools of one view, made when first asked for. It is kept for every call of `schedule`, and notices by
    itself when it is out of date.
    """

    def __init__(self) -> None:
        self._view: View | None = None
        self._facts_epoch = 0
        self._ready: list[NodeRecord] = []
        self._unready = PlacementFailure()
        self._labelled: dict[tuple[str, str], list[NodeRecord]] = {}
        self._pools: dict[tuple[Labels, Sequence[Constraint]], Pool] = {}

    def pool(self, view: View, labels: Labels, rules: PlacementRules | None = None) -> Pool:
        if view is not self._view or view.facts_epoch != self._facts_epoch:
            self._look(view)
        key = labels, rules.constraints if rules is not None else ()
        pool = self._pools.get(key)
        if pool is None:
            if len(self._pools) >= _MAX_POOLS:
                self._pools.clear()
            pool = self._pools[key] = self._filter(*key)
        return pool

    def _look(self, view: View) -> None:
        self._view = view
        self._facts_epoch = view.facts_epoch
        self._pools.clear()
        self._labelled.clear()
        self._ready = []
        unready: dict[str, int] = {}
        for record in view.node_records():
            if record.schedulable:
                self._ready.append(record)
            else:
                why = _why_unready(record.node)
                unready[why] = unready.get(why, 0) + 1
        self._unready = replace(PlacementFailure(), **unready)

    def _filter(self, labels: Labels, constraints: Sequence[Constraint]) -> Pool:
        nodes = self._ready
        if labels:
            if not self._labelled:
                self._index_labels()
            # The rarest label first: the others are asked of few nodes.
            lists = sorted((self._labelled.get(pair, []) for pair in labels), key=len)
            nodes = [r for r in lists[0] if all(pair in r.node.labels for pair in labels)]
        unlabelled = len(self._ready) - len(nodes)
        excluded: list[int] = []
        for constraint in constraints:
            passing = [r for r in nodes if constraint.passes(dict(r.node.labels))]
            excluded.append(len(nodes) - len(passing))
            nodes = passing
        return Pool(nodes, replace(self._unready, without_labels=unlabelled, excluded=tuple(excluded)))

    def _index_labels(self) -> None:
        for record in self._ready:
            for pair in record.node.labels:
                self._labelled.setdefault(pair, []).append(record)


def _why_unready(node: Node) -> str:
    """Returns the field of PlacementFailure that counts it."""
    if node.status is NodeStatus.DOWN:
        return "down"
    if node.status is NodeStatus.LEFT:
        return "away"
    return "draining" if node.draining else "without_engine"
