"""Calls of a screen, or of the app, after a while."""

import asyncio
from collections.abc import Callable

from textual.message_pump import MessagePump


class Later:
    """Calls once, between two messages of `pump`, after so many seconds at the soonest.

    Textual's own timer is not used for one call: where the process has no processor for longer than its interval
    just as it begins, it takes the call for one that was missed, and never makes it.
    """

    def __init__(self, pump: MessagePump, seconds: float, call: Callable[[], None]) -> None:
        self._pump = pump
        self._call = call
        self._cancelled = False
        self._handle = asyncio.get_running_loop().call_later(seconds, self._is_over)

    def cancel(self) -> None:
        """It is never called from now on."""
        self._cancelled = True
        self._handle.cancel()

    def _is_over(self) -> None:
        self._pump.call_next(self._in_turn)

    def _in_turn(self) -> None:
        if not self._cancelled:  # since it was over
            self._call()
