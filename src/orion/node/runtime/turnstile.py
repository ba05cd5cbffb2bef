"""A turnstile: very many runners that could all go on now do so in groups, one in each turn of the event loop."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Iterable
from typing import Generic, TypeVar

from orion.model.errors import OrionError

T = TypeVar("T")

PER_TURN = 16


class Turnstile:
    """Lets `per_turn` runners go on in each turn of the loop, in order of arrival. A thousand that go on in one
    turn would hold up a heartbeat.
    """

    def __init__(self, per_turn: int = PER_TURN) -> None:
        self._per_turn = per_turn
        self._left = per_turn
        self._queue: deque[asyncio.Future[None]] = deque()
        self._turning = False

    async def passed(self) -> None:
        """Returns at once when there is room in this turn, else in a later one."""
        if self._left > 0 and not self._queue:
            self._left -= 1
            self._turn_soon()
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(place)
        self._turn_soon()
        await place

    def admit(self, places: Iterable[asyncio.Future[None]]) -> None:
        """Queues these futures as if their runners waited here, and sets each in its turn."""
        self._queue.extend(places)
        self._turn_soon()

    def _turn_soon(self) -> None:
        if not self._turning:
            self._turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._turning = False
        self._left = self._per_turn
        while self._queue and self._left > 0:
            place = self._queue.popleft()
            if not place.done():  # else its runner has given up
                place.set_result(None)
                self._left -= 1
        if self._left < self._per_turn:
            self._turn_soon()


class Outcome(Generic[T]):
    """A result that one runner finds for many, which then go on through `ways_out`: a T, an error, or None when the
    runner gave up.
    """

    def __init__(self, ways_out: Turnstile) -> None:
        self._ways_out = ways_out
        self._waiting: dict[asyncio.Future[None], None] = {}
        self._found: T | OrionError | None = None

    async def wait(self) -> T | None:
        """Returns the result, or raises an error of the same kind and words."""
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[place] = None
        try:
            await place
        finally:
            self._waiting.pop(place, None)
        if isinstance(self._found, OrionError):
            raise type(self._found)(self._found.detail)
        return self._found

    async def find(self, work: Awaitable[T]) -> T:
        """Does the work, and gives its result to all that wait."""
        try:
            self._found = found = await work
        except OrionError as error:
            self._found = error
            raise
        else:
            return found
        finally:
            self._ways_out.admit(self._waiting)
