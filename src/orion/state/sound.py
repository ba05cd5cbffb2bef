"""Commands understood before they are put into a log: what is in one is applied on every node, at each start again.

The rules for what people may ask for are stricter, and elsewhere (model/api/tasks.py). These are for what no
honest node proposes, and what state, its snapshots, the scheduler and the views could not go on with.
"""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from orion.model.allocation import AllocationStatus
from orion.model.configs import MAX_KEY_BYTES
from orion.model.ids import JOB_NAME, NODE_ID
from orion.model.job import TaskSpec
from orion.model.levels import FIRST
from orion.model.node import address_parts
from orion.model.resources import Resources
from orion.state.commands import (
    AnyCommand,
    ApplyPlan,
    Command,
    CreateJob,
    DeleteConfig,
    DrainNode,
    InitCluster,
    LabelNode,
    PutConfig,
    RegisterNode,
    RemoveJob,
    RemoveNode,
    SetNodeStatus,
    StartJob,
    StopJob,
    UpdateAllocations,
    decode_command,
)

MIN_MS = -62_135_596_800_000  # the year 1, which is how container engines write that there is no time
MAX_MS = 253_402_300_799_999  # the end of the year 9999: later times can't be shown
MAX_NUMBER = 1 << 62  # of bytes, counters, versions: sums of many still fit what they are stored in
MAX_ID = (1 << 64) - 1
MAX_WORD = 1_024  # characters of a name, a key, an address, a version
MAX_TEXT = 64 * 1024  # characters of a reason, or of all labels
MAX_PORT = 65_535
MAX_LEVEL = 10_000


def command_fault(data: bytes) -> str:
    """Why `data` is no command that `apply` may be given; "" when it is one."""
    try:
        command = decode_command(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return str(error)
    return fault_of(command)


def fault_of(command: AnyCommand) -> str:
    """What is wrong with a command, "" when nothing is."""
    return _outside("at_ms", command.at_ms, MAX_MS) or _FAULTS[type(command)](command)


def _outside(what: str, number: int, most: int, least: int = 0) -> str:
    return "" if least <= number <= most else f"{what} is {number}, not from {least} to {most}"


def _longer(what: str, length: int, most: int) -> str:
    return "" if length <= most else f"{what} is {length:,} characters long; at most {most:,} are taken"


def _first(faults: Iterable[str]) -> str:
    return next(filter(None, faults), "")


# --- of each command --------------------------------------------------------------------------------------


def _of_init(command: InitCluster) -> str:
    return _outside("cluster", command.cluster, MAX_ID, 1)


def _of_registration(command: RegisterNode) -> str:
    labels = sum(len(key) + len(value) for key, value in command.labels)
    return _first(
        (
            _node_fault(command.node),
            _outside("raft_id", command.raft_id, MAX_ID, 1),
            _address_fault(command.peer_address),
            _address_fault(command.api_address),
            _resources_fault(command.capacity),
            _longer("labels", labels, MAX_TEXT),
            _longer("engine", len(command.engine), MAX_WORD),
            _longer("version", len(command.version), MAX_WORD),
            _longer("engine_down", len(command.engine_down), MAX_TEXT),
            _outside("gossip_port", command.gossip_port, MAX_PORT),
            _outside("level", command.level, MAX_LEVEL, FIRST),
        )
    )


def _of_status(command: SetNodeStatus) -> str:
    return _first(
        (
            _node_fault(command.node),
            _longer("reason", len(command.reason), MAX_TEXT),
            _outside("grace_ms", command.grace_ms, MAX_MS),
        )
    )


def _of_node_change(command: DrainNode | RemoveNode | LabelNode) -> str:
    return _node_fault(command.node) or _longer("idempotency_key", len(command.idempotency_key), MAX_WORD)


def _of_labels(command: LabelNode) -> str:
    labels = sum(len(key) + len(value or "") for key, value in command.labels)
    return _of_node_change(command) or _longer("labels", labels, MAX_TEXT)


def _of_creation(command: CreateJob) -> str:
    job = command.job
    if not JOB_NAME.fullmatch(job.name):
        return f"{job.name[:80]!r} is no job's name"
    return _first(
        (
            _longer("idempotency_key", len(command.idempotency_key), MAX_WORD),
            _outside("version", job.version, MAX_NUMBER),
            _outside("created_at_ms", job.created_at_ms, MAX_MS),
            _spec_fault(job.task),
        )
    )


def _of_job_change(command: RemoveJob | StopJob | StartJob) -> str:
    return _longer("job", len(command.job), MAX_WORD) or _longer(
        "idempotency_key", len(command.idempotency_key), MAX_WORD
    )


def _of_reports(command: UpdateAllocations) -> str:
    return _node_fault(command.node) or _first(_status_fault(status) for _, status in command.updates)


def _of_plan(command: ApplyPlan) -> str:
    """Its numbers are looked up, and what is not found is left out."""
    return _first(_longer("refusal", len(refusal.text), MAX_TEXT) for refusal in command.refusals)


def _of_config(command: PutConfig | DeleteConfig) -> str:
    return _longer("key", len(command.key), 2 * MAX_KEY_BYTES) or _longer(
        "idempotency_key", len(command.idempotency_key), MAX_WORD
    )


_FAULTS: dict[type[Command], Callable[[Any], str]] = {
    InitCluster: _of_init,
    RegisterNode: _of_registration,
    SetNodeStatus: _of_status,
    DrainNode: _of_node_change,
    RemoveNode: _of_node_change,
    LabelNode: _of_labels,
    CreateJob: _of_creation,
    RemoveJob: _of_job_change,
    StopJob: _of_job_change,
    StartJob: _of_job_change,
    UpdateAllocations: _of_reports,
    ApplyPlan: _of_plan,
    PutConfig: _of_config,
    DeleteConfig: _of_config,
}


# --- of what is in them -----------------------------------------------------------------------------------


def _node_fault(node: str) -> str:
    return "" if NODE_ID.fullmatch(node) else f"{node[:80]!r} is no node's name"


def _address_fault(address: str) -> str:
    if fault := _longer("an address", len(address), MAX_WORD):
        return fault
    try:
        address_parts(address)
    except ValueError as error:
        return str(error)
    return ""


def _resources_fault(resources: Resources) -> str:
    return _first(
        _outside(name, getattr(resources, name), MAX_NUMBER)
        for name in ("cpu_millis", "memory_bytes", "disk_bytes")
    )


def _spec_fault(spec: TaskSpec) -> str:
    ports = (
        _outside("container_port", port.container_port, MAX_PORT, 1)
        or _outside("host_port", port.host_port, MAX_PORT)
        or _longer("host_ip", len(port.host_ip), MAX_WORD)
        or ("" if port.protocol in {"tcp", "udp"} else f"{port.protocol[:20]!r} is no protocol")
        for port in spec.ports
    )
    return _first(
        (
            _resources_fault(spec.resources),
            _first(ports),
            _outside("max_restarts", spec.restart.max_restarts, MAX_NUMBER),
            _outside("stop_grace_ms", spec.stop_grace_ms, MAX_MS),
            _first(_outside("mode", mount.mode, 0o7777) for mount in spec.configs),
        )
    )


def _status_fault(status: AllocationStatus) -> str:
    return _first(
        (
            _longer("reason", len(status.reason), MAX_TEXT),
            _longer("address", len(status.address), MAX_WORD),
            _longer("container", len(status.container), MAX_WORD),
            _outside("started_at_ms", status.started_at_ms, MAX_MS, MIN_MS),
            _outside("finished_at_ms", status.finished_at_ms, MAX_MS, MIN_MS),
            _outside("restarts", status.restarts, MAX_NUMBER),
            _outside("failed_starts", status.failed_starts, MAX_NUMBER),
            _outside("refused_port", status.refused_port, MAX_PORT),
        )
    )
