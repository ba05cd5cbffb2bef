"""Raft messages to one address: a bounded queue in front of a connection, which is made again whenever it is
lost.
"""

import asyncio
import random
from collections import deque

from orion.adapters.peers.connection import Connection
from orion.adapters.peers.dial import Dialler
from orion.model.errors import Unavailable
from orion.wire.envelopes import LANE_RAFT

MAX_QUEUED_FRAMES = 4_096
MAX_QUEUED_BYTES = 64 * 1024 * 1024
FIRST_RETRY_S = 0.05
LAST_RETRY_S = 0.5
STEADY_S = 1.0  # a connection that lived this long is made again at once
IDLE_S = 30.0  # the connection is given up with nothing to send for this long


class Outbox:
    def __init__(self, address: str, dialler: Dialler) -> None:
        self.address = address
        self._dialler = dialler
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._connection: Connection | None = None
        self._sent_since_check = True
        self.dropped = 0

    def send(self, frames: list[bytes]) -> None:
        """Sends or queues the frames, and never waits. When the queue is full, the oldest frames are dropped."""
        self._sent_since_check = True
        connection = self._connection
        if connection is not None and not self._queue and not connection.paused:
            connection.write_all(frames)
            return
        self._queue.extend(frames)
        self._queued_bytes += sum(map(len, frames))
        while len(self._queue) > MAX_QUEUED_FRAMES or self._queued_bytes > MAX_QUEUED_BYTES:
            self._queued_bytes -= len(self._queue.popleft())
            self.dropped += 1

    async def run(self) -> None:
        """Runs until nothing was sent for a while: IDLE_S when connected, a few retries when not."""
        loop = asyncio.get_running_loop()
        delay = 0.0
        while True:
            try:
                connection = await self._dialler.dial(self.address, LANE_RAFT)
            except Unavailable:
                lived = 0.0
            else:
                began = loop.time()
                if await self._use(connection):
                    return
                lived = loop.time() - began
            if lived >= STEADY_S:
                delay = 0.0
                continue
            delay = min(LAST_RETRY_S, max(FIRST_RETRY_S, 2 * delay))
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311  spread, not secret
            if delay == LAST_RETRY_S and not self._busy():
                return

    async def _use(self, connection: Connection) -> bool:
        """Sends over the connection. Returns False once it is lost, True once it is idle."""
        self._connection = connection
        connection.on_writable = self._flush
        self._flush()
        try:
            while not connection.lost:
                await asyncio.wait([connection.over], timeout=IDLE_S)
                if not connection.lost and not self._busy():
                    return True
        finally:
            self._connection = None
            connection.abort()
        return False

    def _flush(self) -> None:
        connection = self._connection
        while self._queue and connection is not None and not connection.paused:
            frame = self._queue.popleft()
            self._queued_bytes -= len(frame)
            connection.write(frame)

    def _busy(self) -> bool:
        """Returns True when anything was sent since the last call."""
        busy, self._sent_since_check = self._sent_since_check, False
        return busy
