"""A duty: leads running deployments to their ends."""

import asyncio

from msgspec.structs import replace

from orion.model.deployment import Deployment
from orion.model.update import UpdatePolicy
from orion.node.consensus.driver import RaftDriver
from orion.node.leader.proposer import Proposer
from orion.node.leader.pulls import ImagesAhead
from orion.node.leader.repeats import SAME_AGAIN_MS, Repeats
from orion.node.leader.until import changed_or_due
from orion.node.routing.forward import Forward
from orion.ports.clock import Clock
from orion.reconcile.deployment_look import NEVER_MS, WARM_SLOTS, Memory, warm
from orion.reconcile.deployments import Command, Decision, decide, waits_for_place, what_holds
from orion.scheduler.pools import Pools
from orion.scheduler.room import has_room, target
from orion.state.job_record import JobRecord
from orion.state.tables.deployment_rows import Deployments as Table

GATHER_S = 0.02  # what changes together is looked at together
_PLAIN = UpdatePolicy()


class Deployments:
    name = "deployments"

    def __init__(self, *, clock: Clock, driver: RaftDriver, proposer: Proposer, forward: Forward) -> None:
        self._clock = clock
        self._forward = forward
        self._driver = driver
        self._proposer = proposer

    async def run(self, _term: int, /) -> None:
        ahead = ImagesAhead(clock=self._clock, forward=self._forward, told=self._driver.watch.nudge)
        try:
            await self._lead(ahead)
        finally:
            await ahead.close()

    async def _lead(self, ahead: ImagesAhead) -> None:
        pools = Pools()
        memories: dict[int, Memory] = {}
        repeats = Repeats[int, Command]()  # of each deployment
        while True:
            seen, view = self._driver.watch.moves, self._driver.view
            running = view.of(Table).running()
            memories = {row.id: memories.get(row.id) or Memory() for row in running}
            ahead.keep(memories)
            again_ms, moved = NEVER_MS, False
            for row in running:
                decision = await self._look(row, memories[row.id], pools)
                if decision.pulls and (spec := self._driver.view.spec(row.job, row.goal)) is not None:
                    ahead.want(row, decision.pulls, spec, memories[row.id])
                again_ms = min(again_ms, decision.again_ms)
                if decision.command is None:
                    repeats.forget(row.id)
                elif repeats.is_one(row.id, decision.command):
                    again_ms = min(again_ms, self._clock.now_ms() + SAME_AGAIN_MS)
                else:
                    command = replace(decision.command, at_ms=self._clock.wall_ms())
                    moved |= await self._proposer.propose(command) is not None
                await asyncio.sleep(0)
            if not moved:
                await changed_or_due(self._driver, self._clock, again_ms, GATHER_S, seen)

    async def _look(self, row: Deployment, memory: Memory, pools: Pools) -> Decision:
        record = self._record(row)
        if record is not None and record.job.count > WARM_SLOTS:
            for _ in warm(record, row, record.job.update or _PLAIN, memory, self._clock.now_ms()):
                await asyncio.sleep(0)
                if (record := self._record(row)) is None:
                    break
        if record is None:
            return Decision(None)
        view = self._driver.view
        return decide(
            record,
            row,
            record.job.update or _PLAIN,
            memory,
            now_ms=self._clock.now_ms(),
            has_room=lambda: has_room(view, record, row.goal, pools),
            waits_for=lambda: waits_for_place(record),
            target=lambda index: target(view, record, index, row.goal, pools),
            held_by=lambda: what_holds(view.job_record, record, row),
        )

    def _record(self, row: Deployment) -> JobRecord | None:
        record = self._driver.view.job_record(row.job)
        if record is None or record.job.created_index != row.created_index or record.successor is not None:
            return None
        return record
