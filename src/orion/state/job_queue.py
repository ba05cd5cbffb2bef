"""The first few of very many jobs, without sorting them each time: of the highest priority, the oldest first."""

from bisect import bisect_left, insort
from collections.abc import Iterator

from orion.model.ids import JobName

_SPAN = 256  # keys of one bucket
_SERIAL_BITS = 40
_SERIAL = (1 << _SERIAL_BITS) - 1


def queue_key(priority: int, serial: int) -> int:
    """Returns a number that is less the sooner a job has its turn. `serial` says which of two jobs is older."""
    return serial - (priority << _SERIAL_BITS)


def serial_of(key: int) -> int:
    return key & _SERIAL


def next_priority(key: int) -> int:
    """Returns the least key of the priority below this one's."""
    return (key >> _SERIAL_BITS) + 1 << _SERIAL_BITS


class JobQueue:
    """Names of jobs by queue_key.

    In buckets of neighbouring keys, and only the numbers of the buckets are kept in order: a new job, one that
    leaves and the first few cost the same with a hundred and with hundreds of thousands.
    """

    __slots__ = ("_buckets", "_order")

    def __init__(self) -> None:
        self._buckets: dict[int, dict[int, JobName]] = {}
        self._order: list[int] = []

    def add(self, key: int, name: JobName) -> None:
        number = key // _SPAN
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = {}
            insort(self._order, number)
        bucket[key] = name

    def discard(self, key: int) -> None:
        number = key // _SPAN
        bucket = self._buckets.get(number)
        if bucket is None or bucket.pop(key, None) is None or bucket:
            return
        del self._buckets[number]
        del self._order[bisect_left(self._order, number)]

    def clear(self) -> None:
        self._buckets.clear()
        self._order.clear()

    def items(self, start: int | None = None) -> Iterator[tuple[int, JobName]]:
        """From the first on, or the first whose key is not below `start`. Nothing may be added or dropped on the
        way.
        """
        first = 0 if start is None else bisect_left(self._order, start // _SPAN)
        for at in range(first, len(self._order)):
            for key, name in sorted(self._buckets[self._order[at]].items()):
                if start is None or key >= start:
                    yield key, name
