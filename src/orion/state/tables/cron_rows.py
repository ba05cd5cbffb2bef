"""Runs of cron jobs: a row for each job, with the last time that was dealt with and its last runs.

A run is a batch job of its own, so that it is looked at, and its logs are read, as those of any job are. The row
says which job it is, and what came of it after that job was collected.
"""

from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from orion.model.allocation import Allocation, AllocationState
from orion.model.counts import several
from orion.model.firing import Firing, Outcome
from orion.model.ids import JobName
from orion.model.images import image_text
from orion.model.job import Job, JobKind
from orion.model.levels import since
from orion.model.schedule import MAX_CATCH_UP, Overlap
from orion.state import mutations
from orion.state.core.frames import Rows
from orion.state.core.step import Step
from orion.state.core.table import KeyedTable, TableSet
from orion.state.job_record import JobRecord
from orion.state.records import Tables
from orion.state.tables import job_uses
from orion.state.tables.history import ChangeKind, note

MAX_FIRINGS = 50  # remembered of one job, oldest out first, but none that still runs
MAX_QUEUED = MAX_CATCH_UP
MINUTE_MS = 60_000


class CronRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`last_ms`: up to here all times were dealt with. `queued`: times whose runs wait for the one before."""

    job: JobName
    created_index: int
    last_ms: int
    firings: tuple[Firing, ...] = ()
    queued: tuple[int, ...] = ()

    @property
    def running(self) -> tuple[Firing, ...]:
        return tuple(firing for firing in self.firings if firing.outcome is Outcome.RUNNING)

    def noted(self, firing: Firing) -> "CronRow":
        """With one more. A run that goes on is kept, however long ago it began."""
        firings = (*self.firings, firing)
        if len(firings) > MAX_FIRINGS:
            spare = next((each for each in firings if each.outcome is not Outcome.RUNNING), firings[0])
            firings = tuple(each for each in firings if each is not spare)
        return replace(self, firings=firings)

    def with_instead(self, former: Firing, firing: Firing) -> "CronRow":
        """With one of its firings as it is now."""
        return replace(self, firings=tuple(firing if each is former else each for each in self.firings))


@since(2)
class CronFrame(Rows, frozen=True, array_like=True, tag=14):
    rows: list[CronRow]


class Crons(KeyedTable[JobName, CronRow]):
    """`version` grows with every change, and is compared for equality alone."""

    rows_frame = CronFrame

    def __init__(self, state: TableSet) -> None:
        super().__init__(state)
        self.version = 0

    @staticmethod
    def key(row: CronRow) -> JobName:
        return row.job

    @staticmethod
    def size_bytes(row: CronRow) -> int:
        return sum(64 + len(firing.job) + len(firing.reason) for firing in row.firings)

    @staticmethod
    def can_be(row: CronRow) -> bool:
        return len(row.firings) <= MAX_FIRINGS and len(row.queued) <= MAX_QUEUED

    def put(self, row: CronRow) -> None:
        self.version += 1
        super().put(row)

    def drop(self, key: JobName) -> None:
        self.version += 1
        super().drop(key)


# --- a cron job comes, changes, goes -----------------------------------------------------------------------


def begin(state: Tables, step: Step, job: Job) -> None:
    """From now on its times count."""
    if job.kind is not JobKind.CRON:
        return
    row = state.of(Crons).get(job.name)
    if row is None or row.created_index != job.created_index:
        row = CronRow(job.name, job.created_index, step.at_ms)
    state.of(Crons).put(replace(row, last_ms=step.at_ms))


def runs_of(state: Tables, job: Job) -> Iterator[JobRecord]:
    """The runs that have not ended."""
    row = state.of(Crons).get(job.name) if job.kind is JobKind.CRON else None
    for firing in row.running if row else ():
        record = state.jobs.get(firing.job)
        if record is not None and record.job.cron == job.name:
            yield record


def stop(state: Tables, step: Step, job: Job) -> None:
    """Ends the runs of a cron job, which are kept to be looked at."""
    row = state.of(Crons).get(job.name) if job.kind is JobKind.CRON else None
    if row is None:
        return
    state.of(Crons).put(replace(row, queued=()))
    for record in list(runs_of(state, job)):
        stop_run(state, step, record, "its cron job is stopped")


def stop_run(state: Tables, step: Step, record: JobRecord, why: str) -> None:
    if record.job.wanted:
        mutations.close_job(state, record, replace(record.job, stopped=True))
        note(state, step, ChangeKind.STOPPED, record.job)
        step.tell("JobStopped", record.job.name, f"{record.job.name} is stopped: {why}")
    settle_run(state, step, record)


def forget(state: Tables, job: Job) -> None:
    row = state.of(Crons).get(job.name)
    if row is not None and row.created_index == job.created_index:
        state.of(Crons).drop(job.name)


# --- a run begins and ends ---------------------------------------------------------------------------------


def fire(state: Tables, step: Step, cron: Job, row: CronRow, at_ms: int, *, in_turn: bool = False) -> CronRow:
    """One of its times has come. `in_turn`: it is one of several that run one after the other."""
    assert cron.schedule is not None
    running, overlap = row.running, cron.schedule.overlap
    if running and (in_turn or overlap is Overlap.QUEUE):
        if len(row.queued) < MAX_QUEUED:
            return replace(row, queued=(*row.queued, at_ms))
        return skip(step, row, at_ms, f"{MAX_QUEUED} runs wait already")
    if running and overlap is Overlap.SKIP:
        return skip(step, row, at_ms, f"{running[-1].job} has not ended")
    if running:
        state.of(Crons).put(row)
        for record in list(runs_of(state, cron)):
            stop_run(state, step, record, "the next run takes its place")
        row = state.of(Crons).rows[row.job]
    return start_run(state, step, cron, row, at_ms, run_name(cron.name, at_ms // MINUTE_MS))


def run_name(cron: JobName, number: int) -> JobName:
    return JobName(f"{cron}-{number}")


def start_run(
    state: Tables, step: Step, cron: Job, row: CronRow, at_ms: int, name: JobName, *, by_hand: bool = False
) -> CronRow:
    if not cron.count:
        return skip(step, row, at_ms, "it is to have no tasks")
    if name in state.jobs:
        return skip(step, row, at_ms, f"the name {name} is taken by another job")
    job = Job(
        name,
        JobKind.BATCH,
        cron.count,
        cron.task,
        created_at_ms=step.at_ms,
        created_index=step.index,
        priority=cron.priority,
        cron=cron.name,
    )
    mutations.add_job(state, job)
    job_uses.keep(state, name)
    note(state, step, ChangeKind.CREATED, job)
    step.tell(
        "CronFired",
        cron.name,
        f"{cron.name} runs as {name}: {several(job.count, 'task')} of {image_text(job.task.image)}",
    )
    return row.noted(Firing(at_ms, step.at_ms, Outcome.RUNNING, name, by_hand=by_hand))


def skip(step: Step, row: CronRow, at_ms: int, why: str) -> CronRow:
    """Times that are skipped one after the other for the same reason are one, as those that were missed: else they
    would take the place of the runs that are looked for.
    """
    step.tell("CronSkipped", row.job, f"{row.job} does not run: {why}")
    last = row.firings[-1] if row.firings else None
    if last is not None and last.outcome is Outcome.SKIPPED and last.reason == why:
        return row.with_instead(last, replace(last, count=last.count + 1, to_ms=at_ms))
    return row.noted(Firing(at_ms, step.at_ms, Outcome.SKIPPED, reason=why))


def heal(state: Tables, step: Step, row: CronRow) -> CronRow:
    """Returns the row with the end of runs that are not there: their job is gone, or is another's by now."""
    for each in row.running:
        run = state.jobs.get(each.job)
        if run is None or run.job.cron != row.job:
            gone = replace(each, outcome=Outcome.STOPPED, ended_ms=step.at_ms, reason="its job is gone")
            row = row.with_instead(each, gone)
    return row


def settle_run(state: Tables, step: Step, record: JobRecord) -> None:
    """Once all of a run has ended, says so where its cron job keeps its runs, and lets the next one begin."""
    job = record.job
    if not job.cron or record.active or (job.wanted and record.open_count):
        return
    row = state.of(Crons).get(job.cron)
    firing = next((each for each in row.running if each.job == job.name), None) if row else None
    if row is None or firing is None:
        return
    ended = _ended(record, firing)
    row = row.with_instead(firing, ended)
    code = "" if ended.exit_code is None else f" with exit code {ended.exit_code}"
    step.tell("CronRunEnded", job.cron, f"{job.name} {ended.outcome}{code}")
    state.of(Crons).put(row)
    _next(state, step, row)


def _next(state: Tables, step: Step, row: CronRow) -> None:
    record = state.jobs.get(row.job)
    if not row.queued or row.running or record is None or not record.job.wanted:
        return
    at_ms, queued = row.queued[0], row.queued[1:]
    name = run_name(row.job, at_ms // MINUTE_MS)
    state.of(Crons).put(start_run(state, step, record.job, replace(row, queued=queued), at_ms, name))


def _ended(record: JobRecord, firing: Firing) -> Firing:
    runs = [each for each in (_last(record, index) for index in range(len(record.slots))) if each is not None]
    bad = next((each for each in runs if each.status.state is not AllocationState.COMPLETED), None)
    outcome, shown = Outcome.COMPLETED, bad or (runs[0] if runs else None)
    if bad is not None and bad.status.state is AllocationState.FAILED:
        outcome = Outcome.FAILED
    elif bad is not None or not record.job.wanted:
        outcome = Outcome.STOPPED
    return replace(
        firing,
        outcome=outcome,
        exit_code=shown.status.exit_code if shown else None,
        started_ms=min((each.status.started_at_ms for each in runs if each.status.started_at_ms > 0), default=0),
        ended_ms=max((each.status.finished_at_ms for each in runs), default=0),
        reason=shown.status.reason[:200] if shown and bad else "",
    )


def _last(record: JobRecord, index: int) -> Allocation | None:
    """The run that counts of a task: of the version that it is to have the one that completed, else the newest."""
    held, wanted = record.history(index), record.version(index)
    meant = [each for each in held if each.job_version == wanted]
    done = [each for each in meant if each.status.state is AllocationState.COMPLETED]
    return (done or meant or held or (None,))[-1]


TABLES = (Crons,)
COMMANDS = ()
