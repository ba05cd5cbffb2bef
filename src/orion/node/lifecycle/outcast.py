"""A node that learns that it has no place in its cluster ends, and says why."""

import asyncio

from orion.model.errors import Refused


class Outcast:
    def __init__(self) -> None:
        self._cast_out = asyncio.Event()
        self._why = ""

    @property
    def is_cast_out(self) -> bool:
        return self._cast_out.is_set()

    def cast_out(self, why: str) -> None:
        self._why = why
        self._cast_out.set()

    async def run(self) -> None:
        """Raises Refused once the node is cast out."""
        await self._cast_out.wait()
        raise Refused(self._why)
