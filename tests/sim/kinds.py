"""Cron, batch and system jobs under the same faults: a client that asks for them, and what must hold of them.

A time of a cron job is dealt with once; at rest none is left over. A task of a batch that completed never runs
again.
A system job has one wanted task on a node at most, and at rest one on each that matches.
"""

# ruff: noqa: B023 -- the words of a check are made at once, or never

import asyncio
from collections import Counter
from collections.abc import Callable

from orion.model.allocation import AllocationState
from orion.model.api.jobs import JobRequest
from orion.model.api.schedule_fields import ScheduleRequest
from orion.model.errors import OrionError
from orion.model.ids import NodeId
from orion.model.job import JobKind
from orion.model.node import NodeStatus
from orion.state.job_record import JobRecord
from orion.state.tables import State
from sim.cluster import Cluster, ConnectionLost
from sim.engine import CRASHES, FOREVER, SUCCEEDS
from sim.world import World

PREFIX = "k-"  # of the names of these jobs, which no other client uses
SHARE = 0.35  # of the seeds have them
LATE_MS = 20_000  # at rest a time of longer ago than this was dealt with

JOBS = {
    "k-cron": JobRequest(image=SUCCEEDS, kind="cron", restart_policy="no", schedule=ScheduleRequest("* * * * *")),
    "k-queue": JobRequest(
        image=CRASHES,
        kind="cron",
        restart_policy="no",
        schedule=ScheduleRequest("* * * * *", overlap="queue", catch_up="all"),
    ),
    "k-batch": JobRequest(image=SUCCEEDS, kind="batch", count=3),
    "k-agent": JobRequest(image=FOREVER, kind="system", restart_policy="always"),
    "k-zone": JobRequest(image=FOREVER, kind="system", restart_policy="always", node_selectors={"zone": "a"}),
}


class KindsClient:
    """Asks for the jobs again and again, which changes nothing, and removes one now and then."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._world: World = cluster.world
        self.over = False

    async def run(self) -> None:
        rng = self._world.rng("kinds client")
        while not self.over:
            await asyncio.sleep(rng.expovariate(1 / 2.0))
            machine = rng.choice(list(self._cluster.machines.values()))
            name = rng.choice(list(JOBS))
            draw = rng.random()
            try:
                async with asyncio.timeout(10.0):
                    if draw < 0.1:
                        await machine.ask(lambda s, name=name: s.jobs.delete(name, timeout_s=2.0))
                    elif draw < 0.15:
                        await machine.ask(lambda s: s.jobs.run("k-cron", idempotency_key="", timeout_s=2.0))
                    else:
                        await machine.ask(
                            lambda s, name=name: s.jobs.put(
                                name, JOBS[name], if_version=-1, plan="", idempotency_key="", timeout_s=2.0
                            )
                        )
            except (OrionError, ConnectionLost, TimeoutError):
                self._world.count("client: kinds refused")
            else:
                self._world.count("client: kinds ok")


class Kinds:
    """The ledger of what was seen. `demand` is told of each rule."""

    def __init__(self, demand: Callable[[bool, str, Callable[[], str]], None]) -> None:
        self._demand = demand
        self._fired: dict[tuple[str, int, int], int] = {}  # of a job's time, the run
        self._completed: dict[tuple[str, int, int, int], frozenset[int]] = {}  # a task's runs when it had completed

    def look(self, state: State) -> None:
        """After each entry."""
        for name, record in state.jobs.items():
            if not name.startswith(PREFIX):
                continue
            if record.job.kind is JobKind.BATCH:
                self._look_at_batch(record)
            elif record.job.kind is JobKind.SYSTEM:
                wanted = Counter(a.node for a in _active(record) if a.wanted)
                self._demand(
                    max(wanted.values(), default=0) <= 1,
                    "one task of a system job a node",
                    lambda: f"{name}: {wanted}",
                )
        self._look_at_cron(state)

    def _look_at_batch(self, record: JobRecord) -> None:
        job = record.job
        for index in range(len(record.slots)):
            history = record.history(index)
            key = (job.name, job.created_index, index, job.version)
            held = frozenset(each.id for each in history)
            if key in self._completed:
                extra = held - self._completed[key]
                self._demand(
                    not extra, "a completed batch never runs again", lambda: f"{job.name}/{index}: {extra}"
                )
            elif any(each.status.state is AllocationState.COMPLETED for each in history):
                self._completed[key] = held

    def _look_at_cron(self, state: State) -> None:
        # By name: where two builds are in one cluster, the state may be of the other's classes.
        rows = next((t.rows for kind, t in state.tables.items() if kind.__name__ == "Crons"), {})
        for row in rows.values():
            for firing in row.firings:
                if not firing.job or firing.by_hand:
                    continue
                key = (row.job, row.created_index, firing.at_ms)
                first = self._fired.setdefault(key, firing.fired_ms)
                self._demand(
                    first == firing.fired_ms, "a time of a cron job never fires twice", lambda: f"{key}: {firing}"
                )


def _active(record: JobRecord) -> list:
    return [each for index in range(len(record.slots)) for each in record.history(index) if not each.terminal]


def kinds_unrest(state: State, wall_ms: int, fits: Callable[[State, NodeId, JobRecord, int], bool]) -> str:
    """Why these jobs are not as they should be, in words; empty when they are."""
    from orion.model.cron_times import zone_of
    from orion.reconcile.cron import due

    rows = next((t.rows for kind, t in state.tables.items() if kind.__name__ == "Crons"), {})
    for name, record in state.jobs.items():
        job = record.job
        if job.kind is JobKind.CRON and job.wanted:
            row = rows[name]
            found = due(job.schedule, zone_of(job.schedule.time_zone), row.last_ms, wall_ms - LATE_MS)
            if not found.empty:
                return f"{name} has not dealt with {found}"
        if job.kind is JobKind.SYSTEM and job.wanted and record.successor is None:
            runs = {each.node for each in _active(record) if each.wanted}
            for node in state.nodes.values():
                matches = all(pair in node.labels for pair in job.task.constraints)
                takes = node.status is NodeStatus.READY and not node.draining and matches
                if node.id in runs and not takes:
                    return f"{name} has a task on {node.id}, which does not match"
                if takes and node.id not in runs and record.slots and fits(state, node.id, record, 0):
                    return f"{name} has no task on {node.id}"
    return ""
