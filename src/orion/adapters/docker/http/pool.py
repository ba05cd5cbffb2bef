"""Connections to one server: made when they are needed, and a few that are idle kept for a while."""

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING

from orion.adapters.docker.http.address import Address, Tls
from orion.adapters.docker.http.channel import Channel

if TYPE_CHECKING:
    import ssl

MOST_IDLE = 8
IDLE_S = 15.0
CONNECT_S = 10.0  # for name, connection and handshake


class CertificatesUnusable(Exception):
    """The files that TLS needs are missing or damaged."""


class ConnectionFailed(ConnectionError):
    """There is no connection, for a reason that has no number."""


class Pool:
    """There is no limit on connections in use: who reads a stream must not keep others from asking."""

    def __init__(
        self, address: Address, *, most_idle: int = MOST_IDLE, idle_s: float = IDLE_S, connect_s: float = CONNECT_S
    ) -> None:
        self._address = address
        self._most_idle = most_idle
        self._idle_s = idle_s
        self._connect_s = connect_s
        self._idle: deque[tuple[Channel, asyncio.TimerHandle]] = deque()  # longest first
        self._channels: set[Channel] = set()
        self._tls: ssl.SSLContext | None = None
        self._closed = False

    def idle(self) -> Channel | None:
        """Returns the connection that was used last, if any. Those that the server has closed are dropped."""
        while self._idle:
            channel, timer = self._idle.pop()
            timer.cancel()
            if channel.usable:
                return channel
            self.drop(channel)
        return None

    def give_back(self, channel: Channel) -> None:
        """Keeps it if another exchange may begin on it."""
        if not channel.usable or channel not in self._channels:
            self.drop(channel)
            return
        timer = asyncio.get_running_loop().call_later(self._idle_s, self._expired, channel)
        self._idle.append((channel, timer))
        if len(self._idle) > self._most_idle:
            longest, timer = self._idle.popleft()
            timer.cancel()
            self.drop(longest)

    def drop(self, channel: Channel) -> None:
        self._channels.discard(channel)
        channel.abort()

    async def connect(self) -> Channel:
        """A new connection. Raises OSError, and CertificatesUnusable."""
        if self._address.tls is not None and self._tls is None:
            self._tls = await asyncio.to_thread(_tls_context, self._address.tls)
        try:
            async with asyncio.timeout(self._connect_s):
                channel = await self._connected()
        except TimeoutError as error:
            why = f"no connection within {self._connect_s:.0f} s" if error.errno is None else str(error)
            raise ConnectionFailed(why) from None
        self._channels.add(channel)
        if self._closed:
            self.drop(channel)
            raise ConnectionFailed("the client is closed")
        return channel

    async def _connected(self) -> Channel:
        loop, address = asyncio.get_running_loop(), self._address
        if address.socket:
            _, channel = await loop.create_unix_connection(Channel, address.socket)
        else:
            _, channel = await loop.create_connection(Channel, address.host, address.port, ssl=self._tls)
        return channel

    async def close(self) -> None:
        """Ends all connections, those that are about to be made included."""
        self._closed = True
        for _, timer in self._idle:
            timer.cancel()
        self._idle.clear()
        channels = list(self._channels)
        for channel in channels:
            self.drop(channel)
        for channel in channels:
            await channel.lost.wait()

    def _expired(self, channel: Channel) -> None:
        self._idle = deque(each for each in self._idle if each[0] is not channel)
        self.drop(channel)


def _tls_context(tls: Tls) -> "ssl.SSLContext":
    """Blocks: it reads files."""
    import ssl

    if tls.folder is None:
        return ssl.create_default_context()
    try:
        folder = tls.folder.expanduser()
        context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        with contextlib.suppress(FileNotFoundError):  # docker takes a server that asks for no certificate, too
            context.load_cert_chain(str(folder / "cert.pem"), str(folder / "key.pem"))
    except (OSError, ValueError, RuntimeError) as error:  # ssl.SSLError is an OSError; RuntimeError: no home
        raise CertificatesUnusable(f"{tls.folder}: {error}") from error
    return context
