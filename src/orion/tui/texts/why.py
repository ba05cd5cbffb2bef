"""Why a task has no node: all that the scheduler has found, in lines."""

from collections.abc import Iterator

from orion.model.api.reasons import (
    JobWaitView,
    PlacementFailureView,
    PortShortageView,
    ShortageView,
    VolumeWaitView,
)
from orion.model.counts import several
from orion.model.resources import size_text
from orion.tui.lines import Line, Part, plain
from orion.tui.texts.words import age_of

# Of each reason for which nodes are left out the words behind how many they are, of one and of several.
_FILTERED = {
    "away": ("was stopped on purpose", "were stopped on purpose"),
    "down": ("is down", "are down"),
    "draining": ("is draining", "are draining"),
    "engine": ("has no container engine that answers", "have no container engine that answers"),
    "labels": ("lacks a label that it asks for", "lack a label that it asks for"),
    "constraints": ("does not pass one of its constraints", "do not pass one of its constraints"),
    "alongside": (
        "runs no task of the job alongside which it is to be",
        "run no task of the job alongside which it is to be",
    ),
    "perNode": ("has as many tasks of its job as it may", "have as many tasks of its job as they may"),
}
_GAPS = {
    "not yet": "not yet",
    "absent": "there is no such job",
    "stopped": "it is stopped",
    "failed": "it has failed for good",
    "ended": "it has ended, so nothing of it will be healthy",
    "endless": "it is a system job, which never completes",
    "cron": "it is a cron job, whose runs are jobs of their own",
    "unsure": "none of its nodes confirms it",
}
_VOLUME_GAPS = {
    "down": "which is down",
    "away": "which was stopped on purpose",
    "draining": "which is draining",
    "engine": "whose container engine does not answer",
    "gone": "which is gone",
    "rules": "which the task's rules exclude",
    "room": "which has no room for the task",
    "apart": "and another volume of the task is on another node",
    "moving": "and it is on its way to another one",
    "most": "and there are as many volumes as there can be",
}


def why_lines(reason: str, failure: PlacementFailureView | None) -> Iterator[Line]:
    """Yields nothing where there is no reason."""
    if reason:
        yield plain(reason, "warn")
    if failure is None:
        return
    yield from map(_wait, failure.waits_for)
    if failure.waits_for:
        yield plain("no node is looked at before that", "dim")
    if failure.volume is not None:
        yield _volume(failure.volume)
    excluded = [*_nodes(failure)]
    if excluded:
        yield plain(
            f"Of {several(failure.nodes, 'node')}, each counted under the first that keeps the task from it:", "dim"
        )
        yield from excluded


def _nodes(failure: PlacementFailureView) -> Iterator[Line]:
    for why, count in failure.nodes_filtered.items():
        one, many = _FILTERED.get(why, (why, why))
        yield _counted(count, one if count == 1 else many)
    for resource, short in failure.resources_short.items():
        yield _counted(short.nodes, _shortage(resource, short))
    for port in failure.ports_taken:
        yield _counted(port.nodes, _port(port))


def _counted(count: int, words: str) -> Line:
    return Part(f"{count:>6,}  ", "title"), Part(words)


def _shortage(resource: str, short: ShortageView) -> str:
    def amount(value: float) -> str:
        return f"{value:g} cores" if resource == "cpu" else size_text(int(value), like=int(short.needs))

    has = "has" if short.nodes == 1 else "have"
    best = "is" if short.nodes == 1 else "at most are"
    return f"{has} too little {resource}: it needs {amount(short.needs)}, {amount(short.most_free)} {best} free"


def _port(port: PortShortageView) -> str:
    if port.holder == "range" or not port.host_port:
        return f"have no free {port.protocol} port of those that Orion chooses from"
    holder = "Orion itself" if port.holder == "orion" else "a task"
    return f"host port {port.host_port}/{port.protocol} is taken by {holder}"


def _wait(wait: JobWaitView) -> Line:
    since = f" ({age_of(wait.since)})" if wait.since else ""
    return (
        Part("waits for "),
        Part(wait.job, "title"),
        Part(f" to be {wait.condition}: {_GAPS.get(wait.why, wait.why)}{since}"),
    )


def _volume(wait: VolumeWaitView) -> Line:
    since = f" ({age_of(wait.since)})" if wait.since else ""
    where = f"is on {wait.node_id}" if wait.node_id else "has no node"
    return (
        Part("volume "),
        Part(wait.volume, "title"),
        Part(f" {where}, {_VOLUME_GAPS.get(wait.why, wait.why)}{since}"),
    )
