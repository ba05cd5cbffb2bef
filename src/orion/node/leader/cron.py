"""A duty: has cron jobs run at their times."""

import asyncio
import contextlib
import logging

from orion.model.ids import JobName
from orion.model.job import Job, JobKind
from orion.node.consensus.driver import RaftDriver
from orion.node.leader.proposer import Proposer
from orion.ports.clock import Clock
from orion.state.tables.cron import FireCron
from orion.state.tables.cron_rows import CronRow, Crons

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 5.0  # at the wall clock, which jumps
GATHER_S = 0.05  # what changes together is looked at together


class Cron:
    """Remembers when each job is next; that follows from its row, and a job whose row changed is looked at anew."""

    name = "cron"

    def __init__(self, *, clock: Clock, driver: RaftDriver, proposer: Proposer) -> None:
        self._clock = clock
        self._driver = driver
        self._proposer = proposer

    async def run(self, _term: int, /) -> None:
        known: dict[JobName, tuple[CronRow, Job, int]] = {}  # with the time of its next look
        while True:
            crons = self._driver.view.of(Crons)
            seen = self._driver.installs, crons.version
            now_ms = self._clock.wall_ms()
            former, known = known, {}  # a job that was stopped is not to be looked at again and again
            moved = False
            for name, row in list(crons.rows.items()):
                job = self._job(row)
                if job is None:
                    continue
                looked = former.get(name)
                if looked and looked[0] is row and looked[1] is job and _holds(looked, now_ms):
                    known[name] = looked
                    continue
                next_ms, command = self._look(job, row, now_ms)
                known[name] = row, job, next_ms
                if command is not None:
                    moved |= await self._proposer.propose(command) is not None
                await asyncio.sleep(0)
            if not moved:
                await self._until(seen, min((looked[2] for looked in known.values()), default=None))

    def _job(self, row: CronRow) -> Job | None:
        """The job while its times count."""
        record = self._driver.view.job_record(row.job)
        job = record.job if record else None
        counts = job is not None and job.kind is JobKind.CRON and job.wanted
        return job if counts and job is not None and job.created_index == row.created_index else None

    def _look(self, job: Job, row: CronRow, now_ms: int) -> tuple[int, FireCron | None]:
        """When to look again, and what is due."""
        # Loaded with the first cron job: most clusters have none.
        from orion.model.cron_times import zone_of
        from orion.reconcile.cron import due

        assert job.schedule is not None
        zone = zone_of(job.schedule.time_zone)
        if zone is None:
            log.error(
                "%s does not run: this machine knows no time zone %s; install its time zone data (tzdata)",
                job.name,
                job.schedule.time_zone,
            )
            return now_ms + 60_000, None
        found = due(job.schedule, zone, row.last_ms, now_ms)
        if found.empty:
            return found.next_ms, None
        command = FireCron(
            now_ms,
            job.name,
            row.created_index,
            row.last_ms,
            found.until_ms,
            found.fires,
            found.missed,
            found.missed_from_ms,
            found.missed_to_ms,
        )
        return now_ms, command

    async def _until(self, seen: tuple[int, int], next_ms: int | None) -> None:
        """Until a row has changed, or the next time has come. The wall clock may be put back or forward meanwhile,
        and a job may begin to count once the one before it has ended, so all is looked at now and then.
        """
        left_s = LOOK_AGAIN_S if self._driver.view.of(Crons).rows else None
        if next_ms is not None:
            left_s = min(LOOK_AGAIN_S, max(0.0, (next_ms - self._clock.wall_ms()) / 1000))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left_s):
                while (self._driver.installs, self._driver.view.of(Crons).version) == seen:
                    await self._driver.watch.changed()
                await asyncio.sleep(GATHER_S)


def _holds(looked: tuple[CronRow, Job, int], now_ms: int) -> bool:
    """Returns whether nothing can be due yet: the next time has not come, and the clock was not put far back."""
    from orion.reconcile.cron import REWIND_MS

    row, _, next_ms = looked
    return now_ms < next_ms and row.last_ms <= now_ms + REWIND_MS
