"""Streams that carry both ways, each on a connection of its own: TCP paces either direction by itself."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from orion.adapters.peers.connection import Connection
from orion.adapters.peers.dial import Dialler
from orion.adapters.peers.inbox import Inbox, end_of
from orion.model.errors import TooLarge, Unavailable
from orion.wire.envelopes import Failure, encode_end
from orion.wire.frames import FrameError, Kind, encode_frame

LINGER_S = 5.0  # for the other end to take the last word before the connection is closed


class TcpChannel:
    """Fulfils ports.peers.Channel. `other` is whoever is at the other end, for words."""

    def __init__(self, connection: Connection, other: str) -> None:
        self._connection = connection
        self._other = other
        self._inbox = Inbox(connection)
        self._finished = False  # the last has been said here
        self._ended = False  # and there

    async def send(self, item: bytes) -> None:
        assert not self._finished, "nothing is sent after the last"
        try:
            frame = encode_frame(Kind.ITEM, item)
        except FrameError as error:
            raise TooLarge(f"the item is too large: {error}") from None
        self._require_connection()
        self._connection.write(frame)
        await self._connection.drained()
        self._require_connection()

    async def finish(self) -> None:
        if not self._finished:
            self._finished = True
            self._require_connection()
            self._connection.write(encode_end(None))

    async def receive(self) -> bytes | None:
        if self._ended:
            return None
        frame = await self._inbox.take()
        if frame is None:
            raise Unavailable(f"the connection to {self._other} broke")
        if frame.kind == Kind.ITEM:
            return frame.payload
        self._ended = True
        if frame.kind != Kind.END:
            raise Unavailable(f"{self._other} sent what is no item")
        if (failure := end_of(frame)) is not None:
            raise failure.error()
        return None

    async def over(self, failure: Failure | None) -> None:
        """The handler has ended. What still comes is read and dropped: a connection that is closed with something
        unread takes back what was sent last.
        """
        connection = self._connection
        if failure is not None or not self._finished:
            connection.write(encode_end(failure))
        self._inbox.drop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                await asyncio.shield(connection.over)
        connection.close()

    def _require_connection(self) -> None:
        if self._connection.lost:
            raise Unavailable(f"the connection to {self._other} broke")


@contextlib.asynccontextmanager
async def open_duplex(dialler: Dialler, address: str, request: bytes) -> AsyncGenerator[TcpChannel, None]:
    """Raises Unavailable."""
    async with dialler.asked(address, Kind.DUPLEX, request) as connection:
        yield TcpChannel(connection, address)
