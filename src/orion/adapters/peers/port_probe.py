"""Probes of a port: the kernel of its host answers a new connection, however busy the process is."""

import asyncio
import errno
import select
import socket
import struct

from orion.adapters.peers.dial import resolve
from orion.model.node import address_parts
from orion.ports.peers import PortProbe

TRY_EVERY_S = 0.1
RESOLVE_S = 0.5

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_ANSWERS = {
    0: PortProbe.ACCEPTED,
    errno.ECONNRESET: PortProbe.ACCEPTED,
    errno.ECONNREFUSED: PortProbe.REFUSED,
    errno.EINPROGRESS: PortProbe.SILENT,
    errno.EHOSTUNREACH: PortProbe.SILENT,  # no host answers ARP or neighbour discovery for the address
    errno.ETIMEDOUT: PortProbe.SILENT,
}
_STRONGEST_FIRST = (PortProbe.ACCEPTED, PortProbe.REFUSED, PortProbe.SILENT)


async def probe(address: str, *, tries: int) -> PortProbe:
    """Returns the strongest answer of several tries. Each try is a connection of its own, because a lost SYN is
    sent again only after a second.
    """
    made: list[_Try] = []
    try:
        host, port = address_parts(address)
        async with asyncio.timeout(RESOLVE_S):
            addresses = await resolve(host)
        for _ in range(tries):
            opened = [_Try(ip, port) for ip in addresses]
            made += opened
            await _answered(opened)
            # Asks the kernel once more: an answer may have come while the event loop was busy.
            answers = {each.look() for each in made}
            if PortProbe.ACCEPTED in answers or PortProbe.REFUSED in answers:
                break
        return next((answer for answer in _STRONGEST_FIRST if answer in answers), PortProbe.UNCLEAR)
    except (OSError, ValueError):
        return PortProbe.UNCLEAR
    finally:
        for each in made:
            each.close()


async def _answered(tries: list["_Try"]) -> None:
    """Returns when one try is accepted, when all have been answered, or after TRY_EVERY_S."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def look() -> None:
        answers = {each.look() for each in tries}
        for each in [each for each in waiting if each.is_over]:
            waiting.remove(each)
            loop.remove_writer(each.fileno())
        if PortProbe.ACCEPTED in answers or PortProbe.SILENT not in answers:
            done.set()

    waiting = [each for each in tries if not each.is_over]
    for each in waiting:
        loop.add_writer(each.fileno(), look)
    look()
    try:
        async with asyncio.timeout(TRY_EVERY_S):
            await done.wait()
    except TimeoutError:
        pass
    finally:
        for each in waiting:
            loop.remove_writer(each.fileno())


class _Try:
    """One connection that is only tried. Raises OSError when there is no socket for it."""

    def __init__(self, ip: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._error = self._socket.connect_ex((ip, port))

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def is_over(self) -> bool:
        """True once its answer will not change any more. Another try may still get another answer."""
        return self._error != errno.EINPROGRESS

    def look(self) -> PortProbe:
        if self._error == errno.EINPROGRESS:
            poll = select.poll()
            poll.register(self._socket, select.POLLOUT)
            if poll.poll(0):
                self._error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return _ANSWERS.get(self._error, PortProbe.UNCLEAR)

    def close(self) -> None:
        self._socket.close()
