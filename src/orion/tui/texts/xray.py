"""Jobs as a tree: their tasks, the runs of these, and the node of each."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from orion.model.api.nodes import NodeView
from orion.model.api.watch import AllocationRow, JobRow, Noun, TaskRow
from orion.tui.lines import Line, Part, state_look
from orion.tui.store import Store
from orion.tui.texts.asking import task_order
from orion.tui.texts.words import age_of

MOST_TASKS = 1_000  # of a job that is open
MOST_RUNS = 5  # of a task, the newest


class Branch(NamedTuple):
    """A row of the tree. `opens`: it is opened and closed; `parent`: the row above it, as (noun, key)."""

    noun: Noun
    key: str
    line: Line
    opens: bool = False
    parent: tuple[Noun, str] | None = None


def tree(store: Store, job: str, turned: Collection[str]) -> list[Branch]:
    """Returns the rows of all jobs, or of one. `turned`: jobs that are not as at first, when one alone is open."""
    jobs = [row for row in store.tables[Noun.JOBS].values() if isinstance(row, JobRow) and job in ("", row.name)]
    is_open = {row.name: (len(jobs) == 1) is not (row.name in turned) for row in jobs}
    tasks: dict[str, list[TaskRow]] = {}
    for row in store.tables[Noun.TASKS].values():
        if isinstance(row, TaskRow) and is_open.get(row.job):
            tasks.setdefault(row.job, []).append(row)
    runs: dict[str, list[AllocationRow]] = {}
    if tasks:
        for run in store.tables[Noun.ALLOCATIONS].values():
            if isinstance(run, AllocationRow) and is_open.get(run.task.rpartition("/")[0]):
                runs.setdefault(run.task, []).append(run)
    found: list[Branch] = []
    for each in sorted(jobs, key=lambda row: row.name):
        found.append(_job(each, is_open=is_open[each.name]))
        if is_open[each.name]:
            found += _tasks(store, each, tasks.get(each.name, []), runs)
    return found


def _job(row: JobRow, *, is_open: bool) -> Branch:
    state = "removing" if row.removing else "stopped" if row.stopped else ""
    parts = (
        Part("▾ " if is_open else "▸ ", "dim"),
        Part(row.name, "title"),
        Part(f"  {row.kind}  ", "dim"),
        _how_far(row),
        Part(f"  {row.image}", "dim"),
        Part(f"  {state}", "dim") if state else Part(""),
        Part(f"  {row.reason}", "warn") if row.reason else Part(""),
    )
    return Branch(Noun.JOBS, row.name, parts, opens=True)


def _how_far(row: JobRow) -> Part:
    if row.kind == "cron":
        return Part(f"next at {row.next_at}" if row.next_at else row.schedule)
    if row.kind == "batch" and row.outcome:
        return Part("done", "good") if row.outcome == "completed" else Part("failed", "bad")
    look = "dim" if row.stopped else "good" if row.ready >= row.count else "warn"
    return Part(f"{row.ready}/{row.count} ready", look)


def _tasks(
    store: Store, job: JobRow, tasks: list[TaskRow], runs: dict[str, list[AllocationRow]]
) -> Iterator[Branch]:
    shown = sorted(tasks, key=lambda row: task_order(row.id))
    parent = (Noun.JOBS, job.name)
    for at, task in enumerate(shown[:MOST_TASKS]):
        last = at == len(shown) - 1
        line = (Part("└─ " if last else "├─ ", "dim"), *_task(task))
        yield Branch(Noun.TASKS, task.id, line, parent=parent)
        yield from _runs(store, task, runs.get(task.id, []), "   " if last else "│  ")
    if len(shown) > MOST_TASKS:
        yield Branch(Noun.JOBS, job.name, (Part(f"└─ and {len(shown) - MOST_TASKS:,} more", "dim"),), parent=parent)


def _task(task: TaskRow) -> Iterator[Part]:
    yield Part(task.id)
    yield Part(f"  {task.state}", state_look(task.state))
    if task.health != "none":
        yield Part(f"  {task.health}", state_look(task.health))
    if task.reason:
        yield Part(f"  {task.reason}", "warn")


def _runs(store: Store, task: TaskRow, runs: list[AllocationRow], indent: str) -> Iterator[Branch]:
    newest = sorted(runs, key=lambda run: (run.created_at or "", run.id), reverse=True)
    for at, run in enumerate(newest[:MOST_RUNS]):
        last = at == min(len(newest), MOST_RUNS) - 1
        node = store.tables[Noun.NODES].get(run.node_id)
        status = node.status if isinstance(node, NodeView) else "gone"
        line = (
            Part(f"{indent}{'└─ ' if last else '├─ '}", "dim"),
            Part(run.id),
            Part(f"  {run.state}", state_look(run.state)),
            Part(f"  {age_of(run.created_at)}" if run.created_at else "", "dim"),
            Part("  is told to end" if not run.wanted and run.state == "running" else "", "dim"),
            Part("  → ", "dim"),
            Part(run.node_id, "title"),
            Part(f" {status}", state_look(status)),
            Part(f"  {run.reason}" if run.reason and run.reason != task.reason else "", "warn"),
        )
        yield Branch(Noun.ALLOCATIONS, run.id, line, parent=(Noun.TASKS, task.id))
