"""One read barrier for all who want one: they pass the next together, once the one before has been passed."""

import asyncio

from orion.node.consensus.driver import RaftDriver
from orion.node.runtime.turnstile import Outcome, Turnstile


class Barrier:
    """Hundreds of reads that go on in one turn of the loop hold it, so they leave through a turnstile."""

    def __init__(self, driver: RaftDriver) -> None:
        self._driver = driver
        self._turn = asyncio.Lock()
        self._next: Outcome[int] | None = None  # to be joined: it has not begun
        self._ways_out = Turnstile()

    async def passed(self) -> int:
        """As RaftDriver.read_barrier. The deadline is the caller's."""
        while True:
            if (following := self._next) is None:
                return await self._lead()
            if (index := await following.wait()) is not None:
                return index

    async def _lead(self) -> int:
        mine = self._next = Outcome[int](self._ways_out)
        try:
            return await mine.find(self._pass())
        finally:
            if self._next is mine:
                self._next = None

    async def _pass(self) -> int:
        async with self._turn:
            self._next = None
            return await self._driver.read_barrier()
