"""The turns of jobs that were refused."""

from collections import deque
from collections.abc import Collection
from itertools import islice

from orion.model.ids import JobName
from orion.state.view import View


class RetryRotation:
    """Tries refused jobs in rounds. Each job that is refused when a round begins is tried once, those of a higher
    priority first and of equal ones the older, then those for which a plan had no room. A round begins when the
    last one is over and scheduling may give another answer.

    Only a place in the order is kept, not a list of the jobs to come: there may be hundreds of thousands.
    """

    __slots__ = ("_after", "_again", "_batch", "_before", "_began_at", "_from_again", "_upto")

    def __init__(self) -> None:
        self._began_at: tuple[int, int] | None = None
        self._before = 0  # the serial of the first that is not of this round; 0: none is left of it
        self._after: int | None = None  # the queue_key of the last that had its turn
        self._again: deque[JobName] = deque()
        self._batch: list[JobName] = []
        self._upto: int | None = None  # of the round, the queue_key of the last in the batch; None: it is the last
        self._from_again = 0  # of `_again`, how many are in the batch

    def batch(self, view: View, now: tuple[int, int], limit: int) -> list[JobName]:
        """Returns the next jobs to try, at most `limit`, and the same ones until `taken`. `now` is the number of
        times that a snapshot has replaced the state, and the capacity epoch.
        """
        if self._began_at is None or self._began_at[0] != now[0]:
            self._before = 0  # it was of another state
            self._again.clear()
        self._fill(view, limit)
        if not self._batch and self._began_at != now:
            self._began_at = now
            self._before, self._after = view.next_serial, None
            self._fill(view, limit)
        return self._batch

    def _fill(self, view: View, limit: int) -> None:
        refused = view.jobs_refused(limit, self._after, self._before) if self._before else []
        self._upto = view.queue_key(refused[-1]) if len(refused) == limit else None
        again = list(islice(self._again, limit - len(refused)))
        self._from_again = len(again)
        self._batch = [*refused, *again]

    def taken(self, rest: Collection[JobName]) -> None:
        """Ends a batch of which all jobs but `rest` were planned."""
        if self._upto is None:
            self._before = 0
        else:
            self._after = self._upto
        for _ in range(self._from_again):
            self._again.popleft()
        left = frozenset(rest)
        self._again.extend(name for name in self._batch if name in left)
