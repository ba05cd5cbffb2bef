"""Notices that nobody reads a response that goes on. Only the kernel can tell, for what was sent waits in it."""

import asyncio
import logging
from typing import cast

from orion.api.http.asgi import Scope
from orion.process.tcp_info import Socket, TcpInfo, tcp_info

log = logging.getLogger(__name__)

LOOK_S = 2.0
# A reader may stop for a while (Ctrl-S, a pager) and go on. Of one that has stopped for so long nobody knows
# whether it ever will; a client of ours goes on by itself where it was.
STOPPED_S = 900.0
# Less than this, in that time, is as good as nothing.
LEAST_TAKEN_BYTES = 16 * 1024

_KEY = "orion.reader"


class Reader:
    """The other end of a connection."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def offer(self, scope: Scope) -> None:
        """Makes it known to who answers the request."""
        scope.setdefault("extensions", {})[_KEY] = self

    def taken_bytes(self) -> int:
        """How much it has acknowledged ever; 0 once the connection is closed."""
        told = self._told()
        return told.taken_bytes if told is not None else 0

    def hung_up(self) -> bool:
        told = self._told()
        return told is not None and told.hung_up

    async def watch(self) -> None:
        """Breaks the connection once its host is gone, or it has hardly taken anything of what waits for STOPPED_S.
        Whoever answers sees it as any that was hung up.
        """
        loop = asyncio.get_running_loop()
        taken, since = 0, loop.time()
        while (told := self._told()) is not None:
            reads = told.taken_bytes - taken >= LEAST_TAKEN_BYTES
            if reads or not self._transport.get_write_buffer_size():
                taken, since = told.taken_bytes, loop.time()
            if told.gone or loop.time() - since >= STOPPED_S:
                log.info("dropped a reader that %s", "is gone" if told.gone else "has stopped reading")
                self._transport.abort()
                return
            await asyncio.sleep(LOOK_S)

    def _told(self) -> TcpInfo | None:
        sock = cast("Socket | None", self._transport.get_extra_info("socket"))
        return tcp_info(sock) if sock is not None else None


def reader_of(scope: Scope) -> Reader | None:
    reader: Reader | None = scope.get("extensions", {}).get(_KEY)
    return reader
