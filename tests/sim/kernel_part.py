"""A part of one machine's kernel, which outlives the node's processes. Others tamper with it."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Generic, TypeVar

T = TypeVar("T")


class KernelPart(Generic[T]):
    def __init__(self) -> None:
        self.applied: T | None = None
        self.whole = True  # False once somebody has taken a part of it away
        self._listening: set[asyncio.Event] = set()

    def put(self, rules: T | None) -> None:
        self.applied, self.whole = rules, True
        self._tell()

    def tamper(self) -> None:
        """As whoever flushes all, or deletes one rule."""
        self.whole = False
        self._tell()

    async def changes(self) -> AsyncGenerator[None, None]:
        changed = asyncio.Event()
        self._listening.add(changed)
        try:
            yield
            while True:
                await changed.wait()
                changed.clear()
                yield
        finally:
            self._listening.discard(changed)

    def _tell(self) -> None:
        for each in self._listening:
            each.set()


class SparsePart(KernelPart[T]):
    """Where nothing is to be there, nothing can be taken away."""

    def tamper(self) -> None:
        self.whole = self.applied is None
        self._tell()
