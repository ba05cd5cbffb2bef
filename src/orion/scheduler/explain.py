"""Why no node fits: each node of a pool is counted under the first filter that it fails."""

from collections.abc import Callable, Sequence
from operator import attrgetter

from msgspec.structs import replace

from orion.model.placement import PlacementFailure, PortShortage, RefusalReason, ResourceShortage
from orion.scheduler.demand import Demand, Overlay
from orion.scheduler.pools import Pool
from orion.scheduler.task_rules import TaskRules
from orion.state.records import NodeRecord


def explain(pool: Pool, overlay: Overlay, demand: Demand, task_rules: TaskRules | None = None) -> PlacementFailure:
    """Called when no node of the pool fits."""
    rows = overlay.current(pool.nodes)
    apart = crowded = 0
    if task_rules is not None:
        near = [row for row in rows if not task_rules.is_apart(row)]
        fit = [row for row in near if not task_rules.is_crowded(row)]
        apart, crowded, rows = len(rows) - len(near), len(near) - len(fit), fit
    cpu, rows = _split(rows, demand.cpu, attrgetter("cpu_free"))
    memory, rows = _split(rows, demand.memory, attrgetter("memory_free"))
    disk, rows = _split(rows, demand.disk, attrgetter("disk_free"))
    ports = _ports(rows, overlay, demand)
    return replace(pool.failure, cpu=cpu, memory=memory, disk=disk, ports=ports, apart=apart, crowded=crowded)


def same_news(former: RefusalReason, why: RefusalReason) -> bool:
    """Returns whether two refusals differ at most in how much is free, which changes with every placement: no
    reason to write the state again.
    """
    if isinstance(former, str) or isinstance(why, str):
        return former == why
    return former.counts == why.counts


def _split(
    rows: Sequence[NodeRecord], asked: int, free: Callable[[NodeRecord], int]
) -> tuple[ResourceShortage | None, Sequence[NodeRecord]]:
    """Those that lack some, counted, and those that lack none."""
    left = list(map(free, rows))
    if not left or min(left) >= asked:
        return None, rows
    lacking = [amount for amount in left if amount < asked]
    short = ResourceShortage(len(lacking), max(0, *lacking))
    return short, [row for row, amount in zip(rows, left, strict=True) if amount >= asked]


def _ports(rows: Sequence[NodeRecord], overlay: Overlay, demand: Demand) -> tuple[PortShortage, ...]:
    """`rows` lack no resources, and yet did not take the task."""
    taken: dict[tuple[int, bool], int] = {}
    for row in rows:
        key = overlay.taken_key(row, demand.static_keys)
        why = (0, False) if key is None else (key, overlay.is_own(row, key))
        taken[why] = taken.get(why, 0) + 1
    ordered = sorted(taken.items(), key=lambda item: (-item[1], item[0]))
    return tuple(PortShortage(key >> 1, "udp" if key & 1 else "tcp", count, own) for (key, own), count in ordered)
