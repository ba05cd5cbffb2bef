"""The last results of one health check that are kept for people to look at: bounded, whatever the check says."""

from collections.abc import Iterable

from msgspec.structs import replace

from orion.model.health import CheckResult
from orion.reconcile.health import one_line

KEPT_LAST = 5  # as many as Docker keeps: whatever its log has is not forgotten here
KEPT = 10


def with_results(history: tuple[CheckResult, ...], found: Iterable[CheckResult]) -> tuple[CheckResult, ...]:
    """Returns `history` and those of `found` that are not in it, oldest first, each with one line of its output.
    The last ones are always kept. Of those before, what tells least goes first: a success after a success, then a
    failure after a failure.
    """
    for each in found:
        result = replace(each, output=one_line(each.output))
        if result in history:
            continue
        history = (*history, result)
        if len(history) > KEPT:
            at = _least_telling(history)
            history = (*history[:at], *history[at + 1 :])
    return history


def _least_telling(history: tuple[CheckResult, ...]) -> int:
    """Returns the place of the one to forget, the oldest of those that tell as little."""
    return min(range(len(history) - KEPT_LAST), key=lambda at: (_worth(history, at), at))


def _worth(history: tuple[CheckResult, ...], at: int) -> int:
    """A change is worth more than a failure, a failure more than one success of many."""
    if at == 0 or history[at - 1].ok != history[at].ok:
        return 2
    return 0 if history[at].ok else 1
