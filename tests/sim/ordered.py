"""Jobs that come after others, under the same faults: a client that asks for them, and what must hold of them.

No container of a job is made before each job that it comes after was once as it has to be. And once the power has
failed everywhere, the first container of a job starts after one of what it comes after.
"""

import asyncio
from collections.abc import Callable

from orion.model.after import Condition
from orion.model.allocation import Allocation, AllocationState
from orion.model.api.after_fields import AfterRequest
from orion.model.api.health_fields import HealthCheckRequest, HttpCheckRequest
from orion.model.api.jobs import JobRequest
from orion.model.api.update_fields import UpdateRequest
from orion.model.errors import OrionError, Refused
from orion.model.job import JobKind
from orion.state.job_record import JobRecord
from orion.state.tables import State
from sim.cluster import Cluster, ConnectionLost
from sim.engine import FOREVER, SUCCEEDS, Held
from sim.loop import Process
from sim.world import World

SHARE = 0.35  # of the seeds have them
IN_ORDER = "a job starts once what it comes after was there"
AFTER_AN_OUTAGE = "after an outage of all a job starts after what it comes after"

_UP = HealthCheckRequest(http=HttpCheckRequest(80), interval_seconds=0.2, timeout_seconds=0.5)
_QUICK = UpdateRequest(monitor_seconds=0.5, progress_deadline_seconds=10.0)


def _job(image: str = FOREVER, *after: AfterRequest, **more) -> JobRequest:
    return JobRequest(image=image, after=list(after), update=_QUICK, **{"restart_policy": "always", **more})


JOBS = {
    "o-db": _job(health_check=_UP),
    "o-web": _job(FOREVER, AfterRequest("o-db"), count=2),
    "o-migrate": _job(SUCCEEDS, AfterRequest("o-db"), kind="batch", restart_policy="on-failure"),
    "o-app": _job(FOREVER, AfterRequest("o-migrate", "completed"), AfterRequest("o-none", required=False)),
    "o-side": _job(FOREVER, AfterRequest("o-web", "started"), AfterRequest("o-app", "started", required=False)),
}
CIRCLE = _job(FOREVER, AfterRequest("o-web", "started"))  # as o-db


class OrderedClient:
    """Asks for the jobs again and again, in any order, changes and stops them, and removes one now and then."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._world: World = cluster.world
        self.over = False

    async def run(self) -> None:
        rng = self._world.rng("ordered client")
        while not self.over:
            await asyncio.sleep(rng.expovariate(1 / 1.0))
            machine = rng.choice(list(self._cluster.machines.values()))
            name, draw, release = rng.choice(list(JOBS)), rng.random(), str(rng.choice((0, 0, 0, 1)))
            try:
                async with asyncio.timeout(10.0):
                    await machine.ask(self._question(name, draw, release))
            except Refused as error:
                self._world.count("client: circle refused" if "->" in error.detail else "client: order refused")
            except (OrionError, ConnectionLost, TimeoutError):
                self._world.count("client: order failed")
            else:
                self._world.count("client: order ok")

    @staticmethod
    def _question(name: str, draw: float, release: str):
        if draw < 0.06:
            return lambda s: s.jobs.delete(name, timeout_s=2.0)
        if draw < 0.1:
            return lambda s: s.jobs.stop(name, timeout_s=2.0)
        if draw < 0.15:
            return lambda s: s.jobs.restart(name, timeout_s=2.0)
        job = CIRCLE if draw < 0.18 else JOBS[name]
        asked = JobRequest(**{**{f: getattr(job, f) for f in job.__struct_fields__}, "env": {"V": release}})
        called = "o-db" if job is CIRCLE else name
        return lambda s: s.jobs.put(called, asked, if_version=-1, plan="", idempotency_key="", timeout_s=2.0)


class Ordered:
    """The ledger of what was seen. `demand` is told of each rule."""

    def __init__(self, demand: Callable[[bool, str, Callable[[], str]], None], world: World) -> None:
        self._demand = demand
        self._world = world
        self._state: State | None = None
        self._held: set[tuple[str, int, str, str]] = set()  # of a job, that one which it comes after was there
        self._dark = False  # the power has failed everywhere, at least once
        self._started: set[str] = set()  # jobs of which a container started since

    def look(self, state: State) -> None:
        """After each entry."""
        self._state = state
        for name, record in state.jobs.items():
            for version in (record.job.version, *(record.rollout.specs if record.rollout else ())):
                for each in record.spec(version).after:
                    if holds(state, each.job, each.condition, required=each.required):
                        self._held.add((name, record.job.created_index, each.job, str(each.condition)))

    def on_create(self, process: Process, allocation: Allocation) -> None:
        record = self._state.jobs.get(allocation.job) if self._state is not None else None
        if record is None:
            return
        for each in record.spec(allocation.job_version).after:
            self._world.count("container of a job that comes after others")
            key = (allocation.job, record.job.created_index, each.job, str(each.condition))
            self._demand(
                key in self._held,
                IN_ORDER,
                lambda each=each: f"{process.name} makes a container for {allocation}: {each}",
            )

    def on_outage(self) -> None:
        self._dark = True
        self._started.clear()

    def on_engine_start(self, process: Process, held: Held) -> None:
        """Of what a process asked for that lives."""
        labels = held.shown.labels
        record = self._state.jobs.get(labels.job) if self._state is not None else None
        found = next((a for a in self._state.allocations.values() if a.id == labels.allocation), None)
        if self._dark and process.alive and record is not None and found is not None:
            for each in record.spec(found.job_version).after:
                if not each.required or each.condition == Condition.COMPLETED:
                    continue
                if holds(self._state, each.job, Condition.COMPLETED, required=True):
                    continue
                self._world.count("ordered start after an outage")
                self._demand(
                    each.job in self._started,
                    AFTER_AN_OUTAGE,
                    lambda each=each: f"{process.name} starts {found}: {each}; only {sorted(self._started)} have",
                )
        self._started.add(labels.job)


def holds(state: State, name: str, condition: Condition, *, required: bool) -> bool:
    """Worked out from all there is."""
    record = state.jobs.get(name)
    if record is None or record.latest.stopping or record.latest.stopped:
        return not required
    if record.successor is not None or record.job.kind == JobKind.CRON:
        return False
    mine = [a for a in state.allocations.values() if a.job == name]
    done = {a.index for a in mine if a.status.state == AllocationState.COMPLETED and record.serves(a)}
    over = record.finished or record.job.collected
    completed = over and (record.job.collected or len(done) >= record.job.count)
    if over and not completed:
        return not required
    if condition == Condition.COMPLETED:
        return completed
    running = [a for a in mine if a.wanted and a.status.state == AllocationState.RUNNING]
    if condition == Condition.STARTED:
        return completed or bool(running)
    return any(map(record.is_ready, running))


def is_held_back(state: State, record: JobRecord, version: int) -> bool:
    """Returns whether tasks of this version rightly wait for other jobs."""
    after = record.spec(version).after
    if not after or all(holds(state, each.job, each.condition, required=each.required) for each in after):
        return False
    return not any(
        a.job == record.job.name and a.wanted and a.job_version == version
        for a in state.allocations.values()
        if a.status.state == AllocationState.RUNNING
    )
