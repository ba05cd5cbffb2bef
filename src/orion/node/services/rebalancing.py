"""Tasks from full nodes to empty ones, when somebody asks for it."""

from collections.abc import Callable
from typing import ClassVar

from orion.model.api.rebalance import MoveView, RebalanceView
from orion.model.errors import NotTaken, Unavailable
from orion.model.ids import JobName, task_id
from orion.model.update import UpdateOrder
from orion.node.consensus.driver import RaftDriver
from orion.node.routing.forward import Forward
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import CallRequest, Place
from orion.node.runtime.deadline import deadline
from orion.ports.clock import Clock
from orion.ports.peers import Principal
from orion.scheduler.rebalance import MAX_MOVES, Rebalance, rebalance
from orion.state.commands import encode_command
from orion.state.tables.moves import MoveTasks

_ELSEWHERE_S = 6.0


class AskRebalance(CallRequest[RebalanceView], frozen=True, tag=35):
    """Moves to be made, or with `dry_run` only shown."""

    at: ClassVar = Place.LEADER

    dry_run: bool
    max_moves: int = MAX_MOVES
    forwarded: bool = False

    def fault(self) -> str:
        return (
            "" if 0 < self.max_moves <= MAX_MOVES else f"max_moves is {self.max_moves}, not from 1 to {MAX_MOVES}"
        )


class Rebalancing:
    """`leads` is told of jobs whose tasks have begun to move, on the leader."""

    def __init__(
        self,
        *,
        clock: Clock,
        driver: RaftDriver,
        forward: Forward,
        registry: Registry,
        leads: Callable[[JobName], None],
    ) -> None:
        self._leads = leads
        self._clock = clock
        self._driver = driver
        self._forward = forward
        registry.answer_call(AskRebalance, self._answer)

    async def _make(self, found: Rebalance) -> None:
        now_ms = self._clock.wall_ms()
        if not found.plan.empty:
            await self._driver.propose(encode_command(found.plan.command(now_ms)))
        for move in found.led:
            job = self._driver.view.job(move.job)
            if job is None:
                continue
            first = job.update is not None and job.update.order is UpdateOrder.STOP_FIRST
            which = (move.allocation,)
            command = MoveTasks(now_ms, move.job, retire=which) if first else MoveTasks(now_ms, move.job, which)
            await self._driver.propose(encode_command(command))
            self._leads(move.job)

    async def rebalance(self, *, dry_run: bool, max_moves: int, timeout_s: float) -> RebalanceView:
        async with deadline(timeout_s, "nothing was moved that is known of"):
            return await self._do(AskRebalance(dry_run, max_moves))

    async def _answer(self, request: AskRebalance, _: Principal) -> RebalanceView:
        return await self._do(request)

    async def _do(self, request: AskRebalance) -> RebalanceView:
        driver = self._driver
        if not driver.is_leader:
            try:
                return await self._forward.ask_leader(request, timeout_s=_ELSEWHERE_S)
            except NotTaken:
                raise Unavailable("there is no leader that could move anything; try again") from None
        found = rebalance(driver.view, max_moves=request.max_moves)
        moves = [MoveView(task_id(move.job, move.index), move.source, move.target) for move in found.moves]
        if not request.dry_run and moves:
            await self._make(found)
        return RebalanceView(moves, more=found.more, made=not request.dry_run and bool(moves))
