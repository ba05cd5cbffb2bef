"""What this machine holds up: a test of a leader that stays judges nothing by a time in which nobody could run."""

import contextlib
import multiprocessing
import time
from collections.abc import Callable, Iterator
from multiprocessing.sharedctypes import Synchronized

LONG_S = 0.3  # less than the shortest time after which a follower stands for election
_OFTEN_S = 0.02


def unless_stalled(attempt: Callable[[], str], times: int = 3) -> None:
    """Fails with what `attempt` has to object to, "" for nothing. That is no verdict when a process beside it that
    does nothing had no turn for LONG_S meanwhile: a node may have had none either. Then it is tried again.
    """
    told = []
    for _ in range(times):
        with _watched() as longest_s:
            objection = attempt()
            stalled_s = longest_s()
        if not objection:
            return
        told.append(f"{objection}; the longest time without a turn: {stalled_s:.2f} s")
        if stalled_s <= LONG_S:
            break
    raise AssertionError("\n".join(told))


@contextlib.contextmanager
def _watched() -> Iterator[Callable[[], float]]:
    """The longest time so far in which a process that asked for a turn had none."""
    context = multiprocessing.get_context("spawn")
    longest: Synchronized[float] = context.Value("d", -1.0)
    process = context.Process(target=_watch, args=(longest,), daemon=True)
    process.start()
    try:
        while longest.value < 0:
            assert process.is_alive(), "who measures has ended"
            time.sleep(_OFTEN_S)
        longest.value = 0.0
        yield lambda: longest.value
    finally:
        process.kill()
        process.join()


def _watch(longest: "Synchronized[float]") -> None:
    before = time.monotonic()
    while True:
        time.sleep(_OFTEN_S)
        now = time.monotonic()
        longest.value = max(longest.value, now - before - _OFTEN_S)
        before = now
