"""When something that failed is tried again."""

from collections.abc import Collection, Hashable
from typing import Generic, TypeVar

Subject = TypeVar("Subject", bound=Hashable)

REFUSED_AGAIN_MS = 300_000  # of what as it stands never succeeds, if who refuses it is right


class Rests(Generic[Subject]):
    """After waits that double from `first_ms` to `longest_ms`, or once `terms` are others: all that the outcome
    depends on, but time.
    """

    def __init__(self, first_ms: int, longest_ms: int) -> None:
        self._first_ms = first_ms
        self._longest_ms = longest_ms
        self._times: dict[Subject, int] = {}
        self._until_ms: dict[Subject, int] = {}
        self._terms: dict[Subject, Hashable] = {}
        self._kinds: dict[Subject, tuple[str, int]] = {}

    def until_ms(self, subject: Subject, terms: Hashable = ()) -> int:
        """0 where nothing has failed, or the terms are others by now."""
        if subject in self._terms and self._terms[subject] != terms:
            self.forget(subject)
        return self._until_ms.get(subject, 0)

    def failed(self, subject: Subject, terms: Hashable, now_ms: int, kind: str = "", *, never: bool = False) -> int:
        """Returns how often in a row it has failed with this kind of failure."""
        former, count = self._kinds.get(subject, ("", 0))
        self._kinds[subject] = kind, count + 1 if kind == former else 1
        times = self._times[subject] = self._times.get(subject, 0) + 1
        wait_ms = min(self._first_ms << min(times - 1, 16), self._longest_ms)
        self._until_ms[subject] = now_ms + (REFUSED_AGAIN_MS if never else wait_ms)
        self._terms[subject] = terms
        return self._kinds[subject][1]

    def times(self, subject: Subject) -> int:
        return self._times.get(subject, 0)

    def forget(self, subject: Subject) -> None:
        for each in (self._times, self._until_ms, self._terms, self._kinds):
            each.pop(subject, None)

    def keep(self, subjects: Collection[Subject]) -> None:
        """Forgets all others."""
        for subject in [each for each in self._times if each not in subjects]:
            self.forget(subject)
