"""The NameServer port on sockets."""

import asyncio
import errno
import socket
from collections.abc import Coroutine
from typing import Any

from orion.adapters.dns.desk import Desk
from orion.adapters.dns.forwarder import Forwarder
from orion.adapters.dns.lanes import Lanes
from orion.adapters.dns.resolvers import Resolvers
from orion.adapters.dns.shunning import Shunning
from orion.adapters.dns.sockets import BACKLOG, open_both
from orion.adapters.dns.streams import Streams
from orion.model.errors import Unavailable
from orion.model.node import address_text
from orion.ports.dns import NameCounts, Resolve
from orion.wire.dns.query import MAX_QUERY_BYTES

PORT = 53

_WHY = {
    errno.EADDRINUSE: "another program has it; one that answers on all addresses of this machine (dnsmasq, named) "
    "has to be told which are its own",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EACCES: "it takes root, or CAP_NET_BIND_SERVICE",
}


class DnsServer:
    def __init__(self, resolve: Resolve, resolvers: Resolvers, port: int = PORT) -> None:
        """`port` 0 takes a free one."""
        self.counts = NameCounts()
        self.port = port
        self._forwarder = Forwarder(resolvers)
        self._desk = Desk(resolve, self._forwarder, self.counts)
        self._sockets: tuple[socket.socket, socket.socket] | None = None

    def open(self, host: str) -> None:
        try:
            self._sockets = open_both(host, self.port)
        except OSError as error:
            why = _WHY.get(error.errno or 0, error.strerror or str(error))
            raise Unavailable(f"DNS for containers can't have {address_text(host, self.port)}: {why}") from None
        place = self._sockets[0].getsockname()
        self.port = place[1]
        self._forwarder.never(place[:2])

    async def run(self) -> None:
        if self._sockets is None:
            raise RuntimeError("a server is opened before it runs")
        udp, tcp = self._sockets
        with udp, tcp:
            async with asyncio.TaskGroup() as group:
                shunning = Shunning((udp, tcp), self._desk.rates)
                spawn = _Spawner(group)
                lanes = Lanes(udp, self._desk, shunning, spawn)
                streams = Streams(self._desk, shunning, spawn)
                server = await asyncio.start_server(
                    streams.accept, sock=tcp, backlog=BACKLOG, limit=2 * MAX_QUERY_BYTES
                )
                lanes.start()
                try:
                    await asyncio.get_running_loop().create_future()
                finally:
                    spawn.ended = True
                    lanes.stop()
                    shunning.stop()
                    server.close()


class _Spawner:
    """Starts runners until the end. What is accepted while all end is not begun any more."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self.ended = False
        self._group = group

    def __call__(self, work: Coroutine[Any, Any, None]) -> None:
        if self.ended:
            work.close()
        else:
            self._group.create_task(work)
