"""Which jobs are waited for, by jobs whose tasks start after theirs."""

from collections.abc import Iterable

from orion.model.ids import JobName


class WaitIndex:
    """The jobs whose changes may end a wait, by who waits. That a job is among them costs one look-up."""

    __slots__ = ("_awaited", "_waits")

    def __init__(self) -> None:
        self._waits: dict[JobName, frozenset[JobName]] = {}
        self._awaited: dict[JobName, int] = {}  # by how many

    def put(self, waiter: JobName, jobs: Iterable[JobName]) -> None:
        """In place of what it waited for before: nothing, where `jobs` is empty."""
        for job in self._waits.pop(waiter, ()):
            if self._awaited[job] == 1:
                del self._awaited[job]
            else:
                self._awaited[job] -= 1
        if found := frozenset(jobs):
            self._waits[waiter] = found
            for job in found:
                self._awaited[job] = self._awaited.get(job, 0) + 1

    def clear(self) -> None:
        self._waits.clear()
        self._awaited.clear()

    def __contains__(self, job: JobName) -> bool:
        return job in self._awaited

    def __bool__(self) -> bool:
        return bool(self._waits)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WaitIndex) and (self._waits, self._awaited) == (other._waits, other._awaited)

    __hash__ = None  # type: ignore[assignment]
