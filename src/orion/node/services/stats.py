"""The use of a task's container, from any node."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import ClassVar

from orion.model.errors import Conflict
from orion.model.ids import AllocationId, NodeId
from orion.model.stats import ContainerStats
from orion.node.agent.agent import Agent
from orion.node.routing.forward import Forward
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import ALIVE, SIGN_OF_LIFE_S, Place, SignOfLife, StreamRequest
from orion.node.services.running import Running
from orion.ports.peers import Principal

SILENCE_S = 5.0


class ReadStats(StreamRequest[ContainerStats], frozen=True, tag=41):
    """The use of an allocation's container, from the node that runs it."""

    at: ClassVar = Place.NODE
    silence_s: ClassVar[float | None] = SILENCE_S

    allocation: AllocationId
    follow: bool = False


class Stats:
    def __init__(self, *, forward: Forward, registry: Registry, agent: Agent, running: Running) -> None:
        self._forward = forward
        self._agent = agent
        self._running = running
        registry.answer_stream(ReadStats, self._answer)

    async def stream(self, task: str, *, follow: bool) -> AsyncGenerator[tuple[str, str, ContainerStats], None]:
        """As service.Service has it."""
        run = await self._running.run_of(task)
        request = ReadStats(AllocationId(int(run.id, 16)), follow)
        found = False
        async with contextlib.aclosing(self._forward.stream_of_node(NodeId(run.node_id), request)) as readings:
            async for reading in readings:
                found = True
                yield run.id, run.node_id, reading
        if not found:
            raise Conflict(f"{task} has just ended: it uses nothing")

    async def _answer(self, request: ReadStats, _: Principal) -> AsyncGenerator[ContainerStats | SignOfLife, None]:
        engine, container = self._agent.engine_of(request.allocation)
        async with contextlib.aclosing(engine.stats(container, follow=request.follow)) as readings:
            step = asyncio.ensure_future(anext(readings, None))
            try:
                while True:
                    if not (await asyncio.wait({step}, timeout=SIGN_OF_LIFE_S))[0]:
                        yield ALIVE
                        continue
                    if (reading := step.result()) is None:
                        return
                    yield reading
                    step = asyncio.ensure_future(anext(readings, None))
            finally:
                step.cancel()
                await asyncio.wait({step})
