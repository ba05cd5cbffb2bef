"""Word from the kernel that something changed, from netlink's multicast groups."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncGenerator, Container

from orion.adapters.netlink import codec, tables
from orion.adapters.netlink.socket import OpenSocket

COALESCE_S = 0.05  # starting a container makes a dozen of changes
MAX_AT_ONCE = 256  # datagrams in one turn of the loop

_GROUPS = (1, 3, 5, 7, 9, 11)  # RTNLGRP_LINK, NEIGH, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_RECEIVE_BYTES = 64 * 1024
_NEIGHBOURS = (tables.NEWNEIGH, tables.DELNEIGH)


async def changes(opened: OpenSocket, links: Container[int]) -> AsyncGenerator[None, None]:
    """Yields once when it listens, and whenever something changed since. Of neighbours, which change all the time
    on any network, only those of `links`, by index. Raises OSError.
    """
    loop = asyncio.get_running_loop()
    with contextlib.closing(opened()) as listener:
        listener.bind((0, 0))  # gives it a number: the kernel's own, 0, is never told what the kernel does
        for group in _GROUPS:
            listener.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
        listener.setblocking(False)
        changed = asyncio.Event()
        changed.set()
        trouble: list[OSError] = []

        def take() -> None:
            try:
                if _take(listener, links):
                    changed.set()
            except OSError as error:
                loop.remove_reader(listener)
                trouble.append(error)
                changed.set()

        loop.add_reader(listener, take)
        try:
            while True:
                await changed.wait()
                if trouble:
                    raise trouble[0]
                changed.clear()
                yield
                await changed.wait()
                await asyncio.sleep(COALESCE_S)
        finally:
            loop.remove_reader(listener)


def _take(listener: socket.socket, links: Container[int]) -> bool:
    """Takes what has come, up to a bound, and returns whether it may matter."""
    matters = False
    for _ in range(MAX_AT_ONCE):
        try:
            data = listener.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            break
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            matters = True  # the kernel had to leave some out
        else:
            matters = matters or _matters(data, links)
    return matters


def _matters(data: bytes, links: Container[int]) -> bool:
    try:
        return any(
            message.kind not in _NEIGHBOURS or tables.neighbour_link(message.body) in links
            for message in codec.messages(data)
        )
    except codec.Malformed:
        return True  # a look does no harm
