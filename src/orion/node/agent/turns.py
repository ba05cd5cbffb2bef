"""The agent's question before a task starts that comes after other jobs: is it its turn, by what runs now?

State alone can't tell. After an outage of all nodes it says of each task what its node said last, until that node
looks again. So whoever answers asks the nodes of the tasks by which a condition holds.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import ClassVar

import msgspec

from orion.model.after import After, Condition, Gap, JobWait
from orion.model.allocation import Allocation
from orion.model.errors import OrionError
from orion.model.ids import AllocationId, NodeId
from orion.node.consensus.driver import RaftDriver
from orion.node.routing.forward import Forward
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import CallRequest, Place
from orion.node.runtime.deadline import deadline
from orion.ports.peers import Principal
from orion.state.order import gap_of, runs_of, witnesses

TIMEOUT_S = 3.0
NODE_TIMEOUT_S = 1.5
MAX_NODES = 16  # that are asked about one job: any of them will do
MAX_RUNS = 64  # that one node is asked about


class AskTurn(CallRequest[tuple[JobWait, ...]], frozen=True, tag=36):
    """The jobs that an allocation has to wait for before it starts; () when none. Linearizable."""

    allocation: AllocationId


class Runs(msgspec.Struct, frozen=True, array_like=True):
    """The allocations asked for that run, and of these those that are ready."""

    running: tuple[AllocationId, ...] = ()
    ready: tuple[AllocationId, ...] = ()


class AskRuns(CallRequest[Runs], frozen=True, tag=37):
    """The runs of these allocations as their node itself sees them now."""

    at: ClassVar = Place.NODE

    allocations: tuple[AllocationId, ...]

    def fault(self) -> str:
        return f"more than {MAX_RUNS} allocations at a time" if len(self.allocations) > MAX_RUNS else ""


TurnAsker = Callable[[AskTurn], Awaitable[tuple[JobWait, ...]]]


class Turns:
    """Answers both. `runs_here` looks at this node's containers."""

    def __init__(
        self,
        *,
        driver: RaftDriver,
        forward: Forward,
        registry: Registry,
        runs_here: Callable[[Collection[AllocationId]], Runs],
    ) -> None:
        self._driver = driver
        self._forward = forward
        self._runs_here = runs_here
        registry.answer_call(AskTurn, self._answer_turn)
        registry.answer_call(AskRuns, self._answer_runs)

    async def _answer_runs(self, request: AskRuns, _: Principal) -> Runs:
        return self._runs_here(request.allocations)

    async def _answer_turn(self, request: AskTurn, _: Principal) -> tuple[JobWait, ...]:
        async with deadline(TIMEOUT_S, "no quorum answers"):
            await self._driver.read_barrier()
        view = self._driver.view
        asked = view.allocation(request.allocation)
        record = view.job_record(asked.job) if asked is not None else None
        if asked is None or record is None:
            return ()  # it is not to start anyway
        after = record.spec(asked.job_version).after
        others = [each for each in runs_of(record, asked.job_version) if each.id != asked.id]
        gaps = await asyncio.gather(*map(self._gap, after))
        waits = tuple(JobWait(each.job, each.condition, gap) for each, gap in zip(after, gaps, strict=True) if gap)
        return () if waits and await self._any_is(others, ready=False) else waits

    async def _gap(self, after: After) -> Gap | None:
        record = self._driver.view.job_record(after.job)
        gap = gap_of(record, after)
        seen = witnesses(record, after.condition) if gap is None else []
        if seen and not await self._any_is(seen, ready=after.condition is Condition.HEALTHY):
            return Gap.UNSURE
        return gap

    async def _any_is(self, allocations: Iterable[Allocation], *, ready: bool) -> bool:
        """Returns whether one of them runs, or is ready, by the word of its node."""
        held: dict[NodeId, list[AllocationId]] = {}
        for each in allocations:
            if each.node in held or len(held) < MAX_NODES:
                held.setdefault(each.node, []).append(each.id)
        asked = [asyncio.ensure_future(self._is(node, ids[:MAX_RUNS], ready=ready)) for node, ids in held.items()]
        try:
            for answer in asyncio.as_completed(asked):
                if await answer:
                    return True
            return False
        finally:
            for each_asked in asked:
                each_asked.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    async def _is(self, node: NodeId, allocations: list[AllocationId], *, ready: bool) -> bool:
        try:
            async with asyncio.timeout(NODE_TIMEOUT_S):
                runs = await self._forward.ask_node(node, AskRuns(tuple(allocations)), timeout_s=NODE_TIMEOUT_S)
        except (OrionError, TimeoutError):
            return False
        return bool(runs.ready if ready else runs.running)
