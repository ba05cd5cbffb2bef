"""A duty: has system jobs follow the nodes."""

from orion.model.ids import JobName
from orion.model.job import Job, JobKind
from orion.node.consensus.driver import RaftDriver
from orion.node.leader.proposer import Proposer
from orion.ports.clock import Clock
from orion.state.system_slots import homes_for
from orion.state.tables.system import FitSystemJob


class System:
    name = "system"

    def __init__(self, *, clock: Clock, driver: RaftDriver, proposer: Proposer) -> None:
        self._clock = clock
        self._driver = driver
        self._proposer = proposer

    async def run(self, _term: int, /) -> None:
        names: set[JobName] = set()
        installs, serial = -1, 0
        fitted: dict[JobName, tuple[int, Job]] = {}  # to which nodes, and which job it was
        while True:
            seen, view = self._driver.watch.moves, self._driver.view
            if installs != self._driver.installs:  # another state
                installs, serial = self._driver.installs, 0
                names.clear()
                fitted.clear()
            if serial != view.next_serial:
                names.update(job.name for job in view.jobs_since(serial) if job.kind is JobKind.SYSTEM)
                serial = view.next_serial
            for name in sorted(names):
                record = view.job_record(name)
                if record is None or record.latest.kind is not JobKind.SYSTEM:
                    names.discard(name)
                    fitted.pop(name, None)
                    continue
                if not record.job.wanted or record.job.kind is not JobKind.SYSTEM:
                    continue
                if fitted.get(name) == (look := (view.facts_epoch, record.job)):
                    continue
                if homes_for(record.job, record, view.nodes()) == record.job.homes:
                    fitted[name] = look
                else:
                    command = FitSystemJob(self._clock.wall_ms(), name, record.job.created_index)
                    await self._proposer.propose(command)
            await self._driver.watch.changed(seen)
