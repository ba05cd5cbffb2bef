"""The choice among nodes that fit: those with the fewest tasks of the same job first, and of those the least loaded
(spread) or the fullest (pack). A job whose rules prefer some nodes has an order of its own (task_rules.py).

Spreading keeps work alive when a node dies; packing (best fit) keeps whole nodes free for large tasks.
"""

from collections.abc import Iterator, Sequence
from operator import attrgetter
from zlib import crc32

from orion.model.job import Placement
from orion.scheduler.demand import Demand, Overlay
from orion.scheduler.pools import EXACT, Pool
from orion.scheduler.task_rules import Ranking, TaskRules, task_rules_of
from orion.state.job_record import JobRecord
from orion.state.placed import count_on
from orion.state.records import NodeRecord
from orion.state.tables.configs import Configs
from orion.state.view import View

SAMPLE = 100  # so many nodes that fit are enough to choose one from
_WINDOW = 128
_LOAD = attrgetter("load")


class Choice:
    """Nodes for the tasks `indexes` of one job, as columns: the i-th of them goes to the node numbered `nodes[i]`
    with the host ports `ports[i]`. They are shorter than `indexes` when no node fits any more. `looked` is the
    number of nodes looked at, `rules` those of the job that ask where tasks are.
    """

    __slots__ = (
        "_demand",
        "_indexes",
        "_overlay",
        "_placement",
        "_pool",
        "_record",
        "_seed",
        "_view",
        "looked",
        "nodes",
        "ports",
        "rules",
    )

    def __init__(
        self, view: View, record: JobRecord, indexes: Sequence[int], demand: Demand, pool: Pool, overlay: Overlay
    ) -> None:
        self._view = view
        self._record = record
        self._indexes = indexes
        self._demand = demand
        self._pool = pool
        self._overlay = overlay
        self._placement = demand.task.placement or view.of(Configs).placement
        self._seed = crc32(record.job.name.encode())
        self.nodes: list[int] = []
        self.ports: list[tuple[int, ...]] = []
        self.looked = 0
        self.rules = task_rules_of(view, record.job.name, record.version(indexes[0]), demand, overlay)
        if self.rules is not None and self.rules.rules.ranked:
            self.looked = len(pool.nodes)
            self._fill_ranked(self.rules)
            return
        if len(pool.nodes) > EXACT and len(indexes) <= SAMPLE:
            self._fill(self._sample())
        # A sample that was not enough is full by now: no node is chosen twice.
        if not self.done and self.looked < len(pool.nodes):
            self.looked += len(pool.nodes)
            self._fill(self._fitting(pool.nodes))

    @property
    def done(self) -> bool:
        return len(self.nodes) == len(self._indexes)

    def _sample(self) -> list[NodeRecord]:
        """Returns some nodes that fit, from a place that depends on the task. A few tasks need no more of them."""
        found: list[NodeRecord] = []
        for window in _windows(self._pool.nodes, self._seed + self._indexes[0]):
            self.looked += len(window)
            found += self._fitting(window)
            if len(found) >= SAMPLE + len(self._indexes):
                break
        return found

    def _fitting(self, rows: Sequence[NodeRecord]) -> list[NodeRecord]:
        fit = self._overlay.fitting(rows, self._demand)
        return fit if self.rules is None else [row for row in fit if self.rules.admits(row)]

    def _fill_ranked(self, rules: TaskRules) -> None:
        """Gives one task after another to the best node that is left."""
        scores = self._loads if self._placement is Placement.SPREAD else self._room_left
        ranking = Ranking(self._view, rules, self._fitting(self._pool.nodes), scores)
        while not self.done and (row := ranking.pop()) is not None:
            before = len(self.nodes)
            again = self._give_one_each([row])
            if len(self.nodes) == before:
                ranking.skip(row)
            else:
                ranking.took(again[0] if again else row, again=bool(again))

    def _fill(self, rows: list[NodeRecord]) -> None:
        """Gives tasks to nodes while there are both.

        A round gives one task to each node that has the fewest of the job so far, the best first. Tasks of other
        versions, and those about to end, do not count: an update would gather its tasks where few are yet to be
        replaced. Nodes on which
        one more fits go to the next round. The outcome is that of taking the best node for one task after another,
        but each node is scored once a round.
        """
        rounds: dict[int, list[NodeRecord]] = {}
        if self._record.active:
            name, version = self._record.job.name, self._record.version(self._indexes[0])
            held, leaving = self._view.allocations, self._overlay.leaving
            for row in rows:
                count = count_on(held, row, name, version, leaving) if name in row.holdings.by_job else 0
                rounds.setdefault(count, []).append(row)
        elif rows:
            rounds[0] = rows
        while rounds and not self.done:
            fewest = min(rounds)
            again = self._give_one_each(self._ordered(rounds.pop(fewest)))
            if again:
                rounds.setdefault(fewest + 1, []).extend(again)

    def _ordered(self, rows: list[NodeRecord]) -> list[NodeRecord]:
        """Returns the nodes, the best first as they would be after the placement. Equal ones keep their order."""
        spread = self._placement is Placement.SPREAD
        if spread and self._pool.even:  # the task takes the same share of each
            return sorted(rows, key=_LOAD)
        keys = self._loads(rows) if spread else self._room_left(rows)
        return [rows[at] for at in sorted(range(len(rows)), key=keys.__getitem__)]

    def _loads(self, rows: list[NodeRecord]) -> list[float]:
        """Returns each node's shares of cpu and memory that are given away, with this task's."""
        cpu, memory = float(self._demand.cpu), float(self._demand.memory)
        return [row.load + cpu * row.cpu_share + memory * row.memory_share for row in rows]

    def _room_left(self, rows: list[NodeRecord]) -> list[float]:
        """Returns each node's shares of cpu and memory that stay free. A task that asks for neither fills nothing,
        so for it the number of allocations counts.
        """
        cpu, memory = self._demand.cpu, self._demand.memory
        if not cpu and not memory:
            return [row.active for row in rows]
        return [
            (row.cpu_free - cpu) * row.cpu_share + (row.memory_free - memory) * row.memory_share for row in rows
        ]

    def _give_one_each(self, rows: list[NodeRecord]) -> list[NodeRecord]:
        """Gives each node one task, in order. Returns the nodes on which one more fits; none after the last
        task.
        """
        demand, overlay = self._demand, self._overlay
        if demand.bindings:
            rows = [row for row in rows if self._give_ports(row)]
        else:
            del rows[len(self._indexes) - len(self.nodes) :]
            self.nodes += [row.number for row in rows]
        drafts = overlay.give(rows, demand)
        if self.done:
            return []
        cpu, memory, disk = demand.cpu, demand.memory, demand.disk
        return [
            draft
            for draft in drafts
            if draft.cpu_free >= cpu and draft.memory_free >= memory and draft.disk_free >= disk
        ]

    def _give_ports(self, row: NodeRecord) -> bool:
        """Gives the next task this node and host ports on it. Returns False when it has not enough ports."""
        if self.done:
            return False
        ports = self._overlay.claim_ports(row, self._demand, self._seed + self._indexes[len(self.nodes)])
        if ports is None:
            return False
        self.nodes.append(row.number)
        self.ports.append(ports)
        return True


def _windows(nodes: Sequence[NodeRecord], seed: int) -> Iterator[Sequence[NodeRecord]]:
    """Yields all nodes once, in windows, from a place that `seed` chooses."""
    start = seed % len(nodes)
    for at in range(start, len(nodes), _WINDOW):
        yield nodes[at : at + _WINDOW]
    for at in range(0, start, _WINDOW):
        yield nodes[at : min(at + _WINDOW, start)]
