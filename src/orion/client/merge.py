"""Lines of several sources in the order of their times, as far as a short wait can tell it."""

import heapq
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

WINDOW_S = 0.5  # what one node says so much later than another still comes before it
MOST_HELD = 5_000


class Reordering(Generic[T]):
    """Each line waits for `window_s`; what has an earlier time and comes meanwhile is let go before it. A source
    whose clock is behind delays nobody for longer. What came in order and has one time stays in order.
    """

    def __init__(self, *, window_s: float = WINDOW_S, most_held: int = MOST_HELD) -> None:
        self.window_s = window_s
        self._most_held = most_held
        self._held: list[tuple[str, int, T]] = []  # a heap, by time
        self._came: deque[tuple[int, float]] = deque()  # numbers and arrivals, those let go among them
        self._gone: set[int] = set()
        self._number = 0

    def add(self, at: str, item: T, now_s: float) -> None:
        """`at` compares as times do."""
        self._number += 1
        heapq.heappush(self._held, (at, self._number, item))
        self._came.append((self._number, now_s))

    def due(self, now_s: float) -> Iterator[T]:
        """Yields what has waited long enough, or is too much to be held, and all that is earlier."""
        while self._first() and (len(self._held) > self._most_held or self.wait_s(now_s) == 0.0):
            yield self._next()

    def rest(self) -> Iterator[T]:
        while self._held:
            yield self._next()

    def wait_s(self, now_s: float) -> float | None:
        """Returns how long nothing is due; None while nothing is held."""
        return max(0.0, self._came[0][1] + self.window_s - now_s) if self._first() else None

    def _first(self) -> bool:
        """Forgets those at the front that were let go. Returns whether any is held."""
        while self._came and self._came[0][0] in self._gone:
            self._gone.discard(self._came.popleft()[0])
        return bool(self._came)

    def _next(self) -> T:
        _, number, item = heapq.heappop(self._held)
        self._gone.add(number)
        return item
