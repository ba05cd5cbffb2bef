"""A response that goes on: logs and events. It ends when its source does, the client hangs up or the node stops."""

import asyncio
import contextlib
import logging
import zlib
from collections.abc import AsyncGenerator

from orion.api.http.asgi import Receive, Scope, Send
from orion.api.http.deadlines import Limits, until_hang_up
from orion.api.http.problems import Mistake, problem
from orion.api.reader import reader_of
from orion.model.errors import OrionError

log = logging.getLogger(__name__)

HEARTBEAT_S = 3.0  # after this much silence: a client that hears none takes the node, or the way to it, for gone
GZIP = 31  # of zlib: gzip's frame, and its largest window


class Stream:
    """`items` as a chunked body. An error before the first item is a problem document; after it the
    connection breaks off, so that nobody takes a part for the whole, unless the stream `ends_cleanly` at any point.

    The head is sent after `patience_s` even when nothing has come yet; `heartbeat` is sent when nothing comes.
    `squeezed`: with gzip, each item so that it can be read as soon as it comes.
    """

    def __init__(
        self,
        limits: Limits,
        items: AsyncGenerator[bytes, None],
        media_type: str,
        *,
        patience_s: float,
        heartbeat: bytes = b"",
        ends_cleanly: bool = False,
        squeezed: bool = False,
    ) -> None:
        self._limits = limits
        self._items = items
        self._patience_s = patience_s
        self._heartbeat = heartbeat
        self._ends_cleanly = ends_cleanly
        self._started = False
        self._gzip = zlib.compressobj(1, wbits=GZIP) if squeezed else None
        self._headers = [
            (b"content-type", media_type.encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
            *([(b"content-encoding", b"gzip")] if squeezed else []),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = await self._run(scope, receive, send)
        if error and not self._started:
            await problem(error)(scope, receive, send)
            return
        if error and not self._ends_cleanly:
            return  # without its last chunk the body is seen to be cut
        await self._start(send)
        rest = b"" if self._gzip is None else self._gzip.flush()
        await send({"type": "http.response.body", "body": rest, "more_body": False})

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> OrionError | None:
        """Sends all items; returns what cut them short."""
        try:
            async with (
                self._limits.limit(None, waits=True) as deadline,
                contextlib.aclosing(self._items),
                until_hang_up(receive, deadline) as group,
            ):
                reader = reader_of(scope)
                watcher = group.create_task(reader.watch()) if reader else None
                try:
                    await self._pump(group, send)
                finally:
                    if watcher is not None:
                        watcher.cancel()
        except OrionError as error:
            return error
        except Exception:
            log.exception("%s %s broke off", scope["method"], scope["path"])
            return Mistake()
        return None

    async def _pump(self, group: asyncio.TaskGroup, send: Send) -> None:
        pause_s: float | None = self._patience_s
        while True:
            step = group.create_task(_next(self._items))
            while not (await asyncio.wait({step}, timeout=pause_s))[0]:
                await self._send(send, self._heartbeat)
                pause_s = HEARTBEAT_S if self._heartbeat else None
            item = step.result()
            if item is None:
                return
            await self._send(send, item)
            pause_s = HEARTBEAT_S if self._heartbeat else None

    async def _start(self, send: Send) -> None:
        if not self._started:
            self._started = True
            await send({"type": "http.response.start", "status": 200, "headers": self._headers})

    async def _send(self, send: Send, item: bytes) -> None:
        await self._start(send)
        if self._gzip is not None:
            item = self._gzip.compress(item) + self._gzip.flush(zlib.Z_SYNC_FLUSH)
        await send({"type": "http.response.body", "body": item, "more_body": True})


async def _next(items: AsyncGenerator[bytes, None]) -> bytes | None:
    return await anext(items, None)
