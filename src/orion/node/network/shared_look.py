"""Looks at applied state that many want: workers that are told of all of it, and this node itself."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Generic, TypeVar

from orion.model.errors import Unavailable
from orion.node.consensus.driver import RaftDriver
from orion.node.routing.forward import Forward
from orion.node.rpc.request import ALIVE, SIGN_OF_LIFE_S, SignOfLife, StreamRequest

PAUSE_S = 0.3  # between two looks for workers
# Of the time that a look took, the least that passes before the next one: looks have a tenth of the loop at most.
REST = 9
MAX_REST_S = 0.5

R = TypeVar("R")
T = TypeVar("T")


class SharedLook(Generic[T]):
    """`look` is made once for all who want it of the same state; it may be long, and lets others run meanwhile."""

    def __init__(self, driver: RaftDriver, look: Callable[[], Awaitable[T]]) -> None:
        self._driver = driver
        self._look = look
        self._turn = asyncio.Lock()
        self._known: tuple[tuple[int, int], T] | None = None  # as of which installs and index
        self._took_s = 0.0

    async def now(self) -> T:
        loop = asyncio.get_running_loop()
        async with self._turn:
            as_of = self._driver.installs, self._driver.watch.index
            if self._known is None or self._known[0] != as_of:
                began = loop.time()
                self._known = as_of, await self._look()
                self._took_s = loop.time() - began
            return self._known[1]

    async def rest(self, pause_s: float) -> None:
        """Returns when the next look may be made: what follows on one another is seen as one."""
        await asyncio.sleep(max(pause_s, min(REST * self._took_s, MAX_REST_S)))

    async def chunks(self, cut: Callable[[T], Iterable[R]]) -> AsyncGenerator[R | SignOfLife, None]:
        """Yields `sets` as a stream has them: each cut into what fits into frames."""
        async with contextlib.aclosing(self.sets()) as sets:
            async for found in sets:
                if isinstance(found, SignOfLife):
                    yield found
                    continue
                for chunk in cut(found):
                    yield chunk

    async def told(
        self, forward: Forward, request: StreamRequest[R], receiver: Callable[[str], Callable[[R], T | SignOfLife]]
    ) -> AsyncGenerator[T, None]:
        """Yields what voters tell, whose `chunks` the receiver puts together, until this node follows the log
        itself. Raises OrionError.
        """
        async with contextlib.aclosing(forward.from_voters(request, receiver)) as sets:
            async for found in sets:
                if self._driver.is_member:
                    return
                if not isinstance(found, SignOfLife):
                    yield found

    async def sets(self) -> AsyncGenerator[T | SignOfLife, None]:
        """Yields what there is, and again whenever it is something else. Raises Unavailable when this node does not
        follow the log any more.
        """
        driver = self._driver
        last: T | None = None
        while driver.is_member:
            index, found = driver.watch.index, await self.now()
            if found != last:
                last = found
                yield found
            await self.rest(PAUSE_S)
            while driver.is_member and driver.watch.index == index:
                try:
                    async with asyncio.timeout(SIGN_OF_LIFE_S):
                        await driver.watch.changed()
                except TimeoutError:
                    yield ALIVE
        raise Unavailable("this node does not follow the cluster's log any more")
