"""The turns of jobs that were refused."""

from collections import deque
from collections.abc import Collection
from itertools import islice

from orion.model.ids import JobName
from orion.state.view import View


class RetryRotation:
    """Tries refused jobs in rounds. Each job that is refused when a round begins is tried once, older ones first,
    then those for which a plan had no room. A round begins when the last one is over and scheduling may give
    another answer.

    Only a place in the order is kept, not a list of the jobs to come: there may be hundreds of thousands.
    """

    __slots__ = ("_again", "_batch", "_began_at", "_from_again", "_serials", "_upto")

    def __init__(self) -> None:
        self._began_at: tuple[int, int] | None = None
        self._serials = range(0)  # yet to have their turn
        self._again: deque[JobName] = deque()
        self._batch: list[JobName] = []
        self._upto = self._from_again = 0  # of `_serials` and of `_again`, what is in the batch

    def batch(self, view: View, now: tuple[int, int], limit: int) -> list[JobName]:
        """Returns the next jobs to try, at most `limit`, and the same ones until `taken`. `now` is the number of
        times that a snapshot has replaced the state, and the capacity epoch.
        """
        if self._began_at is None or self._began_at[0] != now[0]:
            self._serials = range(0)  # those of another state
            self._again.clear()
        self._fill(view, limit)
        if not self._batch and self._began_at != now:
            self._began_at = now
            self._serials = range(view.next_serial)
            self._fill(view, limit)
        return self._batch

    def _fill(self, view: View, limit: int) -> None:
        refused = view.jobs_refused(limit, self._serials)
        self._upto = view.serial(refused[-1]) + 1 if len(refused) == limit else self._serials.stop
        again = list(islice(self._again, limit - len(refused)))
        self._from_again = len(again)
        self._batch = [*refused, *again]

    def taken(self, rest: Collection[JobName]) -> None:
        """Ends a batch of which all jobs but `rest` were planned."""
        self._serials = range(self._upto, self._serials.stop)
        for _ in range(self._from_again):
            self._again.popleft()
        left = frozenset(rest)
        self._again.extend(name for name in self._batch if name in left)
