"""Queries by UDP. They are read from the socket here rather than by a transport, so that a flood is left in the
kernel, which drops it, and the event loop has its turns for all else.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any

from orion.adapters.dns.desk import Desk
from orion.adapters.dns.shunning import Shunning
from orion.wire.dns.query import MAX_QUERY_BYTES, Query

TURN = 32  # messages, then others have their turn
PAUSE = 2.0  # after a whole turn, as a multiple of its time: a third of the loop's time is the most

_Spawn = Callable[[Coroutine[Any, Any, None]], None]


class Datagrams:
    def __init__(self, sock: socket.socket, desk: Desk, shunning: Shunning, spawn: _Spawn) -> None:
        """`spawn` starts a runner."""
        self._sock = sock
        self._desk = desk
        self._shunning = shunning
        self._spawn = spawn
        self._loop = asyncio.get_running_loop()
        self._resume: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._loop.add_reader(self._sock, self._read)

    def stop(self) -> None:
        if self._resume is not None:
            self._resume.cancel()
        self._loop.remove_reader(self._sock)

    def _read(self) -> None:
        began_s, now_s = time.monotonic(), self._loop.time()
        left, dropped = TURN, 0
        # An error says that there is nothing more, or is of a packet that was sent before.
        with contextlib.suppress(OSError):
            while left:
                data, address = self._sock.recvfrom(MAX_QUERY_BYTES + 1)
                left -= 1
                if self._desk.rates.admits(address[0], now_s):
                    self._answer(data, address, address[0])
                else:
                    dropped += 1
        if dropped:
            self._desk.counts.dropped += dropped
            self._shunning.look()
        if not left:
            self._pause(time.monotonic() - began_s)

    def _answer(self, data: bytes, address: Any, client: str) -> None:
        answer = self._desk.take(data, client, tcp=False)
        if isinstance(answer, Query):
            self._spawn(self._forward(answer, address, client))
        elif answer is not None:
            self._send(answer, address)

    async def _forward(self, query: Query, address: Any, client: str) -> None:
        self._send(await self._desk.forward(query, client, tcp=False), address)

    def _send(self, answer: bytes, address: Any) -> None:
        # A full buffer, or no way back: as if it were lost on its way.
        with contextlib.suppress(OSError):
            self._sock.sendto(answer, address)

    def _pause(self, spent_s: float) -> None:
        self._loop.remove_reader(self._sock)
        self._resume = self._loop.call_later(PAUSE * spent_s, self.start)
