"""Connections that this node opens."""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncGenerator, Callable
from typing import Any, TypeVar

from orion.adapters.peers.connection import Connection
from orion.adapters.peers.handshake import Greeter, ThrottledLog
from orion.adapters.peers.tls import Tls
from orion.model.errors import TooLarge, Unavailable
from orion.model.node import address_parts, hosts_meant
from orion.wire.envelopes import LANE_STREAM
from orion.wire.frames import FrameError, Kind, encode_frame

P = TypeVar("P", bound=asyncio.Protocol)

DIAL_TIMEOUT_S = 2.0  # connect and hello together; a lost SYN is sent again after 1 s


class Dialler:
    """Opens connections. `on_lost` gets every address where a connection was refused or broke."""

    def __init__(
        self,
        greeter: Greeter,
        throttled: ThrottledLog,
        opened: Callable[[Connection], None],
        on_lost: Callable[[str], None],
        tls: Tls | None = None,
    ) -> None:
        self._greeter = greeter
        self._log = throttled
        self._opened = opened
        self._on_lost = on_lost
        self._tls = tls

    async def dial(self, address: str, lane: str) -> Connection:
        """Returns a connection whose hellos are exchanged. Raises Unavailable."""
        connection: Connection | None = None
        try:
            async with asyncio.timeout(DIAL_TIMEOUT_S):
                connection = await connect(
                    lambda: Connection(self._greeter, self._log, self._opened, lane), address, self._tls
                )
                await connection.greeted()
        except BaseException as error:
            if connection is not None:
                connection.abort()
            if isinstance(error, ConnectionRefusedError):
                self._on_lost(address)
            if isinstance(error, (OSError, ValueError)):  # TimeoutError is an OSError
                raise unavailable(address, error) from None
            raise
        made = connection
        made.over.add_done_callback(lambda _: None if made.closed_here else self._on_lost(address))
        return made

    @contextlib.asynccontextmanager
    async def asked(self, address: str, kind: Kind, request: bytes) -> AsyncGenerator[Connection, None]:
        """A connection for one stream, on which `request` is sent. It ends with the block. Raises Unavailable, and
        TooLarge for a request that no frame holds.
        """
        try:
            opening = encode_frame(kind, request)
        except FrameError as error:
            raise TooLarge(f"the request is too large: {error}") from None
        connection = await self.dial(address, LANE_STREAM)
        try:
            connection.write(opening)
            yield connection
        finally:
            connection.abort()


def unavailable(address: str, error: Exception) -> Unavailable:
    """Returns an Unavailable that says why there is no connection to the address."""
    if isinstance(error, TimeoutError):
        return Unavailable(f"{address} does not answer")
    if isinstance(error, ConnectionRefusedError):
        return Unavailable(f"{address} refuses connections: no node listens there")
    return Unavailable(f"{address} can't be reached: {error}")


async def connect(make: Callable[[], P], address: str, tls: Tls | None = None) -> P:
    """Returns the protocol of a new connection. Raises ValueError when `address` is none, ConnectionRefusedError
    when any of the host's addresses refuses and none accepts, else OSError.
    """
    host, port = address_parts(address)
    loop = asyncio.get_running_loop()
    context, name = (tls.client, host) if tls is not None else (None, None)
    failure: OSError = OSError("it has no address")
    for ip in await resolve(host):
        try:
            # As bytes, for the reason in api/http/server.py.
            host_bytes: Any = ip.encode()
            _, protocol = await loop.create_connection(make, host_bytes, port, ssl=context, server_hostname=name)
        except OSError as error:
            if not isinstance(failure, ConnectionRefusedError):
                failure = error
        else:
            return protocol
    raise failure


async def resolve(host: str) -> list[str]:
    """Returns the host's IP addresses. Raises OSError for a name that has none."""
    found: list[str] = []
    for meant in hosts_meant(host):
        try:
            ipaddress.ip_address(meant)
        except ValueError:
            infos = await asyncio.get_running_loop().getaddrinfo(meant, None, type=socket.SOCK_STREAM)
            found += [str(info[4][0]) for info in infos]
        else:
            found.append(meant)
    return found
