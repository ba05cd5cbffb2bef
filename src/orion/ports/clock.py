"""Time."""

from typing import Protocol


class Clock(Protocol):
    def now_ms(self) -> int:
        """Monotonic; for waits and timeouts."""

    def wall_ms(self) -> int:
        """Unix time; only to be shown to people, never to decide."""
