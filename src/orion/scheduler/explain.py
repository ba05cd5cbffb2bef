"""Why no node fits, in one sentence for a person: each node is counted under the first filter that it fails."""

import re
from collections.abc import Callable, Sequence

import msgspec

from orion.model.job import DYNAMIC_PORTS
from orion.model.resources import bytes_text
from orion.scheduler.demand import Demand, Overlay
from orion.scheduler.pools import Pool
from orion.state.records import NodeRecord


class _Reason(msgspec.Struct, frozen=True):
    """`alone`: the sentence when nothing else keeps the task from any node. `among`: the words beside others."""

    nodes: int
    alone: str
    among: str


def explain(pool: Pool, overlay: Overlay, demand: Demand) -> str:
    """Called when no node of the pool fits."""
    rows = overlay.current(pool.nodes)
    unready = [_unready(count, why) for why, count in sorted(pool.unready.items())]
    if not rows and not pool.unlabelled:
        words = ", ".join(reason.among for reason in unready)
        return f"no node is ready: {words}" if words else "no node is ready"
    reasons = []
    if pool.unlabelled:
        reasons.append(_unlabelled(pool.unlabelled, demand))
    reasons += _resources(rows, demand)
    reasons += _ports([row for row in rows if _lacking(row, demand) is None], len(rows), overlay, demand)
    reasons += unready
    if len(reasons) == 1:
        return reasons[0].alone
    reasons.sort(key=lambda reason: -reason.nodes)
    return "no node fits: " + ", ".join(reason.among for reason in reasons)


_AMOUNT_FREE = re.compile(r"(most free|node has) [\d.]+( [kMGT]?B)?")


def same_news(former: str, text: str) -> bool:
    """Whether two refusals differ at most in how much is free, which changes with every placement: no reason to
    write the state again.
    """
    return _AMOUNT_FREE.sub("", former) == _AMOUNT_FREE.sub("", text)


def _unready(count: int, why: str) -> _Reason:
    verb = "is" if count == 1 else "are"
    return _Reason(count, "no node is ready", f"{count:,} {verb} {why}")


def _unlabelled(count: int, demand: Demand) -> _Reason:
    pairs = " and ".join(f"{key}={value}" for key, value in demand.constraints)
    labels = f"the label {pairs}" if len(demand.constraints) == 1 else f"the labels {pairs}"
    return _Reason(count, f"no node has {labels}", f"{count:,} {_lack(count)} {labels}")


# (what it is called, how much is asked, how much a node has free, as text), in the order of the filters
_RESOURCES: tuple[tuple[str, Callable[[Demand], int], Callable[[NodeRecord], int], Callable[[int], str]], ...] = (
    ("cores", lambda d: d.cpu, lambda row: row.cpu_free, lambda millis: f"{millis / 1000:g}"),
    ("memory", lambda d: d.memory, lambda row: row.memory_free, bytes_text),
    ("disk", lambda d: d.disk, lambda row: row.disk_free, bytes_text),
)


def _lacking(row: NodeRecord, demand: Demand) -> str | None:
    return next((what for what, asked, free, _ in _RESOURCES if asked(demand) > free(row)), None)


def _resources(rows: Sequence[NodeRecord], demand: Demand) -> list[_Reason]:
    reasons = []
    lacking = [_lacking(row, demand) for row in rows]
    for what, asked, free, text in _RESOURCES:
        most = [free(row) for row, lacks in zip(rows, lacking, strict=True) if lacks == what]
        if not most:
            continue
        needs, left, count = text(asked(demand)), text(max(0, *most)), len(most)
        of_what = " cores" if what == "cores" else f" of {what}"
        alone = f"needs {needs}{of_what}; the largest node has {left} free"
        reasons.append(_Reason(count, alone, f"{count:,} {_lack(count)} {what} (needs {needs}, most free {left})"))
    return reasons


def _ports(rows: Sequence[NodeRecord], total: int, overlay: Overlay, demand: Demand) -> list[_Reason]:
    """`rows` lack no resources, and yet did not take the task."""
    taken: dict[int | None, int] = {}
    for row in rows:
        key = overlay.taken_key(row, demand.static_keys)
        taken[key] = taken.get(key, 0) + 1
    reasons = []
    for key, count in taken.items():
        has = "has" if count == 1 else "have"
        if key is None:
            span = f"{DYNAMIC_PORTS.start} to {DYNAMIC_PORTS.stop - 1}"
            alone = f"no port from {span} is free on {count:,} of {total:,} nodes"
            reasons.append(_Reason(count, alone, f"{count:,} {has} no port from {span} free"))
        else:
            port = f"port {key >> 1}/udp" if key & 1 else f"port {key >> 1}"
            alone = f"{port} is taken on {count:,} of {total:,} nodes"
            reasons.append(_Reason(count, alone, f"{count:,} {has} {port} taken"))
    return reasons


def _lack(count: int) -> str:
    return "lacks" if count == 1 else "lack"
