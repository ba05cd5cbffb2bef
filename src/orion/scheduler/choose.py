"""Among the nodes that fit: those with the fewest tasks of the same job first, and of those the fullest.

Spreading a job keeps it alive when a node dies; filling nodes (best fit) keeps whole nodes free for large tasks.
"""

from collections.abc import Iterator, Sequence

from orion.model.ids import NodeId
from orion.scheduler.demand import Demand, Overlay
from orion.scheduler.pools import EXACT, Pool
from orion.state.records import NodeRecord

SAMPLE = 100  # nodes that fit are enough to choose one from
_WINDOW = 128


class Chosen:
    """Columns: task by task, the node's number and the host ports."""

    __slots__ = ("looked", "nodes", "ports")

    def __init__(self) -> None:
        self.nodes: list[int] = []
        self.ports: list[tuple[int, ...]] = []
        self.looked = 0  # nodes looked at, a measure of the time it took


def candidates(pool: Pool, overlay: Overlay, demand: Demand, need: int, seed: int) -> tuple[list[NodeRecord], int]:
    """Nodes on which such a task fits, and how many were looked at: all, or for few tasks on a large cluster a
    sample from a place that `seed` says.
    """
    nodes = pool.nodes
    if len(nodes) <= EXACT or need > SAMPLE:
        return overlay.fitting(nodes, demand), len(nodes)
    found: list[NodeRecord] = []
    looked = 0
    for window in _windows(nodes, seed % len(nodes)):
        looked += len(window)
        found += overlay.fitting(window, demand)
        if len(found) >= SAMPLE + need:
            break
    return found, looked


def _windows(nodes: Sequence[NodeRecord], start: int) -> Iterator[Sequence[NodeRecord]]:
    """All nodes once, from `start` around."""
    for at in range(start, len(nodes), _WINDOW):
        yield nodes[at : at + _WINDOW]
    for at in range(0, start, _WINDOW):
        yield nodes[at : min(at + _WINDOW, start)]


def choose(
    rows: list[NodeRecord],
    overlay: Overlay,
    demand: Demand,
    counts: dict[NodeId, int],
    indexes: Sequence[int],
    seed: int,
    chosen: Chosen,
) -> None:
    """Give tasks to nodes, for as long as there are both; task `indexes[len(chosen.nodes)]` comes next.

    In rounds: a round gives one task to each node that has the fewest of the job so far (`counts`), the fullest
    first, and those that still fit go to the next round. The same as taking the best node for one task after
    another, but each node is scored once a round.
    """
    rounds: dict[int, list[NodeRecord]] = {}
    if counts:
        for row in rows:
            rounds.setdefault(counts.get(row.node.id, 0), []).append(row)
    elif rows:
        rounds[0] = rows
    while rounds and len(chosen.nodes) < len(indexes):
        count = min(rounds)
        again = _one_each(_ordered(rounds.pop(count), demand), overlay, demand, indexes, seed, chosen)
        if again:
            rounds.setdefault(count + 1, []).extend(again)


def _ordered(rows: list[NodeRecord], demand: Demand) -> list[NodeRecord]:
    """Fullest after the placement first; for a task that asks for neither cpu nor memory, which fills nothing,
    the node with the fewest allocations. Even ones keep their order.
    """
    cpu, memory = demand.cpu, demand.memory
    if cpu or memory:
        keys: list[float] = [
            (row.cpu_free - cpu) * row.cpu_share + (row.memory_free - memory) * row.memory_share for row in rows
        ]
    else:
        keys = [row.active for row in rows]
    return [rows[at] for at in sorted(range(len(rows)), key=keys.__getitem__)]


def _one_each(
    rows: list[NodeRecord],
    overlay: Overlay,
    demand: Demand,
    indexes: Sequence[int],
    seed: int,
    chosen: Chosen,
) -> list[NodeRecord]:
    """One task for each node, in order; those on which one more fits."""
    cpu, memory, disk = demand.cpu, demand.memory, demand.disk
    nodes, ports = chosen.nodes, chosen.ports
    again: list[NodeRecord] = []
    for row in rows[: len(indexes) - len(nodes)] if not demand.bindings else rows:
        if demand.bindings:
            if len(nodes) == len(indexes):
                break
            found = overlay.find_ports(row, demand, seed + indexes[len(nodes)])
            if found is None:
                continue
            overlay.claim(row, demand, found)
            ports.append(found)
        nodes.append(row.number)
        draft = overlay.give(row, demand)
        if draft.cpu_free >= cpu and draft.memory_free >= memory and draft.disk_free >= disk:
            again.append(draft)
    return again
