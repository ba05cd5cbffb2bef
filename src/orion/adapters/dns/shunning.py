"""Has the kernel drop all that floods come from, for a while."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Sequence

from orion.adapters.dns.rates import SHUN_S, Rates
from orion.adapters.dns.source_filter import set_dropped
from orion.process.loglines import LogThrottle

log = logging.getLogger(__name__)

QUIET_S = 3_600.0
MAX_TOLD = 8


class Shunning:
    def __init__(self, sockets: Sequence[socket.socket], rates: Rates) -> None:
        self._sockets = sockets
        self._rates = rates
        self._told = LogThrottle(QUIET_S, MAX_TOLD)
        self._timer: asyncio.TimerHandle | None = None

    def look(self) -> None:
        """Cheap, and to be called where queries are dropped."""
        if self._timer is not None:
            return
        loop = asyncio.get_running_loop()
        floods = self._rates.take_floods(loop.time())
        if not floods:
            return
        self._set_dropped(floods)
        self._timer = loop.call_later(SHUN_S, self._hear_all)
        for client in floods:
            if self._told.is_due(client, loop.time()):
                log.warning(
                    "%s asks for more names than it is given answers, and is not heard for %g s each time",
                    client,
                    SHUN_S,
                )

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _hear_all(self) -> None:
        self._timer = None
        self._set_dropped([])

    def _set_dropped(self, clients: list[str]) -> None:
        for sock in self._sockets:
            # Where there are no such filters the excess is read and dropped, which costs more.
            with contextlib.suppress(OSError):
                set_dropped(sock, [socket.inet_pton(sock.family, each.partition("%")[0]) for each in clients])
