"""One timer that rings at the earliest of the times it was asked for."""

import asyncio
from collections.abc import Callable

from orion.ports.clock import Clock


class Alarm:
    """Calls `ring` once when it goes off; its owner then checks what is due and sets it anew.

    `set` only moves it to an earlier time. Most deadlines are pushed back before they are due, which costs nothing.
    """

    def __init__(self, clock: Clock, ring: Callable[[], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._due_ms: int | None = None
        self._handle: asyncio.Handle | None = None

    def set(self, due_ms: int) -> None:
        if self._due_ms is not None and self._due_ms <= due_ms:
            return
        self.cancel()
        self._due_ms = due_ms
        wait_s = max(0, due_ms - self._clock.now_ms()) / 1000
        self._handle = asyncio.get_running_loop().call_later(wait_s, self._go_off)

    def cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._due_ms = None

    def _go_off(self) -> None:
        self._handle = self._due_ms = None
        self._ring()
