"""Job commands: create, stop, start, remove.

A name stands for one job at a time, the one that was asked for last. While the last allocations of the former one
end, that job waits as the `successor` in its record; `settle` lets it begin.
"""

from collections import Counter
from collections.abc import Callable, Iterable

from msgspec.structs import replace

from orion.model.allocation import Allocation
from orion.model.counts import several
from orion.model.errors import Conflict, NotFound, OrionError, Refused
from orion.model.ids import JobName
from orion.model.images import image_text
from orion.model.job import Job, JobKind
from orion.state import mutations, rollouts
from orion.state.core.command import Command, Once, command, once_about
from orion.state.core.faults import (
    MAX_WORD,
    key_fault,
    longer,
)
from orion.state.core.step import Step
from orion.state.job_record import JobRecord
from orion.state.records import MAX_COUNT, Tables, port_text, static_port_keys
from orion.state.system_slots import homes_for
from orion.state.tables import cron_rows, job_uses
from orion.state.tables.answers import Answers
from orion.state.tables.deployment_rows import Deployments
from orion.state.tables.history import ChangeKind, note
from orion.state.tables.job_faults import creation_fault
from orion.state.tables.job_refusals import refuse
from orion.state.tables.job_rows import Jobs

Change = Callable[[Tables, Step, JobRecord], None]
_KEEPS_EMPTY = 2  # the level since which a service that was scaled to nothing keeps its name


class CreateJob(Command, frozen=True, array_like=True, tag=6):
    """Refused (Conflict) when the name is taken. The name of a job that is removed, or has ended by itself, is
    free, one of no tasks being neither; the new one waits until the last allocation of the former one has ended.

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
    # One of no tasks has not ended: it is to have some again.
    over = former is not None and former.finished and (former.job.count > 0 or state.level < _KEEPS_EMPTY)
    if former and not former.latest.stopping and not over:
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
    job_uses.keep(state, job.name)
    after = f", once the former {job.name} has ended" if former and former.active else ""
    note(state, step, ChangeKind.CREATED, job)
    step.tell(
        "JobCreated",
        job.name,
        f"{job.name} created: {several(job.count, 'task')} of {image_text(job.task.image)}{after}",
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
    if record.job.kind is JobKind.CRON:
        for run in [each for each in state.jobs.values() if each.job.cron == name]:
            _end_for_good(state, step, run)
    if not record.job.stopping:
        mutations.close_job(state, record, replace(record.job, stopping=True))
        cron_rows.settle_run(state, step, record)
    job_uses.keep(state, name)
    text = f"{name} is being removed"
    step.tell("JobRemoved", name, f"{text}: {several(record.active, 'task')} to end" if record.active else text)
    settle(state, step, record)
    return name


def _end_for_good(state: Tables, step: Step, run: JobRecord) -> None:
    note(state, step, ChangeKind.REMOVED, run.latest)
    run.successor = None
    if not run.job.stopping:
        mutations.close_job(state, run, replace(run.job, stopping=True))
    job_uses.keep(state, run.job.name)
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
    job_uses.keep(state, name)
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
    step.tell("JobStopped", latest.name, f"{text}: {several(record.active, 'task')}" if record.active else text)


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
    step.tell("JobStarted", job.name, f"{job.name} is started: {several(job.count, 'task')}")


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
    job_uses.keep(state, record.job.name)


def _forget(state: Tables, step: Step, record: JobRecord, how: str) -> None:
    mutations.forget_job(state, record)
    cron_rows.forget(state, record.job)
    step.tell("JobForgotten", record.job.name, f"{record.job.name} {how}")


def unknown(name: JobName) -> NotFound:
    return NotFound(f"there is no job named {name}; orion ps lists what runs")


TABLES = (Jobs,)
COMMANDS = (create_job, remove_job, stop_job, start_job)
