"""The table of actions: for each noun its keys, and what they do."""

from collections.abc import Callable
from typing import Any

from textual.screen import Screen

from orion.model.api.nodes import NodeView
from orion.model.api.watch import JobRow, Noun, TaskRow
from orion.tui.actions import calls, questions, takes, wishes
from orion.tui.actions.action import Action
from orion.tui.actions.edit import edit
from orion.tui.actions.edit_config import edit_config
from orion.tui.cluster import Cluster
from orion.tui.screens import of_row
from orion.tui.store import Store

_Opened = Screen[Any]


def _xray(cluster: Cluster, noun: Noun, key: str) -> _Opened:
    from orion.tui.screens.xray import Xray
    from orion.tui.texts.asking import job_of

    return Xray(cluster, job_of(cluster.store, noun, key))


def _runs_at_times(store: Store, job: str) -> str:
    row = store.tables[Noun.JOBS].get(job)
    runs = isinstance(row, JobRow) and row.kind in ("cron", "batch")
    return "" if runs else f"{job} is neither a cron job nor a batch job: it runs already"


def _goes_alone(word: str, key: str) -> Callable[[Store, str], str]:
    """Returns why a task can't be stopped, started or deleted without the others of its job, and what can be."""

    def refuses(store: Store, task: str) -> str:
        row = store.tables[Noun.TASKS].get(task)
        if word == "started" and isinstance(row, TaskRow) and row.state in questions.ACTIVE:
            return f"{task} runs already"
        job = store.tables[Noun.JOBS].get(row.job) if isinstance(row, TaskRow) else None
        if isinstance(job, JobRow) and job.count > 1:
            return (
                f"{task} is one of {job.count:,} tasks of {job.name}, and none of them can be {word} alone."
                f" Shift-J goes to {job.name}: there s asks for fewer or more, and {key} is for all."
                f" r replaces them all by new ones."
            )
        return ""

    return refuses


def _is_not_stopped(store: Store, job: str) -> str:
    row = store.tables[Noun.JOBS].get(job)
    starts = not isinstance(row, JobRow) or row.stopped or not row.active
    return "" if starts else f"{job} is not stopped: it runs already"


def _takes_work(store: Store, node: str) -> str:
    row = store.tables[Noun.NODES].get(node)
    return f"{node} takes work already" if isinstance(row, NodeView) and row.status == "alive" else ""


DESCRIBE = Action("d", "describe", "All that is known of it", opens=of_row.describe)
YAML = Action("y", "yaml", "It as YAML", opens=of_row.yaml)
WHY = Action("w", "why", "Why it waits, or is not as asked: the whole of it", opens=of_row.why)
LOGS = Action("l", "logs", "What it writes", opens=of_row.logs)
PREVIOUS = Action("p", "previous", "What its run before wrote", opens=of_row.previous)
EVENTS = Action("v", "events", "What happened to it", opens=of_row.events)
USE = Action(
    "i",
    "use",
    "What it uses: processor, memory, network, disks",
    many=True,
    opens=of_row.use,
    together=of_row.use_together,
)
XRAY = Action("x", "xray", "Its job as a tree", opens=_xray)
SHELL = Action("s", "shell", "A shell in its container", changes=True, takes=takes.shell)
FORWARD = Action("f", "forward", "A port of its container on this machine", changes=True, takes=takes.port_forward)

_PROMOTE = "Have the rest follow the canaries, or a paused deployment go on"
_ROLLBACK = "Go back to a version from before"

_NODES = (
    DESCRIBE,
    Action(
        "r",
        "drain",
        "Move its tasks elsewhere, and give it no more",
        changes=True,
        many=True,
        calls=calls.drain,
        asks=questions.drain,
    ),
    Action("u", "ready", "Give it work again", changes=True, many=True, calls=calls.ready, refuses=_takes_work),
    EVENTS,
    USE,
    YAML,
    LOGS,
    WHY,
    Action("m", "drain, volumes too", "Drain it, and move its volumes", changes=True, takes=takes.drain_volumes),
    Action("h", "drain and stop", "Drain it, and then stop it", changes=True, takes=takes.drain_stop),
    Action(
        "a",
        "label",
        "Set labels, or take them away",
        changes=True,
        many=True,
        calls=calls.label_node,
        wish=wishes.LABELS,
    ),
    Action("t", "lead", "Hand leadership to it", changes=True, calls=calls.lead, asks=questions.lead),
    Action(
        "b",
        "rebalance",
        "Move tasks from full nodes to empty ones",
        changes=True,
        calls=calls.rebalance,
        asks=questions.rebalance,
        previews=calls.would_move,
    ),
    Action(
        "ctrl+d",
        "forget",
        "Forget it: it is dead, stopped or drained",
        changes=True,
        many=True,
        calls=calls.forget_node,
        asks=questions.forget_node,
    ),
)
_JOBS = (
    DESCRIBE,
    LOGS,
    Action("e", "edit", "Edit it in $EDITOR; the plan is shown first", changes=True, takes=edit),
    Action(
        "s",
        "scale",
        "Have another number of tasks",
        changes=True,
        many=True,
        calls=calls.scale_job,
        wish=wishes.COUNT,
        asks=questions.scale_job,
    ),
    YAML,
    PREVIOUS,
    WHY,
    EVENTS,
    USE,
    XRAY,
    Action(
        "r",
        "restart",
        "Replace its tasks by new ones",
        changes=True,
        many=True,
        calls=calls.restart_job,
        asks=questions.restart_job,
    ),
    Action(
        "ctrl+l",
        "rollback",
        _ROLLBACK,
        changes=True,
        calls=calls.roll_back,
        wish=wishes.VERSION._replace(choices=calls.versions),
        previews=calls.would_roll_back,
    ),
    Action("a", "promote", _PROMOTE, changes=True, many=True, calls=calls.promote),
    Action(
        "h", "stop", "Stop it, and keep it", changes=True, many=True, calls=calls.stop_job, asks=questions.stop_job
    ),
    Action("b", "start", "Start it again", changes=True, many=True, calls=calls.start_job, refuses=_is_not_stopped),
    Action(
        "t",
        "run now",
        "Run a cron job now, or a batch job again",
        changes=True,
        many=True,
        calls=calls.run_job,
        refuses=_runs_at_times,
    ),
    Action(
        "ctrl+d",
        "delete",
        "Stop it and forget it",
        changes=True,
        many=True,
        calls=calls.delete_job,
        asks=questions.delete_job,
    ),
)
_TASKS = (
    DESCRIBE,
    LOGS,
    SHELL,
    WHY,
    YAML,
    PREVIOUS,
    EVENTS,
    USE,
    XRAY,
    FORWARD,
    Action("e", "edit job", "Edit its job in $EDITOR; the plan is shown first", changes=True, takes=edit),
    Action(
        "r",
        "restart job",
        "Replace all tasks of its job by new ones",
        changes=True,
        calls=calls.restart_job_of,
        asks=questions.restart_job_of,
    ),
    Action(
        "h",
        "stop",
        "Stop it, and keep it",
        changes=True,
        many=True,
        calls=calls.stop_task,
        asks=questions.stop_task,
        refuses=_goes_alone("stopped", "h"),
    ),
    Action(
        "b",
        "start",
        "Start it again",
        changes=True,
        many=True,
        calls=calls.start_task,
        refuses=_goes_alone("started", "b"),
    ),
    Action(
        "ctrl+d",
        "delete",
        "Delete its job, if that has no other task",
        changes=True,
        many=True,
        calls=calls.delete_task,
        asks=questions.delete_task,
        refuses=_goes_alone("deleted", "Ctrl-D"),
    ),
)
_ALLOCATIONS = (DESCRIBE, YAML, LOGS, WHY, EVENTS, USE, XRAY, SHELL, FORWARD)
_DEPLOYMENTS = (
    DESCRIBE,
    Action("a", "promote", _PROMOTE, changes=True, many=True, calls=calls.of_job(calls.promote)),
    Action(
        "ctrl+l",
        "rollback",
        _ROLLBACK,
        changes=True,
        calls=calls.of_job(calls.roll_back),
        wish=wishes.VERSION_BEFORE._replace(choices=calls.of_job(calls.versions)),
        previews=calls.of_job(calls.would_roll_back),
    ),
    WHY,
    YAML,
    EVENTS,
    XRAY,
)
_VOLUMES = (
    DESCRIBE,
    YAML,
    Action(
        "m",
        "move",
        "Move its data to another node",
        changes=True,
        many=True,
        calls=calls.move_volume,
        wish=wishes.TARGET,
    ),
    Action(
        "ctrl+d",
        "delete",
        "Delete it with its data",
        changes=True,
        many=True,
        calls=calls.delete_volume,
        asks=questions.delete_volume,
    ),
)
_NETWORKS = (
    DESCRIBE,
    YAML,
    Action(
        "ctrl+d",
        "delete",
        "Delete it",
        changes=True,
        many=True,
        calls=calls.delete_network,
        asks=questions.delete_network,
    ),
)
_CONFIGS = (
    DESCRIBE,
    YAML,
    Action("e", "edit", "Edit its value in $EDITOR; what differs is shown first", changes=True, takes=edit_config),
    Action(
        "ctrl+d",
        "delete",
        "Delete it with its value",
        changes=True,
        many=True,
        calls=calls.delete_config,
        asks=questions.delete_config,
    ),
)

# In the order in which they are shown; there is always room for the first four.
ACTIONS: dict[Noun, tuple[Action, ...]] = {
    Noun.NODES: _NODES,
    Noun.JOBS: _JOBS,
    Noun.TASKS: _TASKS,
    Noun.ALLOCATIONS: _ALLOCATIONS,
    Noun.DEPLOYMENTS: _DEPLOYMENTS,
    Noun.VOLUMES: _VOLUMES,
    Noun.NETWORKS: _NETWORKS,
    Noun.CONFIGS: _CONFIGS,
}


def actions_of(noun: Noun, *, read_only: bool = False) -> tuple[Action, ...]:
    """Returns what can be done to rows of a noun; read-only nothing that changes anything."""
    return tuple(action for action in ACTIONS[noun] if not (read_only and action.changes))


WORDS = frozenset(action.word for actions in ACTIONS.values() for action in actions)
