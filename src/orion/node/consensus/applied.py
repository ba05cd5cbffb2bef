"""State changes -> whoever waits for them on this node: long polls, workers' streams, the leader's duties.

Waiters are told that the index has moved, never what moved: they look at the state again (levels, not edges).
"""

import asyncio
import contextlib
import heapq
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from itertools import takewhile

from orion.model.events import Event
from orion.node.runtime.turnstile import Turnstile

EVENTS_REMEMBERED = 4_096
EVERYTHING = (0, 0)  # before the first event
MIN_TARGETS = 64


class AppliedWatch:
    def __init__(self) -> None:
        self.index = 0
        self.moves = 0  # advances and nudges so far
        self._waiting: dict[asyncio.Future[None], None] = {}  # for any change; in order of coming
        self._reaching = _Targets()
        self._polling = _Targets()  # as many as there are clients
        self._turnstile = Turnstile()
        self._events: deque[Event] = deque(maxlen=EVENTS_REMEMBERED)
        self._forgotten = False  # whether events before the oldest remembered one ever were

    def advance(self, index: int, events: Iterable[Event] = ()) -> None:
        """State is now at `index`. Wakes all waiters on the next turn of the loop."""
        for event in events:
            if len(self._events) == EVENTS_REMEMBERED:
                self._forgotten = True
            self._events.append(event)
        self.index = max(self.index, index)
        for due in self._reaching.due(self.index):
            _wake(due)
        for due in self._polling.due(self.index):
            self._turnstile.admit(due)
        self.nudge()

    def reset(self, index: int) -> None:
        """A snapshot was installed: what happened before it is not known event by event."""
        self._events.clear()
        self._forgotten = True
        self.advance(index)

    def nudge(self) -> None:
        """Wake all that wait for any change though no index moved (gossip changed, the role changed)."""
        self.moves += 1
        if self._waiting:
            waiting, self._waiting = self._waiting, {}
            _wake(waiting)

    async def changed(self, since: int | None = None) -> None:
        """Returns at the next advance or nudge after this call, or after `since`: what `moves` was when somebody
        began to look who has waited for something else meanwhile.
        """
        if since is not None and self.moves != since:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = None
        try:
            await waiter
        finally:
            self._waiting.pop(waiter, None)

    async def reached(self, index: int) -> None:
        """Returns once state is at `index`. Costs nothing until then, however often it moves on."""
        if self.index < index:
            await self._reaching.wait(index)

    async def polled(self, index: int) -> None:
        """As `reached`, for very many who need not all go on in the same turn of the loop."""
        if self.index < index:
            await self._polling.wait(index)

    async def events(self, after: tuple[int, int] | None, *, follow: bool) -> AsyncGenerator[Event | None, None]:
        """Remembered events past `after`, then new ones; None where some between were forgotten."""
        async with contextlib.aclosing(self.batches(after, follow=follow)) as batches:
            async for batch in batches:
                for event in batch:
                    yield event

    async def batches(
        self,
        after: tuple[int, int] | None,
        *,
        follow: bool,
        lasts: Callable[[], bool] = lambda: True,
        pulse_s: float | None = None,
    ) -> AsyncGenerator[list[Event | None], None]:
        """The same in batches, an empty one after `pulse_s` without events. Ends once `lasts` is false."""
        position = after or (self.last if follow else EVERYTHING)
        while lasts():
            oldest = _key(self._events[0]) if self._events else position
            forgotten = self._forgotten and EVERYTHING < position < oldest
            if events := self._past(position):
                position = _key(events[-1])
                yield [None, *events] if forgotten else [*events]
            if not follow:
                return
            try:
                async with asyncio.timeout(pulse_s):
                    while lasts() and not self._any_past(position):
                        await self.changed()
            except TimeoutError:
                yield []

    def _any_past(self, position: tuple[int, int]) -> bool:
        return bool(self._events) and _key(self._events[-1]) > position

    def _past(self, position: tuple[int, int]) -> list[Event]:
        """From the newest back: a follower asks after every change, and the old ones are thousands."""
        new = list(takewhile(lambda event: _key(event) > position, reversed(self._events)))
        new.reverse()
        return new

    @property
    def last(self) -> tuple[int, int]:
        """The position of the newest event, or of the present where none is remembered."""
        return _key(self._events[-1]) if self._events else (self.index, 0)


def _key(event: Event) -> tuple[int, int]:
    return event.index, event.part


class _Targets:
    """Waiters by the index that they wait for."""

    def __init__(self) -> None:
        self._waiting: dict[int, dict[asyncio.Future[None], None]] = {}  # in order of coming
        self._order: list[int] = []  # a heap of the keys
        self._most = MIN_TARGETS

    def __len__(self) -> int:
        return len(self._order)

    async def wait(self, index: int) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if (waiting := self._waiting.get(index)) is None:
            self._forget_abandoned()
            waiting = self._waiting[index] = {}
            heapq.heappush(self._order, index)
        waiting[waiter] = None
        try:
            await waiter
        finally:
            waiting.pop(waiter, None)

    def due(self, index: int) -> Iterator[list[asyncio.Future[None]]]:
        """Those that wait for what is not past `index`, who wait here no more."""
        while self._order and self._order[0] <= index:
            yield list(self._waiting.pop(heapq.heappop(self._order)))

    def _forget_abandoned(self) -> None:
        """Drops indexes that nobody waits for any more: they may never be reached. It looks when there are twice as
        many as before.
        """
        if len(self._order) >= self._most:
            self._waiting = {index: waiting for index, waiting in self._waiting.items() if waiting}
            self._order = sorted(self._waiting)
            self._most = max(MIN_TARGETS, 2 * len(self._order))


def _wake(waiters: Iterable[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
