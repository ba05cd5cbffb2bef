"""Nodes as bars that their tasks fill to scale, in the colours of their jobs."""

from collections.abc import Iterable
from typing import NamedTuple

from orion.model.api.nodes import Amounts, NodeView
from orion.model.api.watch import AllocationRow, Noun, TaskRow
from orion.tui.lines import JOB_LOOKS, Line, Part, state_look
from orion.tui.store import Store

ACTIVE = frozenset(("scheduled", "pulling", "starting", "running"))
RESOURCES = ("memory", "cpu")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_FREE = "·"
_BEGINS, _ENDS = "+", "-"
_MOST_JOBS = 40  # that the legend names
_NAME_WIDTH = 20


class Run(NamedTuple):
    """A run of a task that takes room on a node. `sign`: + while it begins, - while it ends."""

    job: str
    task: str
    size: float
    sign: str = ""


class Bar(NamedTuple):
    node: NodeView
    total: float
    runs: tuple[Run, ...]

    @property
    def taken(self) -> float:
        return sum(run.size for run in self.runs)


def bars(store: Store, resource: str, *, fullest: bool = False) -> list[Bar]:
    """Returns the nodes by name, or the fullest first. `resource`: memory or cpu."""
    runs: dict[str, list[Run]] = {}
    tasks = store.tables[Noun.TASKS]
    for row in store.tables[Noun.ALLOCATIONS].values():
        if isinstance(row, AllocationRow) and row.state in ACTIVE:
            task = tasks.get(row.task)
            size = getattr(task, resource) if isinstance(task, TaskRow) else 0.0
            sign = _ENDS if not row.wanted else "" if row.state == "running" else _BEGINS
            runs.setdefault(row.node_id, []).append(Run(row.task.rpartition("/")[0], row.task, size, sign))
    nodes = [row for row in store.tables[Noun.NODES].values() if isinstance(row, NodeView)]
    found = [Bar(node, _amounts(node, resource).total, tuple(sorted(runs.get(node.name, ())))) for node in nodes]
    return sorted(found, key=lambda bar: (-bar.taken / (bar.total or 1) if fullest else 0.0, bar.node.name))


def _amounts(node: NodeView, resource: str) -> Amounts:
    return node.memory if resource == "memory" else node.cpu


def packing_lines(found: Iterable[Bar], width: int) -> list[Line]:
    """Returns a line for each node, and what the letters stand for. Where a letter is a capital a task begins."""
    shown = list(found)
    counts: dict[str, int] = {}
    for bar in shown:
        for run in bar.runs:
            counts[run.job] = counts.get(run.job, 0) + 1
    numbers = {job: at for at, job in enumerate(sorted(counts))}
    names = min(_NAME_WIDTH, max((len(bar.node.name) for bar in shown), default=0))
    room = max(8, width - names - 10)
    lines = [_line(bar, numbers, names, room) for bar in shown]
    return [*lines, (), *_legend(counts, numbers, width)]


def _line(bar: Bar, numbers: dict[str, int], names: int, room: int) -> Line:
    name = Part(
        f"{bar.node.name[:names]:<{names}} ", state_look(bar.node.status) if bar.node.status != "alive" else ""
    )
    share = f" {100 * bar.taken / bar.total:4.0f} %" if bar.total else "    - %"
    sizeless = sum(not run.size for run in bar.runs)
    more = f" +{sizeless}" if sizeless else ""
    return (name, Part("▕", "dim"), *_fill(bar, numbers, room), Part("▏", "dim"), Part(share), Part(more, "dim"))


def _fill(bar: Bar, numbers: dict[str, int], room: int) -> list[Part]:
    """Cells to scale: each run ends where the sum so far does, so that errors never add up."""
    parts, at, so_far = list[Part](), 0, 0.0
    whole = max(bar.total, bar.taken) or 1.0
    for run in bar.runs:
        so_far += run.size
        end = round(so_far * room / whole)
        if end > at:
            number = numbers[run.job]
            letter = _LETTERS[number % len(_LETTERS)]
            text = run.sign * (end - at) if run.sign else letter.upper() + letter * (end - at - 1)
            parts.append(Part(text, f"job{number % JOB_LOOKS}"))
            at = end
    return [*parts, Part(_FREE * (room - at), "dim")]


def _legend(counts: dict[str, int], numbers: dict[str, int], width: int) -> list[Line]:
    lines, line, used = list[Line](), list[Part](), 0
    named = sorted(counts, key=lambda job: numbers[job])[:_MOST_JOBS]
    for job in named:
        number = numbers[job]
        text = f"{_LETTERS[number % len(_LETTERS)]} {job} ({counts[job]:,})  "
        if used + len(text) > width and line:
            lines.append(tuple(line))
            line, used = [], 0
        line.append(Part(text, f"job{number % JOB_LOOKS}"))
        used += len(text)
    if line:
        lines.append(tuple(line))
    if len(counts) > len(named):
        lines.append((Part(f"and {len(counts) - len(named):,} more jobs", "dim"),))
    lines.append((Part("+ begins   - ends   behind the share: tasks that reserve nothing of it", "dim"),))
    return lines
