"""Questions to a node, for a row's description or its YAML: functions of a client."""

import contextlib
from collections.abc import Callable, Iterator

from orion.client import Client
from orion.model.api.deployments import DeploymentView
from orion.model.api.nodes import NodeView
from orion.model.api.tasks import TaskView
from orion.model.api.watch import AllocationRow, JobRow, Noun, TaskRow
from orion.model.counts import several
from orion.model.errors import NotFound, OrionError
from orion.tui.lines import Line, Part, plain, state_look
from orion.tui.store import Store
from orion.tui.texts.describe import (
    config_lines,
    deployment_lines,
    network_lines,
    node_lines,
    section,
    volume_lines,
)
from orion.tui.texts.describe_job import allocation_lines, job_lines, task_lines
from orion.tui.texts.event_lines import event_line
from orion.tui.texts.why import why_lines
from orion.tui.texts.yaml_text import job_yaml, yaml_text

EVENTS = 15  # that a description ends with
FIRST_EVENT = "0.0"

Describe = Callable[[Client], list[Line]]


def describe(store: Store, noun: Noun, key: str) -> Describe:
    """Returns what asks for all that is known of the row, to be called in another thread."""
    tasks = tasks_of(store, noun, key)
    run = store.tables[Noun.ALLOCATIONS].get(key)

    def lines(client: Client) -> list[Line]:
        if noun is Noun.ALLOCATIONS and isinstance(run, AllocationRow):
            return list(allocation_lines(run, _task_of(client, run.task)))
        found = list(_described(client, noun, key, tasks))
        if noun in (Noun.NODES, Noun.JOBS, Noun.TASKS):
            found += section(f"Last events, at most {EVENTS}", _events(client, key))
        return found

    return lines


def _described(client: Client, noun: Noun, key: str, tasks: list[TaskRow]) -> Iterator[Line]:
    match noun:
        case Noun.NODES:
            yield from node_lines(client.node(key), tasks)
        case Noun.JOBS:
            yield from _job(client, key, tasks)
        case Noun.TASKS:
            yield from _task(client, key)
        case Noun.DEPLOYMENTS:
            yield from deployment_lines(client.deployment(int(key)))
        case Noun.VOLUMES:
            yield from volume_lines(client.volume(key))
        case Noun.NETWORKS:
            yield from network_lines(client.network_detail(key))
        case Noun.CONFIGS:
            value, view = client.config_and_view(key)
            yield from config_lines(view, value)
        case Noun.ALLOCATIONS:
            raise NotFound(f"there is no run {key} any more")


def _events(client: Client, subject: str) -> Iterator[Line]:
    """Yields what happened to it last; nothing where that can't be asked: the rest is worth showing."""
    with contextlib.suppress(OrionError):
        for event in client.events(FIRST_EVENT, follow=False, tail=EVENTS, subjects=[subject]):
            yield (Part("  "), *event_line(event))


def _job(client: Client, name: str, tasks: list[TaskRow]) -> Iterator[Line]:
    view = client.job(name)
    versions = client.job_versions(name) if view.kind != "cron" else []
    runs = client.runs(name) if view.kind == "cron" else []
    history = []
    with contextlib.suppress(OrionError):  # the rest is worth showing without it
        history = client.history(name)
    yield from job_lines(view, tasks, versions, runs, history)


def _task(client: Client, key: str) -> Iterator[Line]:
    view = client.task(key)
    if view.health_check is None and all(run.health == "none" for run in view.allocations):
        yield from task_lines(view)
        return
    try:
        checks, unread = client.checks(key), ""
    except OrionError as error:
        checks, unread = [], error.detail
    yield from task_lines(view, checks, unread)


def _task_of(client: Client, task: str) -> TaskView | None:
    try:
        return client.task(task)
    except NotFound:
        return None


def why(store: Store, noun: Noun, key: str) -> Describe:
    """Returns what asks why a row is not as asked: its own reason, and all of it for one task of each reason."""
    tasks = tasks_now(store, noun, key)
    own = "" if noun in _OF_A_TASK else getattr(store.tables[noun].get(key), "reason", "")
    reasons: dict[str, list[TaskRow]] = {}
    for task in tasks:
        if task.reason or task.state in WAITING:
            reasons.setdefault(task.reason, []).append(task)

    def lines(client: Client) -> Iterator[Line]:
        if own:
            yield plain(own, "warn")
            yield ()
        for alike in reasons.values():
            first, more = alike[0], len(alike) - 1
            others = f", and {several(more, 'task')} more for the same reason" if more else ""
            view = client.task(first.id)
            yield Part(first.id, "title"), Part(f" is {view.state}", state_look(view.state)), Part(others)
            for line in why_lines(view.reason, view.placement_failure):
                yield (Part("  "), *line)
            yield ()
        if not reasons and not own:
            yield plain(f"nothing of {key} waits or says why it is not as asked", "good")

    return lambda client: list(lines(client))


WAITING = ("pending", "waiting")
_OF_A_TASK = (Noun.TASKS, Noun.ALLOCATIONS)


def tasks_now(store: Store, noun: Noun, key: str) -> list[TaskRow]:
    """Returns the tasks that belong to a row; of a cron job those of its last run."""
    runs = runs_of(store, key) if noun is Noun.JOBS else []
    return tasks_of(store, noun, runs[-1] if runs else key)


def runs_of(store: Store, cron: str) -> list[str]:
    """Returns the jobs that a cron job has begun and that are not forgotten, by their age, the newest last."""
    rows = [row for row in store.tables[Noun.JOBS].values() if isinstance(row, JobRow) and row.run_of == cron]
    return [row.name for row in sorted(rows, key=lambda row: (row.created_at or "", row.name))]


def tasks_of(store: Store, noun: Noun, key: str) -> list[TaskRow]:
    """Returns the tasks that belong to a row, by their ids."""
    rows = all_tasks(store)
    match noun:
        case Noun.NODES:
            found = [row for row in rows if row.node_id == key]
        case Noun.TASKS | Noun.ALLOCATIONS:
            run = store.tables[noun].get(key)
            task = run.task if isinstance(run, AllocationRow) else key
            found = [row for row in rows if row.id == task]
        case _:
            job = job_of(store, noun, key)
            found = [row for row in rows if row.job == job]
    return sorted(found, key=lambda row: task_order(row.id))


def all_tasks(store: Store) -> list[TaskRow]:
    return [row for row in store.tables[Noun.TASKS].values() if isinstance(row, TaskRow)]


def task_order(task: str) -> tuple[str, int]:
    """Returns what tasks are sorted by: web/2 comes before web/10."""
    job, _, number = task.rpartition("/")
    return job, int(number) if number.isdigit() else -1


def yaml_of(store: Store, noun: Noun, key: str) -> Callable[[Client], str]:
    """Returns what asks for the row as YAML: a job as a file of it, anything else as it is."""
    row = store.tables[noun].get(key)

    def text(client: Client) -> str:
        match noun:
            case Noun.JOBS:
                return job_yaml(client.job(key))
            case Noun.TASKS:
                return yaml_text(client.task(key))
            case Noun.NETWORKS:
                return yaml_text(client.network_detail(key))
            case Noun.VOLUMES:
                return yaml_text(client.volume(key))
        if row is None:
            raise NotFound(f"there is no {noun.value.removesuffix('s')} {key} any more")
        return yaml_text(row)

    return text


def job_of(store: Store, noun: Noun, key: str) -> str:
    """Returns the job that a row belongs to; "" for none."""
    row = store.tables[noun].get(key)
    match row:
        case JobRow():
            return row.name
        case TaskRow() | DeploymentView():
            return row.job
        case AllocationRow():
            return row.task.partition("/")[0]
    return key.partition("/")[0] if noun in (Noun.JOBS, Noun.TASKS) else ""


def node_of(store: Store, noun: Noun, key: str) -> str:
    """Returns the node that a row is on; "" for none."""
    row = store.tables[noun].get(key)
    match row:
        case NodeView():
            return row.name
        case TaskRow() | AllocationRow():
            return row.node_id
    return str(getattr(row, "node_id", "") or "")


def task_of(store: Store, noun: Noun, key: str) -> str:
    """Returns the task that a run is one of; any other key as it is."""
    row = store.tables[noun].get(key)
    return row.task if isinstance(row, AllocationRow) else key
