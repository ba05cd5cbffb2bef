"""The stream lane: each stream has a connection, so that TCP paces it and closing the connection ends it at both
ends.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable

from orion.adapters.peers.connection import Connection
from orion.adapters.peers.dial import Dialler
from orion.adapters.peers.duplex import TcpChannel
from orion.adapters.peers.inbox import Inbox, end_of
from orion.adapters.peers.runners import Runners
from orion.model.errors import OrionError, TooLarge, Unavailable
from orion.ports.peers import DuplexHandler, StreamHandler
from orion.wire.envelopes import Failure, encode_end, failure_of
from orion.wire.frames import Frame, FrameError, Kind, encode_frame

log = logging.getLogger(__name__)


async def open_stream(dialler: Dialler, address: str, request: bytes) -> AsyncGenerator[bytes, None]:
    """Yields the items that the peer at `address` yields. Raises Unavailable, or the error of the handler there."""
    async with dialler.asked(address, Kind.REQUEST, request) as connection:
        inbox = Inbox(connection)
        while (frame := await inbox.take()) is not None:
            if frame.kind == Kind.ITEM:
                yield frame.payload
            elif frame.kind == Kind.END:
                if (failure := end_of(frame)) is not None:
                    raise failure.error()
                return
        raise Unavailable(f"the connection to {address} broke")


class StreamServer:
    """One stream that a peer asked for, one way or both. Its connection has no other."""

    def __init__(
        self, connection: Connection, on_stream: StreamHandler, on_duplex: DuplexHandler, runners: Runners
    ) -> None:
        self._connection = connection
        self._on_stream = on_stream
        self._on_duplex = on_duplex
        self._runners = runners
        self._runner: asyncio.Task[None] | None = None
        connection.on_frame = self._asked
        connection.on_lost = self._lost

    def _asked(self, frame: Frame) -> None:
        if frame.kind == Kind.DUPLEX and self._runner is None:
            channel = TcpChannel(self._connection, self._connection.hello.node)
            self._connection.on_lost = self._lost
            serving = self._serve_duplex(frame.payload, channel)
        elif frame.kind == Kind.REQUEST and self._runner is None:
            serving = self._serve(frame.payload)
        else:
            raise FrameError("not a request for a stream")
        self._runner = self._runners.spawn(serving, f"stream for {self._connection.hello.node}")

    async def _serve(self, request: bytes) -> None:
        connection = self._connection

        async def items() -> None:
            async with contextlib.aclosing(self._on_stream(connection.principal, request)) as yielded:
                async for item in yielded:
                    connection.write(encode_frame(Kind.ITEM, item))
                    await connection.drained()

        failure = await self._failure(items())
        connection.write(encode_end(failure))
        connection.close()

    async def _serve_duplex(self, request: bytes, channel: TcpChannel) -> None:
        failure = await self._failure(self._on_duplex(self._connection.principal, request, channel))
        await channel.over(failure)

    async def _failure(self, answering: Awaitable[None]) -> Failure | None:
        """Returns how the handler failed; None when it did not."""
        try:
            await answering
        except OrionError as error:
            return failure_of(error)
        except FrameError as error:
            return failure_of(TooLarge(f"an item is too large: {error}"))
        except Exception:
            log.exception("a stream for %s failed", self._connection.hello.node)
            return Failure(OrionError.code, "the other node failed to go on; its log says why")
        return None

    def _lost(self) -> None:
        if self._runner is not None:
            self._runner.cancel()
