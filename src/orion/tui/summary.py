"""The cluster in two lines: who is asked, who leads, how old that is, how many there are of what. Pure."""

from collections import Counter
from typing import Any, NamedTuple

from orion.model.api.watch import Noun
from orion.model.printable import one_line
from orion.model.times import age
from orion.tui.cells import width_of
from orion.tui.store import Store
from orion.tui.views import VIEWS

OLD_S = 3.0  # past this the age of what is shown is said

Span = tuple[str, str]  # a text, and the part of the skin that it looks like


class Asked(NamedTuple):
    """`node`: the name of the node that is asked, "" while that is not known. `age_s`: how old what is shown may
    be, None before anything was heard. `trouble`: why nothing comes.
    """

    address: str
    node: str
    cluster: str
    age_s: float | None
    trouble: str
    read_only: bool = False


def node_at(store: Store, address: str) -> str:
    """Returns the name of the node whose API has this address; "" where none says so."""
    rows: Any = store.tables[Noun.NODES].values()
    return next((str(row.name) for row in rows if row.api_address == address), "")


def is_old(asked: Asked) -> bool:
    return asked.age_s is None or asked.age_s > OLD_S


def old_line(asked: Asked) -> list[Span]:
    """Says how old what is shown is, and why; nothing while it is not."""
    if asked.age_s is None or not is_old(asked):
        return []
    why = f": {one_line(asked.trouble)}" if asked.trouble else ""
    return [(f" as of {age(asked.age_s)} ago{why} ", "error")]


def first_line(store: Store, asked: Asked) -> list[Span]:
    if asked.age_s is None:
        return [("orion top ", "title"), (one_line(asked.trouble) or f"asking {asked.address} …", _how(asked))]
    spans: list[Span] = [("orion top", "title"), *_pair("cluster", asked.cluster[:8])]
    spans += _pair("asks", f"{asked.node} {asked.address}".strip())
    spans += _pair("leader", store.leader) if store.leader else [("  no leader", "error")]
    spans += _pair("index", f"{store.index:,}")
    if asked.read_only:
        spans += [("  read-only", "note")]
    return spans


def _how(asked: Asked) -> str:
    return "error" if asked.trouble else "value"


def _pair(name: str, value: str) -> list[Span]:
    return [(f"  {name} ", "name"), (value, "value")] if value else []


_ORDER = (
    "running",
    "starting",
    "pulling",
    "scheduled",
    "waiting",
    "pending",
    "failed",
    "lost",
    "completed",
    "stopped",
)
_LOOKS = {
    "pending": "bad",
    "failed": "bad",
    "lost": "bad",
    "waiting": "busy",
    "starting": "busy",
    "pulling": "busy",
}


def second_line(store: Store) -> list[Span]:
    nodes: Any = store.tables[Noun.NODES].values()
    jobs: Any = store.tables[Noun.JOBS].values()
    tasks: Any = store.tables[Noun.TASKS].values()
    spans = _count("nodes", len(nodes), sum(map(VIEWS["nodes"].fault, nodes)))
    spans += _count("jobs", len(jobs), sum(map(VIEWS["jobs"].fault, jobs)))
    spans += _count("tasks", len(tasks), sum(map(VIEWS["tasks"].fault, tasks)))
    states = Counter(row.state for row in tasks)
    for state in _ORDER:
        if states[state]:
            spans += [(f"  {states[state]:,} {state}", _LOOKS.get(state, "dim"))]
    return spans


def _count(name: str, count: int, faults: int) -> list[Span]:
    spans = [(f"  {name} ", "name"), (f"{count:,}", "value")]
    return [*spans, (f" ({faults:,})", "bad")] if faults else spans


def within(spans: list[Span], width: int) -> list[Span]:
    """Returns as many as have room, the last of them cut."""
    kept, left = list[Span](), width
    for text, part in spans:
        size = width_of(text)
        if size > left:
            if left > 1:
                kept.append((text[: left - 1] + "…", part))
            break
        kept.append((text, part))
        left -= size
    return kept
