"""A cluster as screens are given it: its rows, and a way to ask it. `Feed` fulfils it; tests have their own."""

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

from orion.client import Client
from orion.tui.store import Store

T = TypeVar("T")


class Stream(Protocol):
    def close(self) -> None:
        """Ends it soon; nothing more of it is told."""


class Cluster(Protocol):
    @property
    def store(self) -> Store: ...

    @property
    def address(self) -> str:
        """The node that is asked now."""

    async def ask(self, call: Callable[[Client], T]) -> T:
        """Returns what the call does, in a thread with a client of its own. Raises OrionError."""

    def stream(
        self, begin: Callable[[Client], Iterator[T]], take: Callable[[T], None], on_end: Callable[[str], None]
    ) -> Stream:
        """Has each item taken, on the app's own loop, in the order in which they came. `on_end` is told at the end:
        "" where it was the stream's own, else why it broke off.
        """
