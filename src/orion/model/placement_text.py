"""A placement failure in one sentence for a person."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from operator import attrgetter

import msgspec
from msgspec.structs import replace

from orion.model.after import waits_text
from orion.model.job import DYNAMIC_PORTS, TaskSpec
from orion.model.placement import PlacementFailure, PortShortage, RefusalReason, ResourceShortage, waits_of
from orion.model.placement_rules import PlacementRules
from orion.model.resources import Resources, size_text
from orion.model.volumes import volume_wait_text

MAX_CHARACTERS = 2_000  # of a sentence
_MAX_LABELS_CHARACTERS = 500
_MAX_RULE = 200  # characters of a constraint
_NOT_READY = "no node is ready"
_UNREADY = (
    ("away", attrgetter("away")),
    ("down", attrgetter("down")),
    ("draining", attrgetter("draining")),
    ("without a container engine that answers", attrgetter("without_engine")),
)

Labels = tuple[tuple[str, str], ...]


class _Reason(msgspec.Struct, frozen=True):
    """`alone`: the sentence when nothing else keeps the task from any node. `among`: the words beside others."""

    nodes: int
    alone: str
    among: str


def refusal_text(why: RefusalReason, task: TaskSpec) -> str:
    return why if isinstance(why, str) else placement_text(why, task)


def waiting_text(why: RefusalReason, task: TaskSpec, verb: str = "waits") -> str:
    """As `refusal_text`, in words that follow who waits."""
    text = refusal_text(why, task)
    return f"{verb} {text.removeprefix('waits ')}" if waits_of(why) else f"{verb}: {text}"


def placement_text(failure: PlacementFailure, task: TaskSpec) -> str:
    """Returns at most MAX_CHARACTERS. `task`: what did not fit."""
    return _text(failure, task.resources, task.node_labels, task.rules)


@lru_cache(1_024)  # of thousands of tasks that wait, most ask for the same, and wait for the same
def _text(failure: PlacementFailure, asked: Resources, labels: Labels, rules: PlacementRules | None) -> str:
    text = _sentence(failure, asked, labels, rules or PlacementRules())
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1] + "…"


def _sentence(failure: PlacementFailure, asked: Resources, labels: Labels, rules: PlacementRules) -> str:
    if failure.waits:
        return waits_text(failure.waits)
    if failure.volume is not None:
        there = _sentence(replace(failure, volume=None), asked, labels, rules) if failure.nodes else ""
        return volume_wait_text(failure.volume, there)
    unready = list(_unready(failure))
    reasons = [*_ruled_out(failure, rules), *_fitting(failure, asked, labels), *unready]
    if not reasons:
        return _NOT_READY
    if len(reasons) == len(unready):
        return f"{_NOT_READY}: " + ", ".join(reason.among for reason in unready)
    if len(reasons) == 1:
        return reasons[0].alone
    reasons.sort(key=lambda reason: -reason.nodes)
    return "no node fits: " + ", ".join(reason.among for reason in reasons)


def _unready(failure: PlacementFailure) -> Iterator[_Reason]:
    for what, count in _UNREADY:
        if nodes := count(failure):
            yield _Reason(nodes, _NOT_READY, f"{nodes:,} {_are(nodes)} {what}")


def _ruled_out(failure: PlacementFailure, rules: PlacementRules) -> Iterator[_Reason]:
    """Reasons of nodes that the task's rules exclude."""
    for constraint, nodes in zip(rules.constraints, failure.excluded, strict=False):
        if nodes:
            words = str(constraint) if len(str(constraint)) <= _MAX_RULE else f"{str(constraint)[:_MAX_RULE]}…"
            yield _Reason(nodes, f"no node passes {words}", f"{nodes:,} {_do(nodes)} not pass {words}")
    if (nodes := failure.apart) and rules.alongside:
        job = rules.alongside.job
        alone = f"is to run alongside {job}, of which no task runs on a node that could take it"
        yield _Reason(nodes, alone, f"{nodes:,} {_run(nodes)} no task of {job}, alongside which it is to run")
    if nodes := failure.crowded:
        if rules.distinct_hosts:
            alone = "each machine that could take it has a task of its job (distinct hosts)"
            among = f"{nodes:,} {_are(nodes)} on a machine with a task of its job"
        else:
            what = f"max {rules.max_per_node:,} per node is reached on {nodes:,}"
            alone, among = f"{what} of {nodes:,} nodes", what
        yield _Reason(nodes, alone, among)


def _fitting(failure: PlacementFailure, asked: Resources, labels: Labels) -> Iterator[_Reason]:
    """Reasons of nodes that are ready."""
    if nodes := failure.without_labels:
        words = _labels_text(labels)
        yield _Reason(nodes, f"no node has {words}", f"{nodes:,} {_lack(nodes)} {words}")
    shortages = (
        ("cores", failure.cpu, asked.cpu_millis, _cores_text),
        ("memory", failure.memory, asked.memory_bytes, _bytes_text),
        ("disk", failure.disk, asked.disk_bytes, _bytes_text),
    )
    for what, shortage, needs, text in shortages:
        if shortage is not None:
            yield _lacking(what, shortage, needs, text)
    for port in failure.ports:
        yield _port_reason(port)


def _labels_text(labels: Labels) -> str:
    """Returns the first of them where they are many: the other reasons are to be read too."""
    shown: list[str] = []
    room = _MAX_LABELS_CHARACTERS
    for key, value in labels:
        pair = f"{key}={value}"
        room -= len(pair)
        if shown and room < 0:
            break
        shown.append(pair)
    if len(shown) < len(labels):
        shown.append(f"{len(labels) - len(shown):,} more")
    return f"the label{'s' if len(shown) > 1 else ''} {' and '.join(shown)}"


def _cores_text(millis: int, asked: int) -> str:
    del asked  # cores have one unit
    return f"{millis / 1000:g}"


def _bytes_text(count: int, asked: int) -> str:
    """In the units that were asked in: what is asked and what is free are to be compared."""
    return size_text(count, like=asked)


def _lacking(what: str, shortage: ResourceShortage, asked: int, text: Callable[[int, int], str]) -> _Reason:
    needs, most, nodes = text(asked, asked), text(shortage.most_free, asked), shortage.nodes
    amount = f"{needs} cores" if what == "cores" else f"{needs} of {what}"
    alone = f"needs {amount}; the largest node has {most} free"
    return _Reason(nodes, alone, f"{nodes:,} {_lack(nodes)} {what} (needs {needs}, most free {most})")


def _port_reason(short: PortShortage) -> _Reason:
    """Alone, it is all nodes that could have taken the task."""
    nodes = short.nodes
    has, all_of_them = "has" if nodes == 1 else "have", f"{nodes:,} of {nodes:,} nodes"
    if not short.port:
        span = f"{DYNAMIC_PORTS.start} to {DYNAMIC_PORTS.stop - 1}"
        alone = f"no port from {span} is free on {all_of_them}"
        return _Reason(nodes, alone, f"{nodes:,} {has} no port from {span} free")
    port = f"port {short.port}" if short.protocol == "tcp" else f"port {short.port}/{short.protocol}"
    if short.own:
        needs = "needs" if nodes == 1 else "need"
        return _Reason(
            nodes, f"{port} is Orion's own on {all_of_them}", f"{nodes:,} {needs} {port} for Orion itself"
        )
    return _Reason(nodes, f"{port} is taken on {all_of_them}", f"{nodes:,} {has} {port} taken")


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _do(count: int) -> str:
    return "does" if count == 1 else "do"


def _run(count: int) -> str:
    return "runs" if count == 1 else "run"


def _lack(count: int) -> str:
    return "lacks" if count == 1 else "lack"
