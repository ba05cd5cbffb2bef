"""Rules for a task's node that look at where tasks are, the plan in hand included: how many of its job a node may
have, and beside which other job it is to run. What only asks for labels is filtered in pools.
"""

from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush

from orion.model.ids import JobName
from orion.model.placement_rules import PlacementRules
from orion.scheduler.demand import Demand, Overlay
from orion.state.placed import count_on, engine_key, runs_on
from orion.state.records import NodeRecord
from orion.state.view import View

Scores = Callable[[list[NodeRecord]], Sequence[float]]


class TaskRules:
    """The rules of one job, at one version."""

    __slots__ = ("_beside", "_counts", "_engines", "_given", "_most", "_view", "rules")

    def __init__(self, view: View, job: JobName, version: int, rules: PlacementRules, overlay: Overlay) -> None:
        self._view = view
        self.rules = rules
        self._most = rules.max_per_node
        self._beside = rules.alongside.job if rules.alongside else None
        self._engines: dict[str, int] = {}
        self._counts: dict[int, int] = {}
        self._given = overlay.given(job, version)
        if not rules.ranked:
            return
        for row in view.node_records():
            if job in row.holdings.by_job:
                count = count_on(view.allocations, row, job, version, overlay.leaving)
                self._counts[row.number] = count
        if rules.distinct_hosts:
            for row in view.node_records():
                self._note_engine(row, self.count(row))

    def _note_engine(self, row: NodeRecord, count: int) -> None:
        engine = engine_key(row.node)
        self._engines[engine] = self._engines.get(engine, 0) + count

    def count(self, row: NodeRecord) -> int:
        """How many tasks of the job the node has or is given."""
        return self._counts.get(row.number, 0) + self._given.get(row.number, 0)

    def is_apart(self, row: NodeRecord) -> bool:
        """True when no task of the job beside which it is to run is there."""
        return self._beside is not None and not runs_on(self._view.allocations, row, self._beside)

    def is_crowded(self, row: NodeRecord) -> bool:
        """True when the node, or its machine, has as many of the job as it may have."""
        if self._most and self.count(row) >= self._most:
            return True
        return self.rules.distinct_hosts and self._engines.get(engine_key(row.node), 0) > 0

    def admits(self, row: NodeRecord) -> bool:
        return not self.is_crowded(row) and not self.is_apart(row)

    def take(self, row: NodeRecord) -> None:
        self._given[row.number] = self._given.get(row.number, 0) + 1
        if self.rules.distinct_hosts:
            self._note_engine(row, 1)


def task_rules_of(view: View, job: JobName, version: int, demand: Demand, overlay: Overlay) -> TaskRules | None:
    """None: all nodes of the task's pool are equal to its rules."""
    rules = demand.rules
    if rules is None or not (rules.ranked or rules.alongside):
        return None
    return TaskRules(view, job, version, rules, overlay)


class Ranking:
    """Nodes in the order in which they get tasks: of the label's value with the fewest tasks of the job the node
    with the greatest weight, of those the one with the fewest tasks of the job, of those the best by `scores`,
    which is the one with the least.
    """

    def __init__(self, view: View, task_rules: TaskRules, nodes: list[NodeRecord], scores: Scores) -> None:
        self._rules = task_rules
        self._scores = scores
        self._over = task_rules.rules.spread_over
        self._order = {row.number: at for at, row in enumerate(nodes)}
        self._labels = {row.number: dict(row.node.labels) for row in nodes}
        weight = task_rules.rules.weight
        self._weights = {number: weight(labels) for number, labels in self._labels.items()}
        # A node without the label is as one that has it empty.
        self._groups: dict[str, list[tuple[float, int, float, int, NodeRecord]]] = {}
        self._tasks: dict[str, int] = {}
        if self._over:
            for row in view.node_records():
                if count := task_rules.count(row):
                    value = dict(row.node.labels).get(self._over, "")
                    self._tasks[value] = self._tasks.get(value, 0) + count
        for row, score in zip(nodes, scores(nodes), strict=True):
            self._groups.setdefault(self._value(row), []).append(self._entry(row, score))
        for group in self._groups.values():
            heapify(group)
        self._heads = [self._head(value) for value in self._groups]
        heapify(self._heads)

    def _value(self, row: NodeRecord) -> str:
        return self._labels[row.number].get(self._over, "") if self._over else ""

    def _entry(self, row: NodeRecord, score: float) -> tuple[float, int, float, int, NodeRecord]:
        number = row.number
        return -self._weights[number], self._rules.count(row), score, self._order[number], row

    def _head(self, value: str) -> tuple[int, tuple[float, int, float, int], str]:
        return self._tasks.get(value, 0), self._groups[value][0][:4], value

    def pop(self) -> NodeRecord | None:
        """Returns the best node that the rules still admit, and takes it out; None when there is none. `took` or
        `skip` follows.
        """
        while self._heads:
            value = heappop(self._heads)[2]
            row = heappop(self._groups[value])[4]
            if self._rules.admits(row):
                return row
            self._return(value)
        return None

    def took(self, row: NodeRecord, *, again: bool) -> None:
        """The node, as it stands now, has one task more. With `again` it may get another."""
        self._rules.take(row)
        value = self._value(row)
        self._tasks[value] = self._tasks.get(value, 0) + 1
        if again:
            heappush(self._groups[value], self._entry(row, self._scores([row])[0]))
        self._return(value)

    def skip(self, row: NodeRecord) -> None:
        """The node gets nothing more."""
        self._return(self._value(row))

    def _return(self, value: str) -> None:
        if self._groups[value]:
            heappush(self._heads, self._head(value))
