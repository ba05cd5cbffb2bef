"""Deadlines of waits, with words for an error."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from orion.model.errors import Unavailable


@asynccontextmanager
async def deadline(seconds: float, words: str) -> AsyncGenerator[None, None]:
    """Raises Unavailable when the block takes longer, in these words: "no quorum answers" within 5 s."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise Unavailable(f"{words} within {seconds:g} s") from None
