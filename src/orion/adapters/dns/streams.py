"""Queries by TCP: for answers that are larger than a packet (RFC 7766)."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from orion.adapters.dns.desk import Desk
from orion.adapters.dns.shunning import Shunning
from orion.wire.dns.query import MAX_QUERY_BYTES, Query

IDLE_S = 10.0  # until a whole query has come, or an answer has been taken
MAX_CONNECTIONS = 128
MAX_CONNECTIONS_OF_CLIENT = 16
COST = 2  # more than a query by UDP, and one more for as many bytes as make a large answer there
COST_BYTES = 512
_LENGTH_BYTES = 2

_Spawn = Callable[[Coroutine[Any, Any, None]], None]


class Streams:
    """Answers one query of a connection after the other."""

    def __init__(self, desk: Desk, shunning: Shunning, spawn: _Spawn) -> None:
        """`spawn` starts a runner."""
        self._desk = desk
        self._shunning = shunning
        self._spawn = spawn
        self._open = 0
        self._of_client: Counter[str] = Counter()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        if not peer or not self._has_room(peer[0]):
            writer.transport.abort()
            return
        self._open += 1
        self._of_client[peer[0]] += 1
        self._spawn(self._serve(reader, writer, peer[0]))

    def _has_room(self, client: str) -> bool:
        if not self._desk.rates.admits(client, asyncio.get_running_loop().time()):
            self._shunning.look()
            return False
        return self._open < MAX_CONNECTIONS and self._of_client[client] < MAX_CONNECTIONS_OF_CLIENT

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: str) -> None:
        writer.transport.set_write_buffer_limits(0)  # drained is: all is with the kernel
        try:
            while (answer := await self._next(reader, client)) is not None:
                async with asyncio.timeout(IDLE_S):
                    writer.write(len(answer).to_bytes(_LENGTH_BYTES, "big") + answer)
                    await writer.drain()
        except (OSError, EOFError):  # TimeoutError is one
            return
        finally:
            writer.transport.abort()
            self._open -= 1
            self._of_client[client] -= 1
            if not self._of_client[client]:
                del self._of_client[client]

    async def _next(self, reader: asyncio.StreamReader, client: str) -> bytes | None:
        """Returns the answer to the next query. None: the connection is to be closed."""
        async with asyncio.timeout(IDLE_S):
            length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES), "big")
            if length > MAX_QUERY_BYTES:
                return None
            data = await reader.readexactly(length)
        if not self._desk.rates.admits(client, asyncio.get_running_loop().time()):
            self._desk.counts.dropped += 1
            return None
        answer = self._desk.take(data, client, tcp=True)
        if isinstance(answer, Query):
            answer = await self._desk.forward(answer, client, tcp=True)
        self._desk.rates.charge(client, COST + len(answer or b"") // COST_BYTES)
        return answer
