"""The faults of a job that a command brings: no honest node sends one that has any."""

from itertools import chain

from orion.model.after import after_fault
from orion.model.allow import allow_fault
from orion.model.claims import MAX_STOP_AFTER_MS
from orion.model.container_options import ContainerOptions
from orion.model.ids import JOB_NAME
from orion.model.job import Job, JobKind, TaskSpec
from orion.model.limits import MAX_OWNER, MAX_PORTS
from orion.model.network import aliases_fault, networks_fault
from orion.model.placement_rules import MAX_PRIORITY, rules_fault
from orion.model.schedule import MAX_CRON_NAME, MAX_EXPRESSION, MAX_ZONE
from orion.model.update import UpdatePolicy
from orion.model.volumes import mounts_fault
from orion.state.core.faults import (
    MAX_MS,
    MAX_NUMBER,
    MAX_PORT,
    MAX_WORD,
    first,
    key_fault,
    longer,
    outside,
    protocol_fault,
    resources_fault,
)
from orion.state.records import MAX_COUNT


def creation_fault(job: Job, idempotency_key: str) -> str:
    if not JOB_NAME.fullmatch(job.name):
        return f"{job.name[:80]!r} is no job's name"
    return first(
        (
            key_fault(idempotency_key),
            outside("version", job.version, MAX_NUMBER),
            outside("created_at_ms", job.created_at_ms, MAX_MS),
            outside("priority", job.priority, MAX_PRIORITY, -MAX_PRIORITY),
            _spec_fault(job.task),
            _policy_fault(job.update) if job.update else "",
            _kind_fault(job),
        )
    )


def _kind_fault(job: Job) -> str:
    if job.homes or job.cron or job.collected:
        return f"{job.name} says what only the state does: homes, cron or collected"
    if (job.kind is JobKind.CRON) != (job.schedule is not None):
        return f"{job.name} is a {job.kind} job and has {'a' if job.schedule else 'no'} schedule"
    if job.schedule is None:
        return ""
    return first(
        (
            f"{job.name} is a cron job, whose runs can't have ports on every node" if job.task.ingress else "",
            longer("expression", len(job.schedule.expression), MAX_EXPRESSION),
            longer("time_zone", len(job.schedule.time_zone), MAX_ZONE),
            outside("start_deadline_ms", job.schedule.start_deadline_ms, MAX_MS),
            longer("a cron job's name", len(job.name), MAX_CRON_NAME),
        )
    )


def _policy_fault(policy: UpdatePolicy) -> str:
    times = ("delay_ms", "monitor_ms", "progress_deadline_ms")
    counts = ("parallelism", "min_available", "canary")
    return first(
        (
            *(outside(name, getattr(policy, name), MAX_MS) for name in times),
            *(outside(name, getattr(policy, name), MAX_COUNT, -1) for name in counts),
        )
    )


def _spec_fault(spec: TaskSpec) -> str:
    ports = (
        outside("container_port", port.container_port, MAX_PORT, 1)
        or outside("host_port", port.host_port, MAX_PORT)
        or longer("host_ip", len(port.host_ip), MAX_WORD)
        or protocol_fault(port.protocol)
        for port in spec.ports
    )
    ingress = (
        outside("port", each.port, MAX_PORT, 1)
        or outside("container_port", each.container_port, MAX_PORT, 1)
        or protocol_fault(each.protocol)
        for each in spec.ingress
    )
    return first(
        (
            resources_fault(spec.resources),
            first(ports),
            outside("ingress", len(spec.ingress), MAX_PORTS),
            first(ingress),
            outside("max_restarts", spec.restart.max_restarts, MAX_NUMBER),
            outside("stop_grace_ms", spec.stop_grace_ms, MAX_MS),
            outside("stop_after_disconnect_ms", spec.stop_after_disconnect_ms or 0, MAX_STOP_AFTER_MS),
            first(outside("mode", mount.mode, 0o7777) for mount in spec.configs),
            first(outside("uid", mount.uid, MAX_OWNER) for mount in spec.configs),
            first(outside("gid", mount.gid, MAX_OWNER) for mount in spec.configs),
            rules_fault(spec.rules),
            _options_fault(spec.options),
            after_fault(spec.after),
            networks_fault(spec.networks),
            allow_fault(spec.allow_from),
            mounts_fault(spec.volumes),
            aliases_fault(spec.aliases, spec.networks),
        )
    )


def _options_fault(options: ContainerOptions | None) -> str:
    """Says which number can't be shown or given to an engine."""
    if options is None:
        return ""
    named = ((name, getattr(options, name)) for name in options.__struct_fields__)
    numbers = [(name, value) for name, value in named if isinstance(value, int)]
    numbers += [(f"limit of {each.name}", number) for each in options.ulimits for number in (each.soft, each.hard)]
    numbers += [("count", each.count) for each in options.device_requests]
    rates = (
        options.blkio_device_weights,
        options.device_read_bps,
        options.device_write_bps,
        options.device_read_iops,
        options.device_write_iops,
    )
    numbers += [("rate", each.rate) for each in chain.from_iterable(rates)]
    return first(outside(name, number, MAX_NUMBER, -MAX_NUMBER) for name, number in numbers)


TABLES = ()
COMMANDS = ()
