"""The stream lane: each stream has a connection, so that TCP paces it and closing the connection ends it at both
ends.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncGenerator

from orion.adapters.peers.connection import Connection
from orion.adapters.peers.dial import Dialler
from orion.adapters.peers.runners import Runners
from orion.model.errors import OrionError, TooLarge, Unavailable
from orion.ports.peers import StreamHandler
from orion.wire.envelopes import LANE_STREAM, Failure, decode_end, encode_end, failure_of
from orion.wire.frames import Frame, FrameError, Kind, encode_frame

log = logging.getLogger(__name__)

MAX_WAITING_BYTES = 1024 * 1024  # received and not yet taken; past this nothing more is read
MAX_WAITING_ITEMS = 1_024


class _Inbox:
    """Received frames that wait for the reader."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._frames: deque[Frame] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._paused = False
        connection.on_frame = self._came
        connection.on_lost = self._wake.set

    def _came(self, frame: Frame) -> None:
        self._frames.append(frame)
        self._bytes += len(frame.payload)
        self._wake.set()
        if not self._paused and (self._bytes > MAX_WAITING_BYTES or len(self._frames) > MAX_WAITING_ITEMS):
            self._paused = True
            self._connection.pause_reading()

    async def take(self) -> Frame | None:
        """Returns the next frame; None when the connection is lost."""
        while not self._frames:
            if self._connection.lost:
                return None
            self._wake.clear()
            await self._wake.wait()
        frame = self._frames.popleft()
        self._bytes -= len(frame.payload)
        if self._paused and self._bytes <= MAX_WAITING_BYTES // 2 and len(self._frames) <= MAX_WAITING_ITEMS // 2:
            self._paused = False
            self._connection.resume_reading()
        return frame


async def open_stream(dialler: Dialler, address: str, request: bytes) -> AsyncGenerator[bytes, None]:
    """Yields the items that the peer at `address` yields. Raises Unavailable, or the error of the handler there."""
    try:
        opening = encode_frame(Kind.REQUEST, request)
    except FrameError as error:
        raise TooLarge(f"the request is too large: {error}") from None
    connection = await dialler.dial(address, LANE_STREAM)
    inbox = _Inbox(connection)
    connection.write(opening)
    try:
        while (frame := await inbox.take()) is not None:
            if frame.kind == Kind.ITEM:
                yield frame.payload
            elif frame.kind == Kind.END:
                if (failure := _end(frame)) is not None:
                    raise failure.error()
                return
        raise Unavailable(f"the connection to {address} broke")
    finally:
        connection.abort()


def _end(frame: Frame) -> Failure | None:
    try:
        return decode_end(frame.payload)
    except FrameError as error:
        raise Unavailable(f"the stream ended with {error}") from None


class StreamServer:
    """One stream that a peer asked for. Its connection has no other."""

    def __init__(self, connection: Connection, on_stream: StreamHandler, runners: Runners) -> None:
        self._connection = connection
        self._on_stream = on_stream
        self._runners = runners
        self._runner: asyncio.Task[None] | None = None
        connection.on_frame = self._asked
        connection.on_lost = self._lost

    def _asked(self, frame: Frame) -> None:
        if frame.kind != Kind.REQUEST or self._runner is not None:
            raise FrameError("not a request for a stream")
        name = f"stream for {self._connection.hello.node}"
        self._runner = self._runners.spawn(self._serve(frame.payload), name)

    async def _serve(self, request: bytes) -> None:
        connection = self._connection
        failure: Failure | None = None
        try:
            async with contextlib.aclosing(self._on_stream(connection.principal, request)) as items:
                async for item in items:
                    connection.write(encode_frame(Kind.ITEM, item))
                    await connection.drained()
        except OrionError as error:
            failure = failure_of(error)
        except FrameError as error:
            failure = failure_of(TooLarge(f"an item is too large: {error}"))
        except Exception:
            log.exception("a stream for %s failed", connection.hello.node)
            failure = Failure(OrionError.code, "the other node failed to go on; its log says why")
        connection.write(encode_end(failure))
        connection.close()

    def _lost(self) -> None:
        if self._runner is not None:
            self._runner.cancel()
