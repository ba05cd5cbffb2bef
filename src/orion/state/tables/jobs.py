"""Job commands: create, stop, start, remove.

A name stands for one job at a time, the one that was asked for last. While the last allocations of the former one
end, that job waits as the `successor` in its record; `settle` lets it begin.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain

from msgspec.structs import replace

from orion.model.after import after_fault
from orion.model.allocation import Allocation
from orion.model.container_options import ContainerOptions
from orion.model.errors import Conflict, NotFound, OrionError, Refused
from orion.model.ids import JOB_NAME, JobName
from orion.model.images import image_text
from orion.model.job import Job, JobKind, TaskSpec
from orion.model.network import networks_fault
from orion.model.placement_rules import MAX_PRIORITY, rules_fault
from orion.model.schedule import MAX_CRON_NAME, MAX_EXPRESSION, MAX_ZONE
from orion.model.update import UpdatePolicy
from orion.state import mutations, rollouts
from orion.state.core.command import Command, Once, command, once_about
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
from orion.state.core.step import Step, tasks_text
from orion.state.job_record import JobRecord
from orion.state.records import MAX_COUNT, Tables, port_text, static_port_keys
from orion.state.system_slots import homes_for
from orion.state.tables import cron_rows, job_configs
from orion.state.tables.answers import Answers
from orion.state.tables.deployment_rows import Deployments
from orion.state.tables.history import ChangeKind, note
from orion.state.tables.job_refusals import refuse
from orion.state.tables.job_rows import Jobs

Change = Callable[[Tables, Step, JobRecord], None]


class CreateJob(Command, frozen=True, array_like=True, tag=6):
    """Refused (Conflict) when the name is taken. The name of a job that is removed, or has ended by itself, is
    free; the new one waits until the last allocation of the former one has ended.

    As all commands of clients it is answered once (state/core/dedup.py): under the same `idempotency_key` (never
    empty) the answer, a refusal too, is as before. `since` is an index that was applied somewhere before the first
    copy was made, so that one which comes later than answers are remembered is known as such.
    """

    job: Job
    idempotency_key: str
    since: int


class RemoveJob(Command, frozen=True, array_like=True, tag=7):
    """Stop all of it and forget it when the last allocation has ended. NotFound when there is none, or only one
    that was created after `since`, or at another index than `created_index`; 0 is whichever.
    """

    job: JobName
    idempotency_key: str
    since: int
    created_index: int = 0


class StopJob(Command, frozen=True, array_like=True, tag=12):
    """Keep it at zero: nothing of it is wanted until it is started. NotFound as RemoveJob; Conflict when it is
    removed.
    """

    job: JobName
    idempotency_key: str
    since: int


class StartJob(Command, frozen=True, array_like=True, tag=13):
    """Undo StopJob, once what is stopped has ended. Of a job that is not stopped, run again what has ended. Refused
    as StopJob.
    """

    job: JobName
    idempotency_key: str
    since: int


# --- create ------------------------------------------------------------------------------------------------


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
    return first(
        (
            resources_fault(spec.resources),
            first(ports),
            outside("max_restarts", spec.restart.max_restarts, MAX_NUMBER),
            outside("stop_grace_ms", spec.stop_grace_ms, MAX_MS),
            first(outside("mode", mount.mode, 0o7777) for mount in spec.configs),
            rules_fault(spec.rules),
            _options_fault(spec.options),
            after_fault(spec.after),
            networks_fault(spec.networks),
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


_CREATE_ONCE: Once[CreateJob] = Once(
    Answers,
    # Of whatever name: one that the node has made up is another in each request.
    mark=lambda command: f"create {command.idempotency_key}",
    subject=lambda command: command.job.name,
)


@command(CreateJob, fault=lambda create: creation_fault(create.job, create.idempotency_key), once=_CREATE_ONCE)
def create_job(state: Tables, step: Step, command: CreateJob) -> JobName | OrionError:
    job = command.job
    former = state.jobs.get(job.name)
    if former and not former.latest.stopping and not former.finished:
        return _taken(former.latest)
    return add_new(state, step, job)


def add_new(state: Tables, step: Step, job: Job) -> JobName | OrionError:
    """The job begins at once, or when what is left of the former one of its name has ended."""
    former = state.jobs.get(job.name)
    if not 0 <= job.count <= MAX_COUNT:
        return Refused(f"{job.name} asks for {job.count:,} tasks; a job has from 0 to {MAX_COUNT:,}")
    twice = [key for key, times in Counter(static_port_keys(job.task)).items() if times > 1]
    if twice:
        return Refused(f"{job.name} asks for host {port_text(twice[0])} twice")
    if refusal := refuse(state, job):
        return refusal
    job = replace(job, stopping=False, stopped=False, created_index=step.index)
    if job.kind is JobKind.SYSTEM:
        homes = homes_for(job, None, state.nodes.values())
        job = replace(job, homes=homes, count=len(homes))
    cron_rows.begin(state, step, job)
    if former and former.active:
        former.successor = job
    else:
        if former:
            _forget(state, step, former, "has ended and makes room for a new one")
        mutations.add_job(state, job)
    job_configs.keep(state, job.name)
    after = f", once the former {job.name} has ended" if former and former.active else ""
    note(state, step, ChangeKind.CREATED, job)
    step.tell(
        "JobCreated",
        job.name,
        f"{job.name} created: {tasks_text(job.count)} of {image_text(job.task.image)}{after}",
    )
    return job.name


def _taken(job: Job) -> Conflict:
    name = job.name
    if job.stopped:
        return Conflict(
            f"a job named {name} is there, stopped: start it with 'orion start {name}', or remove it first with"
            f" 'orion rm {name}'"
        )
    return Conflict(f"a job named {name} exists already; choose another name or remove it first: orion rm {name}")


# --- remove ------------------------------------------------------------------------------------------------


def _change_fault(command: RemoveJob | StopJob | StartJob) -> str:
    return longer("job", len(command.job), MAX_WORD) or key_fault(command.idempotency_key)


def _job(command: RemoveJob | StopJob | StartJob) -> str:
    return command.job


@command(RemoveJob, fault=_change_fault, once=once_about(Answers, "remove", _job))
def remove_job(state: Tables, step: Step, command: RemoveJob) -> JobName | OrionError:
    name, since = command.job, command.since
    record = state.jobs.get(name)
    # A copy that a stalled leader passes on late is not meant for a job that was created after it was made.
    if record is None or record.job.created_index > since:
        return unknown(name)
    if record.latest.created_index > since or record.latest.stopping:
        return name  # it is removed already
    if command.created_index not in (0, record.latest.created_index):
        return name if command.created_index == record.job.created_index else unknown(name)
    note(state, step, ChangeKind.REMOVED, record.latest)
    state.of(Deployments).supersede(step, name, "the job is removed")
    record.successor = None
    job_configs.keep(state, name)
    if record.job.kind is JobKind.CRON:
        for run in [each for each in state.jobs.values() if each.job.cron == name]:
            _end_for_good(state, step, run)
    if not record.job.stopping:
        mutations.close_job(state, record, replace(record.job, stopping=True))
        cron_rows.settle_run(state, step, record)
    text = f"{name} is being removed"
    step.tell("JobRemoved", name, f"{text}: {tasks_text(record.active)} to end" if record.active else text)
    settle(state, step, record)
    return name


def _end_for_good(state: Tables, step: Step, run: JobRecord) -> None:
    note(state, step, ChangeKind.REMOVED, run.latest)
    run.successor = None
    job_configs.keep(state, run.job.name)
    if not run.job.stopping:
        mutations.close_job(state, run, replace(run.job, stopping=True))
    step.tell("JobRemoved", run.job.name, f"{run.job.name} is being removed with its cron job")
    settle(state, step, run)


# --- stop and start ----------------------------------------------------------------------------------------


@command(StopJob, fault=_change_fault, once=once_about(Answers, "stop", _job))
def stop_job(state: Tables, step: Step, command: StopJob) -> JobName | OrionError:
    return _change(state, step, command, _stop)


@command(StartJob, fault=_change_fault, once=once_about(Answers, "start", _job))
def start_job(state: Tables, step: Step, command: StartJob) -> JobName | OrionError:
    return _change(state, step, command, _start)


def _change(state: Tables, step: Step, command: StopJob | StartJob, change: Change) -> JobName | OrionError:
    name, since = command.job, command.since
    record = state.jobs.get(name)
    if record is None or record.job.created_index > since:
        return unknown(name)
    if record.latest.created_index > since or record.latest.stopping:
        return Conflict(f"{name} is being removed; 'orion run --name {name}' makes a new one")
    change(state, step, record)
    job_configs.keep(state, name)
    return name


def _stop(state: Tables, step: Step, record: JobRecord) -> None:
    latest = record.latest
    if latest.stopped:
        return
    if record.successor is None:
        mutations.close_job(state, record, replace(latest, stopped=True))
        cron_rows.settle_run(state, step, record)
        cron_rows.stop(state, step, record.job)
    elif not record.job.stopping:  # it was to start again, maybe as another version
        record.successor = None
        rollouts.change_job(state, record, replace(latest, stopped=True))
        rollouts.point_all(record)
    else:
        record.successor = replace(latest, stopped=True)
    text = f"{latest.name} is stopping"
    note(state, step, ChangeKind.STOPPED, latest)
    state.of(Deployments).supersede(step, latest.name, "the job is stopped")
    step.tell("JobStopped", latest.name, f"{text}: {tasks_text(record.active)}" if record.active else text)


def _start(state: Tables, step: Step, record: JobRecord) -> None:
    latest = record.latest
    if latest.kind is JobKind.CRON:
        if not latest.stopped:
            return
        cron_rows.begin(state, step, latest)
    if not latest.stopped and (record.successor or not any(map(record.has_ended, range(latest.count)))):
        return  # all of it runs, or is about to
    job = replace(latest, stopped=False)
    if record.active and latest.stopped:
        record.successor = job
    else:
        mutations.open_job(state, record, job)
    note(state, step, ChangeKind.STARTED, job)
    step.tell("JobStarted", job.name, f"{job.name} is started: {tasks_text(job.count)}")


# --- what ends ---------------------------------------------------------------------------------------------


def settle_ended(state: Tables, step: Step, ended: Iterable[Allocation]) -> None:
    """Settles the jobs that these allocations belong to."""
    for name in dict.fromkeys(allocation.job for allocation in ended):
        record = state.jobs[name]
        cron_rows.settle_run(state, step, record)
        settle(state, step, record)


def settle(state: Tables, step: Step, record: JobRecord) -> None:
    """Once nothing is active of a job that is not wanted, forget one that is removed, and let a successor begin."""
    if record.active or record.job.wanted:
        return
    successor, record.successor = record.successor, None
    if record.job.stopping:
        _forget(state, step, record, "has stopped and is forgotten")
        if successor:
            mutations.add_job(state, successor)
    elif successor:
        mutations.open_job(state, record, successor)
    job_configs.keep(state, record.job.name)


def _forget(state: Tables, step: Step, record: JobRecord, how: str) -> None:
    mutations.forget_job(state, record)
    cron_rows.forget(state, record.job)
    step.tell("JobForgotten", record.job.name, f"{record.job.name} {how}")


def unknown(name: JobName) -> NotFound:
    return NotFound(f"there is no job named {name}; orion ps lists what runs")


TABLES = (Jobs,)
COMMANDS = (create_job, remove_job, stop_job, start_job)
