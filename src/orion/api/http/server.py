"""The HTTP server: listening sockets, bound before anything else starts, and the connections that they take."""

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Sequence

from orion.api.app import App
from orion.api.http.connection import Connection
from orion.api.http.connections import FILES_FOR_EACH, MAX_CONNECTIONS, Connections
from orion.model.errors import Refused
from orion.model.node import address_text, hosts_meant
from orion.process.fd_limits import connections
from orion.process.tcp_info import keep_alive

log = logging.getLogger(__name__)

BACKLOG = 512
SEND_BUFFER_BYTES = 128 * 1024  # of one connection; Linux takes twice as much
KEEP_ALIVE_S = 75  # longer than clients think about their next request
WORK_GRACE_S = 1.0  # a request under way when the node stops
CLOSE_S = 2  # until connections that don't read their answers are dropped


def listen(host: str, port: int) -> list[socket.socket]:
    """Listening sockets, two where the host is `localhost`; `port` 0 takes a free one. Raises Refused that names
    the flag to change.
    """
    listeners: list[socket.socket] = []
    for meant in hosts_meant(host):
        try:
            listeners.append(_listener(meant, port))
        except Refused as error:
            if not listeners:
                raise
            # This machine has the other family switched off, or the port is another's there: one is enough.
            log.warning("not reachable at %s: %s", address_text(meant, port), error.detail)
        port = port or listeners[0].getsockname()[1]
    return listeners


def _listener(host: str, port: int) -> socket.socket:
    try:
        # As bytes: of a text Python would first make an international name, with all that it loads for that.
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.encode(), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise Refused(f"can't listen on {host}: {error.strerror}; name another address with --bind") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keep_alive(listener)  # inherited by connections: a watcher's machine that vanished is noticed
        # So too: what a client has yet to take waits here, where it is counted, and not in the kernel.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        listener.bind(address)
        # Only a socket that listens keeps a second process from binding the same address.
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise Refused(_why_not(host, port, error)) from None
    listener.setblocking(False)
    return listener


def _why_not(host: str, port: int, error: OSError) -> str:
    where = address_text(host, port)
    match error.errno:
        case errno.EADDRINUSE:
            return f"{where} is taken by another program: choose another port with --port"
        case errno.EACCES:
            return f"{where} may only be used by root: choose a port above 1023 with --port"
        case errno.EADDRNOTAVAIL:
            return f"{host} is not an address of this machine: name one that is with --bind"
        case _:
            return f"can't listen on {where}: {error.strerror}"


class Server:
    """Serves `app` on `listeners`, which it closes at the end."""

    def __init__(self, app: App, listeners: Sequence[socket.socket]) -> None:
        self.connections = Connections(connections(FILES_FOR_EACH, most=MAX_CONNECTIONS))
        self._app = app
        self._listeners = list(listeners)
        self._stopped = asyncio.Event()

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._listeners[0].getsockname()[:2]
        return str(host), int(port)

    def stop(self) -> None:
        """`serve` returns soon: waits and streams end at once, other requests within a second."""
        self._app.limits.end_waits()
        self._stopped.set()

    async def serve(self) -> None:
        """Returns after `stop`. Cancelled, it drops what is under way."""
        try:
            async with contextlib.AsyncExitStack() as stack:
                for listener in self._listeners:
                    stack.callback(listener.close)
                for listener in self._listeners:
                    server = await asyncio.get_running_loop().create_server(
                        self._connection, sock=listener, backlog=BACKLOG
                    )
                    stack.callback(server.close)
                await self._stopped.wait()
        except asyncio.CancelledError:
            self._app.limits.end_all()
            raise
        finally:
            await self._end()

    def _connection(self) -> Connection:
        return Connection(self._app, self.connections, KEEP_ALIVE_S)

    async def _end(self) -> None:
        self._app.limits.end_waits()
        last_call = asyncio.get_running_loop().call_later(WORK_GRACE_S, self._app.limits.end_all)
        try:
            await self.connections.end(CLOSE_S)
        finally:
            last_call.cancel()
