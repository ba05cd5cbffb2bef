"""The results of health checks that this node remembers, for whoever asks. They are in memory alone: a restart of
the node's program forgets them.
"""

from collections.abc import Container, Iterable

from orion.model.health import CheckResult
from orion.model.ids import AllocationId
from orion.reconcile.check_history import with_results

ENDED_KEPT = 64  # allocations that are this node's no longer


class CheckMemory:
    """`since_ms` is when it began, in Unix time."""

    def __init__(self, since_ms: int) -> None:
        self.since_ms = since_ms
        self._assigned: dict[AllocationId, tuple[CheckResult, ...]] = {}
        self._ended: dict[AllocationId, tuple[CheckResult, ...]] = {}  # in the order of their ends
        self._logs: dict[AllocationId, tuple[CheckResult, ...]] = {}  # the engine's, as last seen

    def of(self, allocation: AllocationId) -> tuple[CheckResult, ...]:
        """Returns the results, oldest first."""
        return self._assigned.get(allocation) or self._ended.get(allocation, ())

    def add(self, allocation: AllocationId, results: Iterable[CheckResult]) -> None:
        self._assigned[allocation] = with_results(self.of(allocation), results)
        self._ended.pop(allocation, None)

    def add_log(self, allocation: AllocationId, log: tuple[CheckResult, ...]) -> None:
        """Adds the results of an engine's own log, which is shown at each look, mostly as it was."""
        if log and self._logs.get(allocation) != log:
            self._logs[allocation] = log
            self.add(allocation, log)

    def forget_all_but(self, assigned: Container[AllocationId]) -> None:
        """Forgets those that are not `assigned`, but for the last that ended."""
        for allocation in [each for each in self._assigned if each not in assigned]:
            self._ended[allocation] = self._assigned.pop(allocation)
            self._logs.pop(allocation, None)
        while len(self._ended) > ENDED_KEPT:
            del self._ended[next(iter(self._ended))]
