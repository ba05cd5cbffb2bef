"""What a run must have shown to prove anything: that the cluster went on under its faults, and that what it
answered could be judged. Not how fast it is: a tenth of what two busy cores have shown is enough.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from chaos.faults import KINDS
from support.linearizable import Verdict

# A fault may take the majority away for as long as it lasts; then come an election and clients that still wait.
LONGEST_SILENCE_S = max(kind.seconds[1] for kind in KINDS.values()) + 20


class Floor(NamedTuple):
    what: str
    kinds: tuple[str, ...]  # of operation, as the clients count them
    per_s: float


# An hour at 78abef9 had 11, 7.5, 1.8 and 2.7 a second. Reads that go on must not make up for writes that don't.
FLOORS = (
    Floor("writes of /configs", ("put config", "compare and set config", "delete config"), 1.1),
    Floor("reads of /configs", ("get config",), 0.75),
    Floor("writes of /tasks", ("create task", "create task, static port", "delete task"), 0.18),
    Floor("reads of /tasks", ("read task", "read all tasks"), 0.27),
)


class Gap:
    """How long something did not come, at the most, from when this is made on. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._came_at = clock()
        self._longest_s = 0.0

    def came(self) -> None:
        with self._lock:
            now = self._clock()
            self._longest_s = max(self._longest_s, now - self._came_at)
            self._came_at = now

    @property
    def longest_s(self) -> float:
        """With the one that goes on now."""
        with self._lock:
            return max(self._longest_s, self._clock() - self._came_at)


def standstill(operations: Mapping[tuple[str, str], int], seconds: float, silence_s: float) -> list[str]:
    """What is missing of progress in so many seconds of faults. `operations` are by (kind, outcome), as Counts has
    them; `silence_s` is the longest time without an acknowledged write.
    """
    missing = []
    for what, kinds, per_s in FLOORS:
        # Of a silence that is allowed nothing is asked, but any run must show each at least once.
        least = max(1, int(per_s * (seconds - LONGEST_SILENCE_S)))
        done, failed, unknown = (
            sum(operations.get((kind, outcome), 0) for kind in kinds) for outcome in ("done", "failed", "unknown")
        )
        if done < least:
            missing.append(
                f"at least {least} {what} done in {seconds:g} s of faults were expected;"
                f" {done} were, {failed} failed, {unknown} are unknown"
            )
    if silence_s > LONGEST_SILENCE_S:
        missing.append(
            f"an acknowledged write was expected at least every {LONGEST_SILENCE_S:g} s;"
            f" there was none anywhere in the cluster for {silence_s:.1f} s"
        )
    return missing


def unjudged(verdicts: Sequence[Verdict]) -> list[str]:
    """What is missing of the judgement of histories."""
    tangled = [verdict.key for verdict in verdicts if verdict.explained is None]
    missing = []
    if tangled:
        missing.append(
            f"every history was expected to be judged; {len(tangled)} of {len(verdicts)}"
            f" were too tangled: {', '.join(tangled)}"
        )
    if len(tangled) == len(verdicts):
        missing.append(f"at least one judged history was expected; there was none, of {len(verdicts)}")
    return missing
