"""The oldest few of very many jobs, without sorting them each time."""

from bisect import bisect_left, insort
from collections.abc import Iterator

from orion.model.ids import JobName

_SPAN = 256  # serials of one bucket


class JobQueue:
    """Names of jobs by serial, which says which is older.

    In buckets of neighbouring serials, and only the numbers of the buckets are kept in order: a new job, one that
    leaves and the oldest few cost the same with a hundred and with hundreds of thousands.
    """

    __slots__ = ("_buckets", "_order")

    def __init__(self) -> None:
        self._buckets: dict[int, dict[int, JobName]] = {}
        self._order: list[int] = []

    def add(self, serial: int, name: JobName) -> None:
        number = serial // _SPAN
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = {}
            insort(self._order, number)
        bucket[serial] = name

    def discard(self, serial: int) -> None:
        number = serial // _SPAN
        bucket = self._buckets.get(number)
        if bucket is None or bucket.pop(serial, None) is None or bucket:
            return
        del self._buckets[number]
        del self._order[bisect_left(self._order, number)]

    def clear(self) -> None:
        self._buckets.clear()
        self._order.clear()

    def items(self, start: int = 0) -> Iterator[tuple[int, JobName]]:
        """From the oldest on that is not older than `start`. Nothing may be added or dropped on the way."""
        for at in range(bisect_left(self._order, start // _SPAN), len(self._order)):
            for serial, name in sorted(self._buckets[self._order[at]].items()):
                if serial >= start:
                    yield serial, name
