"""A bell for one runner. It costs less than asyncio.Event, and each node's core waits for it at every message."""

import asyncio


class Bell:
    def __init__(self) -> None:
        self._rung = False
        self._waiting: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """Has the runner go on in the next turn of the loop, or at once the next time that it waits."""
        self._rung = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def rung(self) -> None:
        """Returns once the bell has been rung since the last return."""
        if not self._rung:
            assert self._waiting is None, "a bell has one runner"
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None
        self._rung = False
