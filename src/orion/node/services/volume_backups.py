"""The data of a volume as a stream to whoever asks, and back."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

from orion.model.errors import Conflict, NotFound, OrionError
from orion.model.ids import NodeId
from orion.model.volumes import Volume
from orion.node.routing.changes import Changes
from orion.node.routing.forward import Forward
from orion.node.routing.submit import Submitter
from orion.node.routing.volume_data import DropData, Piece, PutData, ReadData
from orion.node.rpc.reads import Read
from orion.node.services.rows import Rows
from orion.ports.clock import Clock
from orion.state.tables.volume_moves import BeginVolumeMove, EndVolumeMove
from orion.state.tables.volumes import Volumes as Table
from orion.state.tables.volumes import unknown_volume

END_S = 10.0
DROP_S = 10.0


class VolumeBackups:
    def __init__(
        self, *, clock: Clock, forward: Forward, changes: Changes, submitter: Submitter, rows: Rows
    ) -> None:
        self._clock = clock
        self._forward = forward
        self._changes = changes
        self._submitter = submitter
        self._rows = rows

    async def read(self, name: str, *, live: bool) -> AsyncGenerator[bytes, None]:
        """Raises Conflict while a task writes to it, without `live`."""
        row = await self._row(name)
        if not row.data:
            raise NotFound(f"volume {name} has no data yet")
        async with contextlib.aclosing(
            self._forward.stream_of_node(row.home, ReadData(row.key, row.data, live))
        ) as pieces:
            async for piece in pieces:
                yield piece

    async def write(self, name: str, to: NodeId, pieces: AsyncIterator[bytes], *, timeout_s: float) -> None:
        """Its data on `to` is that of `pieces` when this returns. Without `to` where it is. Raises Conflict while a
        task has it; what can't be stored leaves it as it was.
        """
        row = await self._find(name)
        target = to or (row.home if row is not None else NodeId(""))
        if not target:
            raise Conflict(f"volume {name} has no node yet: say on which it is to be")
        await self._changes.make(
            lambda at_ms, key, since: BeginVolumeMove(at_ms, name, target, key, since, restores=True), timeout_s
        )
        begun = await self._row(name)
        try:
            await self._send(begun, pieces)
        except (OrionError, asyncio.CancelledError) as error:
            words = error.detail if isinstance(error, OrionError) else "who sent the backup is gone"
            await asyncio.shield(self._end(begun, words))
            raise
        await self._end(begun, "")
        if begun.data and begun.home != target:  # elsewhere than before: the former data is nobody's now
            with contextlib.suppress(OrionError):
                await self._forward.ask_node(begun.home, DropData(begun.key, begun.data), timeout_s=DROP_S)

    async def _send(self, row: Volume, pieces: AsyncIterator[bytes]) -> None:
        async with self._forward.duplex_with_node(row.moving_to, PutData(row.key, row.next_data)) as channel:
            async for piece in pieces:
                await channel.send(Piece(piece))
            await channel.send(Piece(b""))
            if await channel.receive() is None:
                raise Conflict(f"{row.moving_to} did not say that it has stored volume {row.name}")

    async def _end(self, row: Volume, reason: str) -> None:
        command = EndVolumeMove(self._clock.wall_ms(), row.name, row.created_index, row.moving_to, row.move, reason)
        await self._submitter.submit(command, timeout_s=END_S)

    async def _find(self, name: str) -> Volume | None:
        return (await self._rows.get(Table, name, Read()))[0]

    async def _row(self, name: str) -> Volume:
        """Raises NotFound."""
        if (row := await self._find(name)) is None:
            raise unknown_volume(name)
        return row
