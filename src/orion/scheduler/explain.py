"""Why no node fits, in one sentence for a person: each node is counted under the first filter that it fails."""

import re
from collections.abc import Callable, Sequence
from operator import attrgetter

import msgspec

from orion.model.job import DYNAMIC_PORTS
from orion.model.resources import size_text
from orion.scheduler.demand import Demand, Overlay
from orion.scheduler.pools import Constraints, Pool
from orion.state.records import MAX_REASON, NodeRecord, port_text

_MAX_LABELS_TEXT = 500  # characters


class _Reason(msgspec.Struct, frozen=True):
    """`alone`: the sentence when nothing else keeps the task from any node. `among`: the words beside others."""

    nodes: int
    alone: str
    among: str


def explain(pool: Pool, overlay: Overlay, demand: Demand) -> str:
    """Called when no node of the pool fits. At most MAX_REASON characters: a plan has many, state keeps them."""
    text = _sentence(pool, overlay, demand)
    return text if len(text) <= MAX_REASON else text[: MAX_REASON - 1] + "…"


def _sentence(pool: Pool, overlay: Overlay, demand: Demand) -> str:
    rows = overlay.current(pool.nodes)
    unready = [_unready(count, why) for why, count in sorted(pool.unready.items())]
    if not rows and not pool.unlabelled:
        words = ", ".join(reason.among for reason in unready)
        return f"no node is ready: {words}" if words else "no node is ready"
    reasons = []
    if pool.unlabelled:
        reasons.append(_unlabelled(pool.unlabelled, demand))
    total = len(rows)
    for what, asked, free, text in _RESOURCES:
        lacking, rows = _split(rows, asked(demand), free)
        if lacking:
            needs, most = asked(demand), max(0, *lacking)
            reasons.append(_lacking(what, text(needs, needs), text(most, needs), len(lacking)))
    reasons += _ports(rows, total, overlay, demand)
    reasons += unready
    if len(reasons) == 1:
        return reasons[0].alone
    reasons.sort(key=lambda reason: -reason.nodes)
    return "no node fits: " + ", ".join(reason.among for reason in reasons)


_AMOUNT_FREE = re.compile(r"(most free|node has) [\d.]+( [kKMGTP]?i?B)?")


def same_news(former: str, text: str) -> bool:
    """Whether two refusals differ at most in how much is free, which changes with every placement: no reason to
    write the state again.
    """
    return _AMOUNT_FREE.sub("", former) == _AMOUNT_FREE.sub("", text)


def _unready(count: int, why: str) -> _Reason:
    verb = "is" if count == 1 else "are"
    return _Reason(count, "no node is ready", f"{count:,} {verb} {why}")


def _unlabelled(count: int, demand: Demand) -> _Reason:
    labels = _labels_text(demand.constraints)
    return _Reason(count, f"no node has {labels}", f"{count:,} {_lack(count)} {labels}")


def _labels_text(constraints: Constraints) -> str:
    """The first of them where they are many: the other reasons are to be read too."""
    shown: list[str] = []
    room = _MAX_LABELS_TEXT
    for key, value in constraints:
        pair = f"{key}={value}"
        room -= len(pair)
        if shown and room < 0:
            break
        shown.append(pair)
    if len(shown) < len(constraints):
        shown.append(f"{len(constraints) - len(shown):,} more")
    return f"the label{'s' if len(shown) > 1 else ''} {' and '.join(shown)}"


def _cores_text(millis: int, asked: int) -> str:
    del asked  # cores have one unit
    return f"{millis / 1000:g}"


def _bytes_text(count: int, asked: int) -> str:
    """In the units that were asked in: what is asked and what is free are to be compared."""
    return size_text(count, like=asked)


# What it is called, how much is asked, how much a node has free, as text; in the order of the filters.
_RESOURCES: tuple[
    tuple[str, Callable[[Demand], int], Callable[[NodeRecord], int], Callable[[int, int], str]], ...
] = (
    ("cores", attrgetter("cpu"), attrgetter("cpu_free"), _cores_text),
    ("memory", attrgetter("memory"), attrgetter("memory_free"), _bytes_text),
    ("disk", attrgetter("disk"), attrgetter("disk_free"), _bytes_text),
)


def _split(
    rows: Sequence[NodeRecord], asked: int, free: Callable[[NodeRecord], int]
) -> tuple[list[int], Sequence[NodeRecord]]:
    """How much those that lack some have free, and those that lack none."""
    left = list(map(free, rows))
    if not left or min(left) >= asked:
        return [], rows
    lacking = [amount for amount in left if amount < asked]
    return lacking, [row for row, amount in zip(rows, left, strict=True) if amount >= asked]


def _lacking(what: str, needs: str, most: str, count: int) -> _Reason:
    asked = f"{needs} cores" if what == "cores" else f"{needs} of {what}"
    alone = f"needs {asked}; the largest node has {most} free"
    return _Reason(count, alone, f"{count:,} {_lack(count)} {what} (needs {needs}, most free {most})")


def _ports(rows: Sequence[NodeRecord], total: int, overlay: Overlay, demand: Demand) -> list[_Reason]:
    """`rows` lack no resources, and yet did not take the task."""
    taken: dict[tuple[int | None, bool], int] = {}
    for row in rows:
        key = overlay.taken_key(row, demand.static_keys)
        why = key, key is not None and overlay.is_own(row, key)
        taken[why] = taken.get(why, 0) + 1
    reasons = []
    for (key, own), count in taken.items():
        has = "has" if count == 1 else "have"
        if key is None:
            span = f"{DYNAMIC_PORTS.start} to {DYNAMIC_PORTS.stop - 1}"
            alone = f"no port from {span} is free on {count:,} of {total:,} nodes"
            reasons.append(_Reason(count, alone, f"{count:,} {has} no port from {span} free"))
        elif own:
            alone = f"{port_text(key)} is Orion's own on {count:,} of {total:,} nodes"
            reasons.append(_Reason(count, alone, f"{count:,} {_need(count)} {port_text(key)} for Orion itself"))
        else:
            port = port_text(key)
            alone = f"{port} is taken on {count:,} of {total:,} nodes"
            reasons.append(_Reason(count, alone, f"{count:,} {has} {port} taken"))
    return reasons


def _lack(count: int) -> str:
    return "lacks" if count == 1 else "lack"


def _need(count: int) -> str:
    return "needs" if count == 1 else "need"
