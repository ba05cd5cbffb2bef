"""Whether anybody still reads a response that goes on: only the kernel can tell, for what was sent waits in it."""

import asyncio
import logging
from typing import cast

from starlette.types import Scope

from orion.tcp_info import Socket, tcp_info

log = logging.getLogger(__name__)

LOOK_S = 2.0
# A reader may stop for a while (Ctrl-S, a pager) and go on. Of one that has stopped for so long nobody knows
# whether it ever will; a client of ours goes on by itself where it was.
STOPPED_S = 900.0

_KEY = "orion.reader"


class Reader:
    """The other end of a connection."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def offer(self, scope: Scope) -> None:
        """Makes it known to who answers the request."""
        scope.setdefault("extensions", {})[_KEY] = self

    async def watch(self) -> None:
        """Breaks the connection once its host is gone, or it has taken nothing of what waits for STOPPED_S. Whoever
        answers sees it as any that was hung up.
        """
        sock = cast("Socket | None", self._transport.get_extra_info("socket"))
        loop = asyncio.get_running_loop()
        taken, since = -1, loop.time()
        while sock is not None and (told := tcp_info(sock)) is not None:
            if told.taken_bytes != taken or not self._transport.get_write_buffer_size():
                taken, since = told.taken_bytes, loop.time()
            if told.gone or loop.time() - since >= STOPPED_S:
                log.info("dropped a reader that %s", "is gone" if told.gone else "has stopped reading")
                self._transport.abort()
                return
            await asyncio.sleep(LOOK_S)


def reader_of(scope: Scope) -> Reader | None:
    reader: Reader | None = scope.get("extensions", {}).get(_KEY)
    return reader
