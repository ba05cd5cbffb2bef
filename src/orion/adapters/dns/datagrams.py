"""Queries by UDP. They are read from the socket here rather than by a transport, so that a flood is left in the
kernel, which drops it, and the event loop has its turns for all else.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from orion.adapters.dns.desk import Desk
from orion.adapters.dns.sockets import lost
from orion.wire.dns.query import MAX_QUERY_BYTES, Query

TURN = 32  # messages, then others have their turn

Spawn = Callable[[Coroutine[Any, Any, None]], None]


class Turn(msgspec.Struct):
    """`over` are the clients whose messages were more than they may send. One that is `full` may have left more
    behind it; `lost` is how many the kernel has dropped since the last such one.
    """

    clients: list[str]
    over: list[str]
    lost: int = 0
    spent_s: float = 0.0

    @property
    def full(self) -> bool:
        return len(self.clients) == TURN


class Datagrams:
    def __init__(self, sock: socket.socket, desk: Desk, spawn: Spawn, after: Callable[[Turn], float]) -> None:
        """`spawn` starts a runner. `after` says for how many seconds it pauses after a full turn."""
        self.sock = sock
        self._desk = desk
        self._spawn = spawn
        self._after = after
        self._loop = asyncio.get_running_loop()
        self._resume: asyncio.TimerHandle | None = None
        self._lost = 0

    def start(self) -> None:
        self._loop.add_reader(self.sock, self._read)

    def stop(self) -> None:
        if self._resume is not None:
            self._resume.cancel()
        self._loop.remove_reader(self.sock)

    def _read(self) -> None:
        began_s, now_s = time.monotonic(), self._loop.time()
        turn = Turn([], [])
        # An error says that there is nothing more, or is of a packet that was sent before.
        with contextlib.suppress(OSError):
            while not turn.full:
                data, address = self.sock.recvfrom(MAX_QUERY_BYTES + 1)
                turn.clients.append(address[0])
                if self._desk.rates.admits(address[0], now_s):
                    self._answer(data, address, address[0])
                else:
                    turn.over.append(address[0])
        if turn.full:
            lost_before, self._lost = self._lost, lost(self.sock)
            turn.lost = (self._lost - lost_before) % 2**32
        self._desk.counts.dropped += len(turn.over) + turn.lost
        turn.spent_s = time.monotonic() - began_s
        pause_s = self._after(turn)
        if turn.full:
            self._loop.remove_reader(self.sock)
            self._resume = self._loop.call_later(pause_s, self.start)

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
            self.sock.sendto(answer, address)
