"""A duty: leads tasks off draining nodes, of jobs that say how they are updated."""

from collections.abc import MutableSet

from orion.model.ids import JobName
from orion.node.consensus.driver import RaftDriver
from orion.node.leader.proposer import Proposer
from orion.node.leader.repeats import SAME_AGAIN_MS, Repeats
from orion.node.leader.until import changed_or_due
from orion.ports.clock import Clock
from orion.reconcile.deployment_look import NEVER_MS
from orion.reconcile.moves import MoveMemory, Moves, decide_moves, is_led
from orion.scheduler.pools import Pools
from orion.scheduler.room import has_room
from orion.state.tables.deployment_rows import Deployments
from orion.state.tables.moves import MAX_MOVED, MoveTasks

GATHER_S = 0.05  # what changes together is looked at together


class Moving:
    name = "moves"

    """`begun`: jobs that somebody else has had tasks of move, until they are seen here."""

    def __init__(self, *, clock: Clock, driver: RaftDriver, proposer: Proposer, begun: MutableSet[JobName]) -> None:
        self._begun = begun
        self._clock = clock
        self._driver = driver
        self._proposer = proposer

    async def run(self, _term: int, /) -> None:
        pools = Pools()
        memories: dict[JobName, MoveMemory] = {}
        moving = self._all_moving()
        repeats = Repeats[JobName, tuple[object, ...]]()
        while True:
            seen, again_ms = self._driver.watch.moves, NEVER_MS
            names = dict.fromkeys((*moving, *sorted(self._begun), *self._leaving()))
            self._begun.clear()
            memories = {name: memories.get(name) or MoveMemory() for name in names}
            for name in names:
                moves = self._look(name, memories[name], pools)
                again_ms = min(again_ms, moves.again_ms)
                if not (moves.move or moves.retire):
                    repeats.forget(name)
                elif repeats.is_one(name, (moves.move, moves.retire)):
                    again_ms = min(again_ms, self._clock.now_ms() + SAME_AGAIN_MS)
                else:
                    command = MoveTasks(
                        self._clock.wall_ms(), name, moves.move[:MAX_MOVED], moves.retire[:MAX_MOVED]
                    )
                    await self._proposer.propose(command)
            moving = [name for name in names if self._is_moving(name)]
            await changed_or_due(self._driver, self._clock, again_ms, GATHER_S, seen)

    def _leaving(self) -> list[JobName]:
        view = self._driver.view
        names = {each.job for record in view.draining() for each in view.wanted_on(record)}
        return sorted(name for name in names if (job := view.job(name)) is not None and job.update is not None)

    def _all_moving(self) -> list[JobName]:
        return [name for name in self._driver.view.job_names() if self._is_moving(name)]

    def _is_moving(self, name: JobName) -> bool:
        record = self._driver.view.job_record(name)
        return record is not None and record.rollout is not None and bool(record.rollout.moving)

    def _look(self, name: JobName, memory: MoveMemory, pools: Pools) -> Moves:
        view = self._driver.view
        record = view.job_record(name)
        if record is None or not record.job.wanted:
            return Moves()
        draining = {each.node.id for each in view.draining()}
        return decide_moves(
            record,
            draining,
            memory,
            now_ms=self._clock.now_ms(),
            has_room=lambda version: has_room(view, record, version, pools),
            deploying=is_led(view.job_record, record, view.of(Deployments).running_of(name)),
        )
