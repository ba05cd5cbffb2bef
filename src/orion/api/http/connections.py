"""All connections of the API, with a bound on what clients may hold without asking anything."""

import asyncio
from collections import OrderedDict
from typing import Protocol

from orion.node.runtime.turnstile import Turnstile

MAX_CONNECTIONS = 4_096
# A request may hold two files (logs: one of the engine or of another node besides), and half of all are for the
# rest of the node: its peers, the engine, /proc.
FILES_FOR_EACH = 4
# Of all connections; the others are for those who ask next, if only to hear that there are too many.
BUSY_SHARE = 0.75


class Connection(Protocol):
    """One of them, as far as they are counted and closed."""

    transport: asyncio.Transport

    @property
    def unsent(self) -> bool: ...

    def end(self) -> None:
        """Closes it now if nothing is asked, else after the answer."""


class Connections:
    """At most so many. The one that has asked nothing for longest makes room for the next."""

    def __init__(self, most: int) -> None:
        self.open: set[Connection] = set()
        self.answers: set[asyncio.Task[None]] = set()  # under way
        self.starts = Turnstile()  # for requests
        self._most = most
        self._most_busy = max(1, int(most * BUSY_SHARE))
        self._idle: OrderedDict[Connection, None] = OrderedDict()  # without a request under way, longest first
        self._none_left = asyncio.Event()

    @property
    def full(self) -> bool:
        """True if so many have a request under way that no further one is taken."""
        return len(self.open) - len(self._idle) >= self._most_busy

    def opened(self, connection: Connection) -> None:
        self.open.add(connection)
        self._idle[connection] = None
        while len(self.open) > self._most:
            # The new one itself at the last.
            self.lost(longest := next(each for each in self._idle if not each.unsent))
            longest.transport.abort()

    def lost(self, connection: Connection) -> None:
        self.open.discard(connection)
        self._idle.pop(connection, None)
        if not self.open:
            self._none_left.set()

    def busy(self, connection: Connection) -> None:
        self._idle.pop(connection, None)

    def done(self, connection: Connection) -> None:
        self._idle[connection] = None

    async def end(self, patience_s: float) -> None:
        """Returns when all are closed: idle ones now, others after their answer, and all after `patience_s`."""
        for connection in tuple(self.open):
            connection.end()
        self._none_left.clear()
        try:
            async with asyncio.timeout(patience_s):
                if self.open:
                    await self._none_left.wait()
                if self.answers:
                    await asyncio.wait(self.answers)
        except TimeoutError:
            for answer in self.answers:
                answer.cancel()
            if self.answers:
                await asyncio.wait(self.answers, timeout=patience_s)
        finally:
            for connection in tuple(self.open):
                connection.transport.abort()
