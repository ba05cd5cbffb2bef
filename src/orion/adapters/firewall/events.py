"""Word from the kernel that somebody changed nftables, over a netlink socket of its own."""

import asyncio
import errno
import socket
from collections.abc import AsyncGenerator

from orion.ports.firewall import FirewallFailed

QUIET_S = 0.1  # changes that follow on one another within it are told as one
_NETLINK_NETFILTER = 12
_SOL_NETLINK = 270
_ADD_MEMBERSHIP = 1
_GROUP_NFTABLES = 7
_PIECE_BYTES = 64 << 10
_MOST_AT_ONCE = 256  # messages before the loop has another turn


async def changes() -> AsyncGenerator[None, None]:
    """As `Firewall.changes` says."""
    loop = asyncio.get_running_loop()
    changed, ended = asyncio.Event(), asyncio.Event()
    with _listening() as listener:

        def hear() -> None:
            changed.set()
            if not _drain(listener):
                loop.remove_reader(listener)
                ended.set()

        loop.add_reader(listener, hear)
        try:
            yield
            while not ended.is_set():
                await changed.wait()
                await asyncio.sleep(QUIET_S)
                changed.clear()
                yield
        finally:
            loop.remove_reader(listener)
    raise FirewallFailed("the kernel says no more when nftables is changed: its netlink socket broke")


def _listening() -> socket.socket:
    try:
        listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _NETLINK_NETFILTER)
    except OSError as error:
        raise _deaf(error) from error
    try:
        listener.bind((0, 0))
        listener.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _GROUP_NFTABLES)
    except OSError as error:
        listener.close()
        raise _deaf(error) from error
    return listener


def _deaf(error: OSError) -> FirewallFailed:
    return FirewallFailed(
        f"the kernel does not tell of changes of nftables ({error.strerror}): the overlay needs one with nf_tables"
    )


def _drain(listener: socket.socket) -> bool:
    """Takes what is there, all of which says the same. Returns False when the socket is broken."""
    for _ in range(_MOST_AT_ONCE):
        try:
            listener.recv(_PIECE_BYTES)
        except BlockingIOError:
            return True
        except OSError as error:
            # Messages were lost, because more came than there was room for: a change all the same.
            if error.errno != errno.ENOBUFS:
                return False
    return True
