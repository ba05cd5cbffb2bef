"""The data of volumes on its way from node to node: read where it is, unpacked where it is to be.

The leader asks the node that a volume goes to, again and again, until the copy is there: each question has it begin
or go on, so that the next leader's do, too. Nothing is copied while something here may still write to it.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from typing import NamedTuple

from orion.model.container import ContainerState
from orion.model.errors import NotFound, OrionError, Unavailable
from orion.model.ids import AllocationId, NodeId
from orion.node.agent.agent import Agent
from orion.node.agent.assignments import AssignmentWatcher
from orion.node.routing.forward import Forward
from orion.node.routing.volume_data import (
    AskCopy,
    CopyData,
    CopyState,
    DropData,
    Dropped,
    Piece,
    PutData,
    ReadData,
    Stored,
)
from orion.node.rpc.duplex import Duplex
from orion.node.rpc.registry import Registry
from orion.ports.peers import Principal
from orion.ports.volumes import VolumeStore

log = logging.getLogger(__name__)

MAX_COPIES = 2  # to this node at a time


class _Copy(NamedTuple):
    """The newest copy of a volume to here. `data`: as what; a former move had another name for it."""

    data: str
    state: CopyState


class VolumeCopies:
    def __init__(
        self,
        *,
        me: NodeId,
        store: VolumeStore,
        forward: Forward,
        registry: Registry,
        agent: Agent,
        source: AssignmentWatcher,
    ) -> None:
        self._me = me
        self._store = store
        self._forward = forward
        self._agent = agent
        self._source = source
        self._copies: dict[str, _Copy] = {}  # by key, of those that are under way or failed
        self._coming: set[str] = set()  # keys of what is being unpacked here
        self._wanted: asyncio.Queue[CopyData] = asyncio.Queue(MAX_COPIES)
        registry.answer_call(CopyData, self._answer_copy)
        registry.answer_call(AskCopy, self._answer_state)
        registry.answer_call(DropData, self._answer_drop)
        registry.answer_stream(ReadData, self._answer_read)
        registry.answer_duplex(PutData, self._answer_put)

    async def run(self) -> None:
        try:
            await self._store.tidy()
        except OrionError as error:
            log.warning("what is left of copies of volumes can't be removed: %s", error)
        async with asyncio.TaskGroup() as group:
            for _ in range(MAX_COPIES):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            wish = await self._wanted.get()
            try:
                await self._copy(wish)
                self._note(wish, None)
                log.info("volume %s was copied here from %s", wish.key, wish.source)
            except OrionError as error:
                log.warning("volume %s can't be copied from %s: %s", wish.key, wish.source, error)
                self._note(wish, CopyState(reason=error.detail, missing=isinstance(error, NotFound)))

    async def _copy(self, wish: CopyData) -> None:
        pieces = self._forward.stream_of_node(wish.source, ReadData(wish.key, wish.former))
        try:
            await self._unpack(wish.key, wish.data, self._counted(wish, pieces))
        finally:
            await pieces.aclose()

    async def _counted(self, wish: CopyData, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        count = 0
        async for piece in pieces:
            count += len(piece)
            self._note(wish, CopyState(count))
            yield piece

    async def _unpack(self, key: str, data: str, pieces: AsyncIterator[bytes]) -> None:
        """One at a time of each volume: what was called off may still be coming when the next one begins."""
        if key in self._coming:
            raise Unavailable(f"an earlier copy of volume {key} is still coming to {self._me}")
        self._coming.add(key)
        try:
            await self._store.unpack(key, data, pieces)
        finally:
            self._coming.discard(key)

    def _note(self, wish: CopyData, state: CopyState | None) -> None:
        """Void once another copy of the volume is wanted."""
        known = self._copies.get(wish.key)
        if known is None or known.data != wish.data:
            return
        if state is None:
            del self._copies[wish.key]
        else:
            self._copies[wish.key] = _Copy(wish.data, state)

    # --- nodes ask ----------------------------------------------------------------------------------------

    async def _answer_copy(self, request: CopyData, _: Principal) -> CopyState:
        if await self._store.data_of(request.key) == request.data:
            return CopyState(done=True)
        state = self._state(request.key, request.data)
        if (state is None or state.reason) and not self._wanted.full():
            self._copies[request.key] = _Copy(request.data, CopyState())
            self._wanted.put_nowait(request)
        return state or CopyState()

    async def _answer_state(self, request: AskCopy, _: Principal) -> CopyState:
        if await self._store.data_of(request.key) == request.data:
            return CopyState(done=True)
        return self._state(request.key, request.data) or CopyState(reason="it has yet to begin")

    def _state(self, key: str, data: str) -> CopyState | None:
        known = self._copies.get(key)
        return known.state if known is not None and known.data == data else None

    async def _answer_drop(self, request: DropData, _: Principal) -> Dropped:
        if await self._store.data_of(request.key) == request.data:
            await self._store.remove(request.key)
        return Dropped()

    async def _answer_read(self, request: ReadData, _: Principal) -> AsyncGenerator[bytes, None]:
        if await self._store.data_of(request.key) != request.data:
            raise NotFound(f"the data of volume {request.key} is not on {self._me}")
        if not request.live and (who := self._writes(request.key)):
            raise Unavailable(f"volume {request.key} is in use on {self._me}: {who} has not ended")
        async for piece in self._store.pack(request.key):
            yield piece

    async def _answer_put(self, request: PutData, _: Principal, channel: Duplex[Stored, Piece]) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            while (piece := await channel.receive()) is not None and piece.data:
                yield piece.data

        await self._unpack(request.key, request.data, pieces())
        await channel.send(Stored())

    def _writes(self, key: str) -> str:
        """Returns a container that may still write to the volume; "" when none does. Of one whose allocation is not
        known any more nobody knows what it has.
        """
        work, seen = self._source.latest, self._agent.containers
        if work is None or seen is None:
            return "nobody knows what runs here now: something that"
        assigned = {each.allocation.id: each for each in work.assigned}
        name = key.rpartition(".")[0]
        for container in seen:
            if container.labels.node != self._me or container.state is not ContainerState.RUNNING:
                continue
            each = assigned.get(AllocationId(container.labels.allocation))
            if each is None or name in each.spec.volume_names(each.allocation.index):
                return f"{container.labels.job}/{container.labels.index}"
        return ""
