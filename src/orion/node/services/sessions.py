"""Sessions with a task's container, from any node: a program in it, its ports, its files.

    whoever asks ⇄ the node that is asked ⇄ the task's node ⇄ its engine

Each arrow waits where the next one does, so nothing piles up between.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import ClassVar

from orion.model.errors import EngineError, Unavailable
from orion.model.ids import AllocationId, NodeId
from orion.model.sessions import (
    MOST_DATA_BYTES,
    Alive,
    Began,
    Exited,
    GetFiles,
    Input,
    InputEnd,
    Output,
    Purpose,
    PutFiles,
    Resize,
    Said,
    Typed,
    purpose_fault,
    window_fault,
)
from orion.node.agent.agent import Agent
from orion.node.routing.forward import Forward
from orion.node.rpc.duplex import Duplex
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import SIGN_OF_LIFE_S, DuplexRequest, Place
from orion.node.services.running import Running
from orion.ports.engine import EngineSession
from orion.ports.peers import Principal

SILENCE_S = 5.0  # so long a silence of the task's node is its end


class OpenSession(DuplexRequest[Said, Typed], frozen=True, tag=40):
    """With the container of an allocation, at the node that runs it."""

    at: ClassVar = Place.NODE

    allocation: AllocationId
    purpose: Purpose

    def fault(self) -> str:
        return purpose_fault(self.purpose)


class Session:
    """The end of whoever asked. One runner may receive while another sends."""

    def __init__(self, channel: Duplex[Typed, Said], node: str) -> None:
        self._channel = channel
        self._node = node

    async def send(self, typed: Typed) -> None:
        """Returns when there is room for more."""
        await self._channel.send(typed)

    async def receive(self) -> Output | Exited:
        """An Exited is the last. Raises OrionErrors; Unavailable when the node is gone."""
        while True:
            said = await self._next()
            if isinstance(said, Output | Exited):
                return said

    async def begun(self) -> None:
        while not isinstance(await self._next(), Began):
            pass

    async def _next(self) -> Said:
        try:
            async with asyncio.timeout(SILENCE_S):
                said = await self._channel.receive()
        except TimeoutError:
            raise Unavailable(f"{self._node} has said nothing for {SILENCE_S:g} s") from None
        if said is None:
            raise Unavailable(f"{self._node} ended the session")
        return said


class Sessions:
    def __init__(self, *, forward: Forward, registry: Registry, agent: Agent, running: Running) -> None:
        self._forward = forward
        self._agent = agent
        self._running = running
        registry.answer_duplex(OpenSession, self._answer)

    @contextlib.asynccontextmanager
    async def open(self, task: str, purpose: Purpose) -> AsyncGenerator[Session, None]:
        """As service.Service has it."""
        run = await self._running.run_of(task, ended=isinstance(purpose, GetFiles | PutFiles))
        node = NodeId(run.node_id)
        request = OpenSession(AllocationId(int(run.id, 16)), purpose)
        async with self._forward.duplex_with_node(node, request) as channel:
            session = Session(channel, node)
            await session.begun()
            yield session

    # --- the task's node ----------------------------------------------------------------------------------

    async def _answer(self, request: OpenSession, _: Principal, channel: Duplex[Said, Typed]) -> None:
        engine, container = self._agent.engine_of(request.allocation)
        speaker = _Speaker(channel)
        try:
            async with asyncio.TaskGroup() as group:
                alive = group.create_task(speaker.keep_alive())
                async with engine.session(container, request.purpose) as session:
                    await speaker.say(Began())
                    taking = group.create_task(_take(channel, session))
                    while (output := await session.read()) is not None:
                        for piece in _pieces(output):
                            await speaker.say(piece)
                    taking.cancel()
                    code = await session.exit_code()
                alive.cancel()
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        await channel.send(Exited(code))


class _Speaker:
    """Says one thing at a time."""

    def __init__(self, channel: Duplex[Said, Typed]) -> None:
        self._channel = channel
        self._lock = asyncio.Lock()

    async def say(self, said: Said) -> None:
        async with self._lock:
            await self._channel.send(said)

    async def keep_alive(self) -> None:
        """Until cancelled. While something waits to be taken, the other end has not listened anyway."""
        while True:
            await asyncio.sleep(SIGN_OF_LIFE_S)
            if not self._lock.locked():
                await self.say(Alive())


async def _take(channel: Duplex[Said, Typed], session: EngineSession) -> None:
    """Hands over the input until its end. A program that takes no more ends by itself; its output tells how."""
    with contextlib.suppress(EngineError):
        while True:
            match await channel.receive():
                case Input(data):
                    await session.write(data)
                case Resize(columns, rows) if not window_fault(columns, rows):
                    await session.resize(columns, rows)
                case InputEnd() | None:
                    break
        await session.end_input()
    while (typed := await channel.receive()) is not None:
        if isinstance(typed, Resize) and not window_fault(typed.columns, typed.rows):
            with contextlib.suppress(EngineError):
                await session.resize(typed.columns, typed.rows)


def _pieces(output: Output) -> list[Output]:
    """No message is larger than what the other end expects."""
    data = output.data
    if len(data) <= MOST_DATA_BYTES:
        return [output]
    return [Output(output.stream, data[at : at + MOST_DATA_BYTES]) for at in range(0, len(data), MOST_DATA_BYTES)]
