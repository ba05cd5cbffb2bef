"""Streams of a client, each in a thread of its own, given to the app's loop in batches."""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from orion.client import Client
from orion.model.errors import OrionError

T = TypeVar("T")

MOST = 2_000  # items that wait for the loop; the thread, and so the node, waits with more
PATIENCE_S = 0.5  # so often a thread that waits looks whether anybody is still interested


class Handover(Generic[T]):
    """Items from one thread to the loop, in their order, with one call for all that have come meanwhile."""

    def __init__(self, loop: asyncio.AbstractEventLoop, take: Callable[[list[T]], None]) -> None:
        self._loop = loop
        self._take = take
        self._context = contextvars.copy_context()  # Textual keeps there which app it is
        self._room = threading.Condition()
        self._waiting: list[T] = []
        self._called = False
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        with self._room:
            self._closed = True
            self._waiting.clear()
            self._room.notify_all()

    def give(self, items: list[T]) -> bool:
        """Called in the thread. False: nobody takes any more."""
        with self._room:
            while len(self._waiting) >= MOST and not self._closed:
                self._room.wait(PATIENCE_S)
            if self._closed:
                return False
            self._waiting += items
            if self._called:
                return True
            self._called = True
        try:
            self._loop.call_soon_threadsafe(self._drain, context=self._context)
        except RuntimeError:  # the loop has ended
            return False
        return True

    def _drain(self) -> None:
        with self._room:
            items, self._waiting, self._called = self._waiting, [], False
            self._room.notify_all()
        if items and not self._closed:
            self._take(items)


class Following(Generic[T]):
    """Fulfils cluster.Stream. `on_end` is told "" at the stream's own end, else why it broke off."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        addresses: str,
        begin: Callable[[Client], Iterator[T]],
        take: Callable[[T], None],
        on_end: Callable[[str], None],
    ) -> None:
        self._addresses = addresses
        self._begin = begin
        self._each = take
        self._on_end = on_end
        self._items: Handover[tuple[bool, T | str]] = Handover(loop, self._taken)
        threading.Thread(target=self._follow, name="stream", daemon=True).start()

    def close(self) -> None:
        """Nothing more is told. The thread ends with the next item, or once the node is silent for too long."""
        self._items.close()

    def _taken(self, items: list[tuple[bool, T | str]]) -> None:
        for ends, item in items:
            if self._items.closed:
                return
            if ends:
                self._items.close()
                self._on_end(str(item))
            else:
                self._each(item)  # type: ignore[arg-type]

    def _follow(self) -> None:
        why = ""
        try:
            with Client(self._addresses) as client:
                for item in self._begin(client):
                    if not self._items.give([(False, item)]):
                        return
        except OrionError as error:
            why = error.detail
        self._items.give([(True, why)])
