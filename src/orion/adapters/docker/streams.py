"""Bodies that are read as they come: pieces, and JSON objects line by line."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import msgspec

from orion.adapters.docker.http import Answer
from orion.model.errors import EngineError

MAX_LINE_BYTES = 1024 * 1024

Lateness = Callable[[float], EngineError]  # from the deadline in seconds


def _silent(silence_s: float) -> EngineError:
    return EngineError(f"the Docker Engine stopped in the middle of an answer for {silence_s:.0f} s")


async def pieces(answer: Answer, silence_s: float | None, late: Lateness = _silent) -> AsyncGenerator[bytes, None]:
    """Yields the body. Raises what `late` gives after `silence_s` without a byte; None waits for ever."""
    while True:
        try:
            async with asyncio.timeout(silence_s):
                piece = await answer.piece()
        except TimeoutError as error:
            raise late(silence_s or 0.0) from error
        if not piece:
            return
        yield piece


async def json_lines(body: AsyncIterator[bytes]) -> AsyncGenerator[dict[str, Any], None]:
    lines = JsonLines()
    async for piece in body:
        for value in lines.feed(piece):
            yield value


class JsonLines:
    """JSON, a value a line, out of pieces that are cut anywhere."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, piece: bytes) -> list[dict[str, Any]]:
        """Returns the values of the lines that have come to their end."""
        self._pending += piece
        end = self._pending.rfind(b"\n") + 1
        whole = bytes(self._pending[:end])
        del self._pending[:end]
        if len(self._pending) > MAX_LINE_BYTES:
            raise EngineError(f"the Docker Engine sent a line of more than {MAX_LINE_BYTES} bytes")
        return [_value(line) for line in whole.split(b"\n") if line.strip()]


def _value(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except ValueError as error:
        raise EngineError(f"the Docker Engine sent what is no JSON: {line[:80]!r}") from error
