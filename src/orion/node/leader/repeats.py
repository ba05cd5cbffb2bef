"""A duty's last decisions. One that is carried out and changes nothing would be made again at each look, and be
written to the log each time.
"""

from typing import Generic, TypeVar

SAME_AGAIN_MS = 1_000  # until the same is decided again all the same

K = TypeVar("K")
D = TypeVar("D")


class Repeats(Generic[K, D]):
    def __init__(self) -> None:
        self._last: dict[K, D] = {}

    def forget(self, key: K) -> None:
        """Nothing is to be done there."""
        self._last.pop(key, None)

    def is_one(self, key: K, decision: D) -> bool:
        """Returns whether it is what was decided last. It is not the time after, so that it is tried again."""
        if self._last.get(key) == decision:
            del self._last[key]
            return True
        self._last[key] = decision
        return False
