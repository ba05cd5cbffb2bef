"""Commands about cron jobs and batch jobs: a time that has come, a run by hand, the end of what is remembered."""

from msgspec.structs import replace

from orion.model.errors import Conflict, OrionError
from orion.model.firing import Firing, Outcome
from orion.model.ids import JobName
from orion.model.job import JobKind
from orion.model.levels import since
from orion.model.schedule import MAX_CATCH_UP, MAX_COUNTED, Overlap
from orion.model.times import moment_text
from orion.state import mutations, rollouts
from orion.state.core.command import Command, command, once_about
from orion.state.core.faults import MAX_MS, MAX_NUMBER, MAX_WORD, first, key_fault, longer, outside
from orion.state.core.step import Step
from orion.state.order import has_completed
from orion.state.records import Tables
from orion.state.tables import cron_rows, job_uses
from orion.state.tables.answers import Answers
from orion.state.tables.cron_rows import CronRow, Crons
from orion.state.tables.deployment_rows import Deployments
from orion.state.tables.history import ChangeKind, note
from orion.state.tables.jobs import unknown

MAX_COLLECTED = 100  # in one entry


@since(2)
class FireCron(Command, frozen=True, array_like=True, tag=30):
    """All times of a cron job up to `until_ms` are dealt with: `fires` run now, `missed` others were missed.
    Nothing happens unless all up to `former_ms`, and no more, were dealt with before: whatever leader proposes it,
    and how often, a time is dealt with once.
    """

    job: JobName
    created_index: int
    former_ms: int
    until_ms: int
    fires: tuple[int, ...] = ()
    missed: int = 0
    missed_from_ms: int = 0
    missed_to_ms: int = 0


@since(2)
class RunJob(Command, frozen=True, array_like=True, tag=31):
    """Run a cron job now, beside its times; or a batch job that has ended, again. Answers with the name of the job
    that runs.
    """

    job: JobName
    idempotency_key: str
    since: int


@since(2)
class CollectJobs(Command, frozen=True, array_like=True, tag=32):
    """Forget what is remembered of batch jobs that have ended: the run of a cron job as a whole; of another one its
    tasks, and never that it has completed. A job is told by its name and created_index.
    """

    jobs: tuple[tuple[JobName, int], ...]


def _fire_fault(fire: FireCron) -> str:
    times = (fire.former_ms, fire.until_ms, fire.missed_from_ms, fire.missed_to_ms, *fire.fires[:MAX_CATCH_UP])
    return first(
        (
            longer("job", len(fire.job), MAX_WORD),
            outside("created_index", fire.created_index, MAX_NUMBER),
            outside("fires", len(fire.fires), MAX_CATCH_UP),
            outside("missed", fire.missed, MAX_NUMBER),
            first(outside("time", each, MAX_MS) for each in times),
        )
    )


@command(FireCron, fault=_fire_fault)
def fire_cron(state: Tables, step: Step, fire: FireCron) -> None:
    record, row = state.jobs.get(fire.job), state.of(Crons).get(fire.job)
    if record is None or row is None or not record.job.wanted or record.job.schedule is None:
        return
    if row.created_index != fire.created_index or row.last_ms != fire.former_ms:
        return
    row = replace(row, last_ms=fire.until_ms)
    if fire.until_ms < fire.former_ms:
        step.tell("CronClock", fire.job, f"{fire.job}: the clock was ahead until now; its times count from now on")
    if fire.missed:
        row = _miss(step, row, fire)
    row = cron_rows.heal(state, step, row)
    # A clock that was put back comes to some times again.
    known = [each for each in row.firings if each.outcome is not Outcome.MISSED and not each.by_hand]
    spans = [(each.at_ms, max(each.at_ms, each.to_ms)) for each in known]
    fires = [at_ms for at_ms in fire.fires if not any(start <= at_ms <= end for start, end in spans)]
    if record.job.schedule.overlap is Overlap.REPLACE:
        for at_ms in fires[:-1]:
            row = cron_rows.skip(step, row, at_ms, "a later run takes its place")
        fires = fires[-1:]
    for at_ms in fires:
        row = cron_rows.fire(state, step, record.job, row, at_ms, in_turn=len(fires) > 1)
    state.of(Crons).put(row)


def _miss(step: Step, row: CronRow, fire: FireCron) -> CronRow:
    start, end = moment_text(fire.missed_from_ms), moment_text(fire.missed_to_ms)
    when = f"from {start} to {end}" if fire.missed > 1 else f"at {start}"
    more = " or more" if fire.missed >= MAX_COUNTED else ""
    runs = "1 run" if fire.missed == 1 else f"{fire.missed:,} runs{more}"
    reason = f"{runs} {when} missed: no leader was there, or the clock has jumped"
    step.tell("CronMissed", fire.job, f"{fire.job}: {reason}")
    missed = Firing(
        fire.missed_from_ms,
        step.at_ms,
        Outcome.MISSED,
        reason=reason,
        count=fire.missed,
        to_ms=fire.missed_to_ms,
    )
    return row.noted(missed)


def _run_fault(run: RunJob) -> str:
    return longer("job", len(run.job), MAX_WORD) or key_fault(run.idempotency_key)


@command(RunJob, fault=_run_fault, once=once_about(Answers, "run", lambda run: run.job))
def run_job(state: Tables, step: Step, run: RunJob) -> JobName | OrionError:
    record = state.jobs.get(run.job)
    if record is None or record.latest.created_index > run.since or record.latest.stopping:
        return unknown(run.job)
    job = record.latest
    if job.stopped:
        return Conflict(f"{job.name} is stopped: start it first with 'orion start {job.name}'")
    if job.kind is JobKind.BATCH:
        if not record.finished:
            return Conflict(f"{job.name} has not ended yet: it runs again once it has")
        state.of(Deployments).supersede(step, job.name, "it runs again")
        rollouts.run_again(state, record)
        job_uses.keep(state, job.name)
        note(state, step, ChangeKind.STARTED, record.job)
        step.tell("JobStarted", job.name, f"{job.name} runs again")
        return job.name
    row = state.of(Crons).get(job.name)
    if job.kind is not JobKind.CRON or row is None:
        return Conflict(f"{job.name} is a {job.kind} job: only cron and batch jobs are run by hand")
    if not job.count:
        return Conflict(f"{job.name} is to have no tasks: 'orion scale {job.name} 1' gives it one")
    name = cron_rows.run_name(job.name, step.at_ms // 1000)
    if name in state.jobs:
        return Conflict(f"{name} is there already: ask again in a second")
    state.of(Crons).put(cron_rows.start_run(state, step, job, row, step.at_ms, name, by_hand=True))
    return name


def _collect_fault(collect: CollectJobs) -> str:
    return outside("jobs", len(collect.jobs), MAX_COLLECTED) or first(
        longer("job", len(name), MAX_WORD) for name, _ in collect.jobs
    )


@command(CollectJobs, fault=_collect_fault)
def collect_jobs(state: Tables, step: Step, collect: CollectJobs) -> None:
    for name, created_index in collect.jobs:
        record = state.jobs.get(name)
        if record is None or record.job.created_index != created_index or record.successor is not None:
            continue
        job = record.job
        over = record.finished or (job.stopped and not record.active)
        if job.kind is not JobKind.BATCH or job.collected or not over:
            continue
        if job.cron:
            cron_rows.settle_run(state, step, record)
            mutations.forget_job(state, record)
            job_uses.keep(state, name)
            step.tell("JobForgotten", name, f"{name} has ended a while ago and is forgotten")
        elif has_completed(record):
            mutations.collect(state, record)
            step.tell("JobCollected", name, f"{name} has ended a while ago: what is left of its tasks is removed")


TABLES = ()
COMMANDS = (fire_cron, run_job, collect_jobs)
