"""Frames of a stream that have come and wait to be taken, and no more of them than a bound."""

import asyncio
from collections import deque

from orion.adapters.peers.connection import Connection
from orion.model.errors import Unavailable
from orion.wire.envelopes import Failure, decode_end
from orion.wire.frames import Frame, FrameError

MAX_WAITING_BYTES = 1024 * 1024  # received and not yet taken; past this nothing more is read
MAX_WAITING_ITEMS = 1_024


class Inbox:
    """Received frames that wait for the reader."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._frames: deque[Frame] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._paused = False
        self._dropped = False
        connection.on_frame = self._came
        connection.on_lost = self._wake.set

    def _came(self, frame: Frame) -> None:
        if self._dropped:
            return
        self._frames.append(frame)
        self._bytes += len(frame.payload)
        self._wake.set()
        if not self._paused and (self._bytes > MAX_WAITING_BYTES or len(self._frames) > MAX_WAITING_ITEMS):
            self._paused = True
            self._connection.pause_reading()

    def drop(self) -> None:
        """Nothing of it is wanted any more."""
        self._dropped = True
        self._frames.clear()
        self._bytes = 0
        if self._paused:
            self._paused = False
            self._connection.resume_reading()

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


def end_of(frame: Frame) -> Failure | None:
    try:
        return decode_end(frame.payload)
    except FrameError as error:
        raise Unavailable(f"the stream ended with {error}") from None
