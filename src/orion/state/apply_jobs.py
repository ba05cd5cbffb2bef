"""Job commands: create, stop. A stopped job is forgotten when its last allocation has ended."""

from collections import Counter
from collections.abc import Iterable

from msgspec.structs import replace

from orion.model.allocation import Allocation
from orion.model.errors import Conflict, NotFound, OrionError, Refused
from orion.model.ids import JobName
from orion.model.job import Job
from orion.state import ledger
from orion.state.commands import CreateJob, StopJob
from orion.state.once import once
from orion.state.records import MAX_COUNT, JobRecord, port_text, static_port_keys
from orion.state.step import Result, Step, tasks_text
from orion.state.tables import State


def create_job(state: State, step: Step, command: CreateJob) -> Result:
    # Of whatever name: one that the node has made up is another in each request.
    mark = f"create {command.idempotency_key}"
    name = command.job.name
    return once(state.answers, step.index, mark, command.since, name, lambda: _create(state, step, command.job))


def stop_job(state: State, step: Step, command: StopJob) -> Result:
    mark = f"stop {command.idempotency_key} {command.job}"
    name, since = command.job, command.since
    return once(state.answers, step.index, mark, since, name, lambda: _stop(state, step, name, since))


def _create(state: State, step: Step, job: Job) -> JobName | OrionError:
    former = state.jobs.get(job.name)
    if former and former.job.stopping:
        return Conflict(
            f"the former {job.name} is still stopping; choose another name or try again when it is gone"
        )
    if former:
        return Conflict(
            f"a job named {job.name} exists already; choose another name or delete it first: orion stop {job.name}"
        )
    if not 0 <= job.count <= MAX_COUNT:
        return Refused(f"{job.name} asks for {job.count:,} tasks; a job has from 0 to {MAX_COUNT:,}")
    twice = [key for key, times in Counter(static_port_keys(job.task)).items() if times > 1]
    if twice:
        return Refused(f"{job.name} asks for host {port_text(twice[0])} twice")
    job = replace(job, stopping=False, created_index=step.index)
    ledger.add_job(state, job)
    step.tell("JobCreated", job.name, f"{job.name} created: {tasks_text(job.count)} of {job.task.image}")
    return job.name


def _stop(state: State, step: Step, name: JobName, since: int) -> JobName | OrionError:
    record = state.jobs.get(name)
    # A copy that a stalled leader passes on late is not meant for a job that was created after it was made.
    if record is None or record.job.created_index > since:
        return NotFound(f"there is no job named {name}; orion ps lists what runs")
    if record.job.stopping:
        return name
    ledger.close_job(state, record)
    for index in range(record.job.count):
        for allocation in record.history(index):
            if allocation.wanted and not allocation.terminal:
                ledger.set_unwanted(state, allocation)
    text = f"{name} is stopping"
    step.tell("JobStopped", name, f"{text}: {tasks_text(record.active)}" if record.active else text)
    forget_if_over(state, step, record)
    return name


def forget_ended(state: State, step: Step, ended: Iterable[Allocation]) -> None:
    """Of the jobs that these allocations belong to, forget those that are over."""
    for name in dict.fromkeys(allocation.job for allocation in ended):
        forget_if_over(state, step, state.jobs[name])


def forget_if_over(state: State, step: Step, record: JobRecord) -> None:
    if record.job.stopping and not record.active:
        ledger.forget_job(state, record)
        step.tell("JobForgotten", record.job.name, f"{record.job.name} has stopped and is forgotten")
