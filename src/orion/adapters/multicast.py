"""Word from the kernel that something changed, from netlink's multicast groups."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import NamedTuple

MAX_AT_ONCE = 256  # datagrams of one socket in one turn of the loop
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_RECEIVE_BYTES = 64 * 1024


class Source(NamedTuple):
    """Groups of one netlink family, whose sockets `opened` opens. `matters` is asked about each datagram."""

    opened: Callable[[], socket.socket]
    groups: Sequence[int]
    matters: Callable[[bytes], bool]


async def changes(sources: Sequence[Source], quiet_s: float) -> AsyncGenerator[None, None]:
    """Yields once when it listens, and whenever something that matters has changed since. What follows within
    `quiet_s` is told as one. Raises OSError.
    """
    loop = asyncio.get_running_loop()
    changed = asyncio.Event()
    trouble: list[OSError] = []

    def hear(listener: socket.socket, matters: Callable[[bytes], bool]) -> None:
        try:
            if take(listener, matters):
                changed.set()
        except OSError as error:
            loop.remove_reader(listener)
            trouble.append(error)
            changed.set()

    with contextlib.ExitStack() as stack:
        for source in sources:
            listener = stack.enter_context(contextlib.closing(_listening(source)))
            loop.add_reader(listener, hear, listener, source.matters)
            stack.callback(loop.remove_reader, listener)
        while not trouble:
            yield
            await changed.wait()
            await asyncio.sleep(quiet_s)
            changed.clear()
    raise trouble[0]


def _listening(source: Source) -> socket.socket:
    listener = source.opened()
    try:
        listener.bind((0, 0))  # gives it a number: the kernel's own, 0, is never told what the kernel does
        for group in source.groups:
            listener.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def take(listener: socket.socket, matters: Callable[[bytes], bool]) -> bool:
    """Takes what has come, up to a bound, and returns whether it may matter. Raises OSError when it is broken."""
    found = False
    for _ in range(MAX_AT_ONCE):
        try:
            data = listener.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            break
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            found = True  # the kernel had to leave some out
        else:
            found = found or matters(data)
    return found
