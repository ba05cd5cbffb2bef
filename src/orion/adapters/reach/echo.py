"""Whoever answers probes: other nodes alone, with no more than they sent, and so many a second."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Collection, Iterator, Sequence

from orion.adapters.reach import probe
from orion.model.errors import Unavailable
from orion.model.reach import CHECK_PORT, TCP_BYTES

TURN = 32  # datagrams, then others have their turn
PER_S = 2_000  # answers, of all nodes together: 200 nodes that check at once send some 1,000 each
BURST = 2_000
MAX_CONNECTIONS = 64
CONNECTION_S = 5.0
BACKLOG = 64
AGAIN_S = 0.1  # after an accept that failed, as without a free descriptor


class Largest:
    """The size of the largest probe so far, 0 for none. Compared by identity."""

    def __init__(self) -> None:
        self.size_bytes = 0


class Heard:
    """The largest probe from nodes that somebody listens for. It has as many entries as there are listeners."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[Largest]] = {}

    @contextlib.contextmanager
    def listening(self, source: str) -> Iterator[Largest]:
        mine = Largest()
        self._listeners.setdefault(source, []).append(mine)
        try:
            yield mine
        finally:
            left = self._listeners[source]
            left.remove(mine)
            if not left:
                del self._listeners[source]

    def note(self, source: str, size_bytes: int) -> None:
        for each in self._listeners.get(source, ()):
            each.size_bytes = max(each.size_bytes, size_bytes)


class Allowance:
    """So many a second, with a burst."""

    def __init__(self) -> None:
        self._left = float(BURST)
        self._at_s = time.monotonic()

    def take(self) -> bool:
        now_s = time.monotonic()
        self._left = min(BURST, self._left + (now_s - self._at_s) * PER_S)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True


class EchoServer:
    """`peers` are the addresses whose probes are answered."""

    def __init__(self, heard: Heard, peers: Callable[[], Collection[str]]) -> None:
        self._heard = heard
        self._peers = peers
        self._allowance = Allowance()
        self._connections = 0

    async def run(self, addresses: Sequence[str]) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as stack:
            datagrams, listeners = [], []
            for address in addresses:
                datagrams.append(stack.enter_context(_opened(probe.datagram_socket, address)))
                listeners.append(stack.enter_context(_opened(_listener, address)))
            for sock in datagrams:
                loop.add_reader(sock, self._read, sock)
                stack.callback(loop.remove_reader, sock)
            async with asyncio.TaskGroup() as group:
                for listener in listeners:
                    group.create_task(self._accept(listener, group), name="network-check")

    def _read(self, sock: socket.socket) -> None:
        # An error says that there is nothing more, or is of a packet that was sent before.
        with contextlib.suppress(OSError):
            for _ in range(TURN):
                data, address = sock.recvfrom(probe.MAX_BYTES)
                if not probe.is_one(data) or address[0] not in self._peers() or not self._allowance.take():
                    continue
                self._heard.note(address[0], probe.packet_bytes(sock.family, len(data)))
                with contextlib.suppress(OSError):
                    sock.sendto(data, address)

    async def _accept(self, listener: socket.socket, group: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(listener)
            except OSError:
                await asyncio.sleep(AGAIN_S)
                continue
            if address[0] not in self._peers() or self._connections >= MAX_CONNECTIONS:
                connection.close()
                continue
            self._connections += 1
            group.create_task(self._echo(connection))

    async def _echo(self, connection: socket.socket) -> None:
        """Sends back what comes, TCP_BYTES at most."""
        loop = asyncio.get_running_loop()
        left = TCP_BYTES
        try:
            with connection, contextlib.suppress(OSError):  # TimeoutError is one
                async with asyncio.timeout(CONNECTION_S):
                    while left and (data := await loop.sock_recv(connection, left)):
                        left -= len(data)
                        await loop.sock_sendall(connection, data)
        finally:
            self._connections -= 1


def _listener(address: str, port: int) -> socket.socket:
    sock = socket.socket(probe.family_of(address), socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _opened(kind: Callable[[str, int], socket.socket], address: str) -> socket.socket:
    try:
        return kind(address, CHECK_PORT)
    except OSError as error:
        raise Unavailable(
            f"the network's check can't have port {CHECK_PORT} of {address}: {error.strerror or error}"
        ) from None
