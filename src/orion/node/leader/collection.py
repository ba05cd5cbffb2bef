"""A duty: forgets batch jobs that have ended a while ago, so that their containers go."""

import asyncio

from orion.model.ids import JobName
from orion.model.job import JobKind
from orion.model.settings import KEEP_ENDED, keep_ended_ms
from orion.node.consensus.driver import RaftDriver
from orion.node.leader.proposer import Proposer
from orion.ports.clock import Clock
from orion.state.job_record import JobRecord
from orion.state.order import has_completed
from orion.state.tables.configs import Configs
from orion.state.tables.cron import MAX_COLLECTED, CollectJobs
from orion.state.tables.cron_rows import Crons

LOOK_AGAIN_S = 30.0
AT_ONCE = 500  # jobs in one turn of the loop


class Collection:
    name = "collection"

    def __init__(self, *, clock: Clock, driver: RaftDriver, proposer: Proposer) -> None:
        self._clock = clock
        self._driver = driver
        self._proposer = proposer

    async def run(self, _term: int, /) -> None:
        while True:
            over = await self._over()
            if over:
                await self._proposer.propose(CollectJobs(self._clock.wall_ms(), tuple(over)))
            if len(over) < MAX_COLLECTED:
                await asyncio.sleep(LOOK_AGAIN_S)

    async def _over(self) -> list[tuple[JobName, int]]:
        """The first of those that have ended long enough ago."""
        view = self._driver.view
        config = view.of(Configs).get(KEEP_ENDED)
        ended_by_ms = self._clock.wall_ms() - keep_ended_ms(config.value if config else None)
        found: list[tuple[JobName, int]] = []
        for number, name in enumerate(view.job_names()):
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
            record = self._driver.view.job_record(name)
            if record is not None and is_over(record, self._ended_by_ms(record, ended_by_ms)):
                found.append((name, record.job.created_index))
                if len(found) == MAX_COLLECTED:
                    break
        return found

    def _ended_by_ms(self, record: JobRecord, ended_by_ms: int) -> int:
        """A run that its cron job has forgotten goes at once: one a minute would leave a thousand containers."""
        cron = record.job.cron
        row = self._driver.view.of(Crons).get(cron) if cron else None
        known = row is not None and any(firing.job == record.job.name for firing in row.firings)
        return ended_by_ms if known or not cron else self._clock.wall_ms()


def is_over(record: JobRecord, ended_by_ms: int) -> bool:
    """Returns whether all of a batch job had ended by then, and something of it is left to forget."""
    job = record.job
    if job.kind is not JobKind.BATCH or job.collected or record.successor is not None:
        return False
    if not (record.finished or (job.cron and job.stopped and not record.active)):
        return False
    if not job.cron and not has_completed(record):
        return False
    ends = [each.status.finished_at_ms for index in range(len(record.slots)) for each in record.history(index)]
    return max(ends, default=job.created_at_ms) <= ended_by_ms
