"""A thread that reads or writes a file, and a loop that has the other end: what is between them is bounded."""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import IO

_PIECE = 256 * 1024
_PIPE = 1024 * 1024  # bytes between the two
_F_SETPIPE_SZ = 1031


def _pipe() -> tuple[int, int]:
    ends = os.pipe()
    with contextlib.suppress(OSError):  # a user may not have so much: it is slower
        fcntl.fcntl(ends[1], _F_SETPIPE_SZ, _PIPE)
    return ends


async def written_by(work: Callable[[IO[bytes]], None]) -> AsyncGenerator[bytes, None]:
    """Yields all that `work` writes, in a thread. Raises what it raises, at the end."""
    ours, theirs = _pipe()

    def run() -> None:
        with os.fdopen(theirs, "wb") as out:
            work(out)

    running = asyncio.get_running_loop().run_in_executor(None, run)
    try:
        while piece := await asyncio.to_thread(os.read, ours, _PIECE):
            yield piece
        await running
    finally:
        os.close(ours)  # who still writes is told so
        await asyncio.gather(running, return_exceptions=True)


async def read_by(work: Callable[[IO[bytes]], None], pieces: AsyncIterator[bytes]) -> None:
    """Has `work` read all of `pieces`, in a thread. Raises what it raises."""
    theirs, ours = _pipe()

    def run() -> None:
        with os.fdopen(theirs, "rb") as source:
            work(source)

    running = asyncio.get_running_loop().run_in_executor(None, run)
    try:
        try:
            async for piece in pieces:
                await asyncio.to_thread(_write_all, ours, piece)
        except BrokenPipeError:  # it has read enough, or failed: it says so itself
            pass
        finally:
            os.close(ours)
        await running
    finally:
        await asyncio.gather(running, return_exceptions=True)


def _write_all(end: int, piece: bytes) -> None:
    left = memoryview(piece)
    while left:
        left = left[os.write(end, left) :]
