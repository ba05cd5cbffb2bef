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
# A message holds the name of the table that it is about. `filter` is where iptables of this kernel has its rules.
_TABLES = (b"orion\0", b"filter\0")


async def changes() -> AsyncGenerator[None, None]:
    """As `Firewall.changes` says."""
    loop = asyncio.get_running_loop()
    changed = asyncio.Event()
    trouble: list[OSError] = []
    with _listening() as listener:

        def hear() -> None:
            try:
                if _take(listener):
                    changed.set()
            except OSError as error:
                loop.remove_reader(listener)
                trouble.append(error)
                changed.set()

        loop.add_reader(listener, hear)
        try:
            while not trouble:
                yield
                await changed.wait()
                await asyncio.sleep(QUIET_S)
                changed.clear()
        finally:
            loop.remove_reader(listener)
    raise _deaf(trouble[0])


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


def _take(listener: socket.socket) -> bool:
    """Takes what has come, up to a bound, and returns whether it may matter. Raises OSError when it is broken."""
    matters = False
    for _ in range(_MOST_AT_ONCE):
        try:
            said = listener.recv(_PIECE_BYTES)
        except BlockingIOError:
            break
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            matters = True  # more came than there was room for, and got lost
        else:
            matters |= any(table in said for table in _TABLES)
    return matters
