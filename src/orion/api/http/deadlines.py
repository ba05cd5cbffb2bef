"""How long a request may take: its own deadline, the client's patience, the node's life.

Whichever ends first brings the request's deadline forward, so that there is one way in which work is given up.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from orion.api.http.asgi import Receive
from orion.model.errors import Unavailable
from orion.node.runtime.turnstile import Turnstile


class Limits:
    """The deadlines of all requests under way."""

    def __init__(self) -> None:
        self.stopping = False
        self.sends = Turnstile()  # for chunks of what many clients wait for
        self._waits: set[asyncio.Timeout] = set()
        self._works: set[asyncio.Timeout] = set()

    @contextlib.asynccontextmanager
    async def limit(self, seconds: float | None, *, waits: bool = False) -> AsyncGenerator[asyncio.Timeout, None]:
        """Raises Unavailable when the time is up. `waits`: it only waits for news, and ends first when the node
        stops.
        """
        kept = self._waits if waits else self._works
        deadline = asyncio.timeout(seconds)
        try:
            async with deadline:
                kept.add(deadline)
                if waits and self.stopping:
                    bring_forward(deadline)
                yield deadline
        except TimeoutError:
            if not deadline.expired():
                raise
            raise Unavailable(f"{self._why(seconds)}; a change that was asked for may or may not be made") from None
        finally:
            kept.discard(deadline)

    def _why(self, seconds: float | None) -> str:
        if self.stopping:
            return "this node is stopping: ask another"
        return f"no answer within {seconds:g} s" if seconds else "the client hung up"

    def end_waits(self) -> None:
        self.stopping = True
        for deadline in tuple(self._waits):
            bring_forward(deadline)

    def end_all(self) -> None:
        self.end_waits()
        for deadline in tuple(self._works):
            bring_forward(deadline)


def bring_forward(deadline: asyncio.Timeout) -> None:
    if not deadline.expired():
        deadline.reschedule(asyncio.get_running_loop().time())


@contextlib.asynccontextmanager
async def until_hang_up(receive: Receive, deadline: asyncio.Timeout) -> AsyncGenerator[asyncio.TaskGroup, None]:
    """Brings `deadline` forward when the client hangs up. Yields a group for what the request runs besides."""
    try:
        async with asyncio.TaskGroup() as group:
            watcher = group.create_task(_hang_up(receive, deadline))
            try:
                yield group
            finally:
                watcher.cancel()
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None


async def _hang_up(receive: Receive, deadline: asyncio.Timeout) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    bring_forward(deadline)
