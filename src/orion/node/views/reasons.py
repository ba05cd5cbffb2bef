"""Why a task waits, and how far its pull has come, as the API shows them to programs. Pure reads."""

from collections.abc import Callable

from orion.model.api.reasons import (
    JobWaitView,
    PlacementFailureView,
    PortShortageView,
    ProgressView,
    ShortageView,
    VolumeWaitView,
)
from orion.model.job import TaskSpec
from orion.model.placement import PlacementFailure, PortShortage, ResourceShortage
from orion.model.pull import PullProgress
from orion.model.times import rfc3339
from orion.model.volumes import VolumeWait


def placement_failure(failure: PlacementFailure, task: TaskSpec) -> PlacementFailureView:
    """`task`: what did not fit."""
    filtered = {
        "away": failure.away,
        "down": failure.down,
        "draining": failure.draining,
        "engine": failure.without_engine,
        "labels": failure.without_labels,
        "constraints": sum(failure.excluded),
        "alongside": failure.apart,
        "perNode": failure.crowded,
    }
    asked = task.resources
    short = {
        "cpu": _shortage(failure.cpu, asked.cpu_millis, _cores),
        "memory": _shortage(failure.memory, asked.memory_bytes, int),
        "disk": _shortage(failure.disk, asked.disk_bytes, int),
    }
    return PlacementFailureView(
        nodes=failure.nodes,
        nodes_filtered={name: count for name, count in filtered.items() if count},
        resources_short={name: view for name, view in short.items() if view},
        ports_taken=[_port(port) for port in failure.ports],
        waits_for=[
            JobWaitView(each.job, each.condition, each.gap, rfc3339(each.since_ms) if each.since_ms else None)
            for each in failure.waits
        ],
        volume=_volume(failure.volume) if failure.volume else None,
    )


def _volume(wait: VolumeWait) -> VolumeWaitView:
    since = rfc3339(wait.since_ms) if wait.since_ms else None
    return VolumeWaitView(wait.volume, wait.node, wait.gap, since)


def _shortage(shortage: ResourceShortage | None, needs: int, unit: Callable[[int], float]) -> ShortageView | None:
    return ShortageView(shortage.nodes, unit(needs), unit(shortage.most_free)) if shortage else None


def _cores(millis: int) -> float:
    return millis / 1000


def _port(short: PortShortage) -> PortShortageView:
    holder = "orion" if short.own else "task" if short.port else "range"
    return PortShortageView(short.port, short.protocol, holder, short.nodes)


def progress(pull: PullProgress) -> ProgressView:
    phase = "unpacking" if pull.unpacking else "downloading" if pull.total_bytes else "resolving"
    return ProgressView(phase, pull.done_bytes, pull.total_bytes)
