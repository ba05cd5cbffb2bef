"""The Clock port."""

from typing import Protocol


class Clock(Protocol):
    def now_ms(self) -> int:
        """Returns monotonic time, for waits and timeouts."""

    def wall_ms(self) -> int:
        """Returns Unix time, which is only shown to people and never decides anything."""
