"""Job commands: create, stop, start, remove.

A name stands for one job at a time, the one that was asked for last. While the last allocations of the former one
end, that job waits as the `successor` in its record; `settle` lets it begin.
"""

from collections import Counter
from collections.abc import Callable, Iterable

from msgspec.structs import replace

from orion.model.allocation import Allocation
from orion.model.errors import Conflict, NotFound, OrionError, Refused
from orion.model.ids import JobName
from orion.model.job import Job
from orion.state import mutations
from orion.state.commands import CreateJob, RemoveJob, StartJob, StopJob
from orion.state.core.step import Answered, Result, Step, tasks_text
from orion.state.idempotency import once
from orion.state.records import MAX_COUNT, JobRecord, port_text, static_port_keys
from orion.state.tables import State

Change = Callable[[State, Step, JobRecord], None]


def create_job(state: State, step: Step, command: CreateJob) -> Result:
    # Of whatever name: one that the node has made up is another in each request.
    mark = f"create {command.idempotency_key}"
    name = command.job.name
    return once(state.answers, step.index, mark, command.since, name, lambda: _create(state, step, command.job))


def remove_job(state: State, step: Step, command: RemoveJob) -> Result:
    return _once(state, step, "remove", command, lambda: _remove(state, step, command))


def stop_job(state: State, step: Step, command: StopJob) -> Result:
    return _once(state, step, "stop", command, lambda: _change(state, step, command, _stop))


def start_job(state: State, step: Step, command: StartJob) -> Result:
    return _once(state, step, "start", command, lambda: _change(state, step, command, _start))


def _once(
    state: State, step: Step, verb: str, command: RemoveJob | StopJob | StartJob, change: Callable[[], Answered]
) -> Result:
    mark = f"{verb} {command.idempotency_key} {command.job}"
    return once(state.answers, step.index, mark, command.since, command.job, change)


# --- create ------------------------------------------------------------------------------------------------


def _create(state: State, step: Step, job: Job) -> JobName | OrionError:
    former = state.jobs.get(job.name)
    if former and not former.latest.stopping and not former.finished:
        return _taken(former.latest)
    if not 0 <= job.count <= MAX_COUNT:
        return Refused(f"{job.name} asks for {job.count:,} tasks; a job has from 0 to {MAX_COUNT:,}")
    twice = [key for key, times in Counter(static_port_keys(job.task)).items() if times > 1]
    if twice:
        return Refused(f"{job.name} asks for host {port_text(twice[0])} twice")
    job = replace(job, stopping=False, stopped=False, created_index=step.index)
    if former and former.active:
        former.successor = job
    else:
        if former:
            _forget(state, step, former, "has ended and makes room for a new one")
        mutations.add_job(state, job)
    after = f", once the former {job.name} has ended" if former and former.active else ""
    step.tell("JobCreated", job.name, f"{job.name} created: {tasks_text(job.count)} of {job.task.image}{after}")
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


def _remove(state: State, step: Step, command: RemoveJob) -> JobName | OrionError:
    name, since = command.job, command.since
    record = state.jobs.get(name)
    # A copy that a stalled leader passes on late is not meant for a job that was created after it was made.
    if record is None or record.job.created_index > since:
        return _unknown(name)
    if record.latest.created_index > since or record.latest.stopping:
        return name  # it is removed already
    if command.created_index not in (0, record.latest.created_index):
        return name if command.created_index == record.job.created_index else _unknown(name)
    record.successor = None
    if not record.job.stopping:
        mutations.close_job(state, record, replace(record.job, stopping=True))
    text = f"{name} is being removed"
    step.tell("JobRemoved", name, f"{text}: {tasks_text(record.active)} to end" if record.active else text)
    settle(state, step, record)
    return name


# --- stop and start ----------------------------------------------------------------------------------------


def _change(state: State, step: Step, command: StopJob | StartJob, change: Change) -> JobName | OrionError:
    name, since = command.job, command.since
    record = state.jobs.get(name)
    if record is None or record.job.created_index > since:
        return _unknown(name)
    if record.latest.created_index > since or record.latest.stopping:
        return Conflict(f"{name} is being removed; 'orion run --name {name}' makes a new one")
    change(state, step, record)
    return name


def _stop(state: State, step: Step, record: JobRecord) -> None:
    latest = record.latest
    if latest.stopped:
        return
    if record.successor is None:
        mutations.close_job(state, record, replace(latest, stopped=True))
    elif not record.job.stopping:  # it was to start again
        record.successor = None
    else:
        record.successor = replace(latest, stopped=True)
    text = f"{latest.name} is stopping"
    step.tell("JobStopped", latest.name, f"{text}: {tasks_text(record.active)}" if record.active else text)


def _start(state: State, step: Step, record: JobRecord) -> None:
    latest = record.latest
    if not latest.stopped and (record.successor or not any(map(record.has_ended, range(latest.count)))):
        return  # all of it runs, or is about to
    job = replace(latest, stopped=False)
    if record.active and latest.stopped:
        record.successor = job
    else:
        mutations.open_job(state, record, job)
    step.tell("JobStarted", job.name, f"{job.name} is started: {tasks_text(job.count)}")


# --- what ends ---------------------------------------------------------------------------------------------


def settle_ended(state: State, step: Step, ended: Iterable[Allocation]) -> None:
    """Settles the jobs that these allocations belong to."""
    for name in dict.fromkeys(allocation.job for allocation in ended):
        settle(state, step, state.jobs[name])


def settle(state: State, step: Step, record: JobRecord) -> None:
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


def _forget(state: State, step: Step, record: JobRecord, how: str) -> None:
    mutations.forget_job(state, record)
    step.tell("JobForgotten", record.job.name, f"{record.job.name} {how}")


def _unknown(name: JobName) -> NotFound:
    return NotFound(f"there is no job named {name}; orion ps lists what runs")
