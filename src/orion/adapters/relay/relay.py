"""The Relay port on sockets."""

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Collection

from orion.adapters.relay.passing import pass_on
from orion.process.loglines import LogThrottle

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 512  # each has two sockets
BACKLOG = 128
AGAIN_S = 10.0  # until a port that somebody else has is tried again
QUIET_S = 3_600.0
_NO_IPV6 = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})


class SocketRelay:
    """At most MAX_CONNECTIONS at a time; what is beyond is closed at once."""

    def __init__(self) -> None:
        self._wanted: frozenset[int] = frozenset()
        self._servers: dict[int, asyncio.Server] = {}
        self._changed = asyncio.Event()
        self._open = 0
        self._told = LogThrottle(QUIET_S, 8)

    def keep(self, ports: Collection[int]) -> None:
        if (wanted := frozenset(ports)) != self._wanted:
            self._wanted = wanted
            self._changed.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            try:
                while True:
                    self._changed.clear()
                    await self._follow(group)
                    lacks = not self._wanted <= self._servers.keys()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(AGAIN_S if lacks else None):
                            await self._changed.wait()
            finally:
                for port in list(self._servers):
                    self._servers.pop(port).close()

    async def _follow(self, group: asyncio.TaskGroup) -> None:
        for port in self._servers.keys() - self._wanted:
            self._servers.pop(port).close()
        for port in sorted(self._wanted - self._servers.keys()):
            try:
                sock = _listening(port)
            except OSError as error:
                if error.errno not in _NO_IPV6 and self._told.is_due(str(port), asyncio.get_running_loop().time()):
                    log.info("port %d is not open for clients by IPv6: %s", port, error.strerror or error)
                continue

            def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int = port) -> None:
                if self._open >= MAX_CONNECTIONS or port not in self._servers:
                    writer.transport.abort()
                    return
                self._open += 1
                group.create_task(self._serve(reader, writer, port))

            self._servers[port] = await asyncio.start_server(accept, sock=sock, backlog=BACKLOG)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        try:
            await pass_on(reader, writer, port)
        finally:
            self._open -= 1


def _listening(port: int) -> socket.socket:
    """For IPv6 alone: connections by IPv4 are the kernel's, or some program's. Raises OSError."""
    sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(("::", port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock
