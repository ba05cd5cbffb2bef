"""A real server on a unix socket that answers each request with the bytes that it was given for it."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter
Reply = bytes | Callable[[Reader, Writer], Awaitable[None]]


class Scripted:
    """`replies` are taken one after the other, whichever connection a request comes by. Bytes are written `step` at
    a time, and the connection stays open. A function does as it likes, and the connection ends with it.
    """

    def __init__(self, socket: Path, replies: Sequence[Reply], step: int) -> None:
        self.socket = str(socket)
        self.requests: list[bytes] = []
        self.connections = 0
        self.open = 0
        self._replies = list(replies)
        self._step = step
        self._changed = asyncio.Event()

    async def until_none_is_open(self) -> None:
        while self.open:
            self._changed.clear()
            await self._changed.wait()

    async def serve(self, reader: Reader, writer: Writer) -> None:
        self.connections += 1
        self.open += 1
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError), contextlib.closing(writer):
                while await self._answer(reader, writer):
                    pass
        finally:
            self.open -= 1
            self._changed.set()

    async def _answer(self, reader: Reader, writer: Writer) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: ([0-9]+)", head)
        self.requests.append(head + (await reader.readexactly(int(length[1])) if length else b""))
        reply = self._replies.pop(0)
        if not isinstance(reply, bytes):
            await reply(reader, writer)
            return False
        for begin in range(0, len(reply), self._step):
            writer.write(reply[begin : begin + self._step])
            await asyncio.sleep(0)  # so that it leaves alone
        return True


@contextlib.asynccontextmanager
async def scripted(socket: Path, *replies: Reply, step: int = 1 << 20) -> AsyncIterator[Scripted]:
    served: set[asyncio.Task[None] | None] = set()
    script = Scripted(socket, replies, step)

    async def serve(reader: Reader, writer: Writer) -> None:
        served.add(asyncio.current_task())
        await script.serve(reader, writer)

    server = await asyncio.start_unix_server(serve, socket, limit=1 << 20)
    try:
        yield script
    finally:
        server.close()
        for runner in served:
            if runner is not None:
                runner.cancel()
        await asyncio.gather(*filter(None, served), return_exceptions=True)
