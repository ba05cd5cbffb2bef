"""Turns of volumes: one call of a storage plugin in flight for each, of all that duties of this leader make."""

from collections.abc import Callable


class VolumeTurns:
    """`on_end` is told of each turn that ends, so that who waited for it looks again."""

    def __init__(self, on_end: Callable[[], None] = lambda: None) -> None:
        self._taken: set[str] = set()
        self._on_end = on_end

    def begin(self, volume: str) -> bool:
        """Returns False while somebody else has the turn. Who begins one ends it."""
        if volume in self._taken:
            return False
        self._taken.add(volume)
        return True

    def end(self, volume: str) -> None:
        self._taken.discard(volume)
        self._on_end()
