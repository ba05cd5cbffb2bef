"""Word from the kernel that somebody changed nftables, over a netlink socket of its own."""

import contextlib
from collections.abc import AsyncGenerator

from orion.adapters import multicast
from orion.adapters.multicast import Source
from orion.adapters.netfilter.sockets import GROUP_NFTABLES, open_netfilter
from orion.ports.firewall import FirewallFailed

QUIET_S = 0.1  # changes that follow on one another within it are told as one
# A message holds the name of the table that it is about. `filter` is where iptables of this kernel has its rules.
_TABLES = (b"orion\0", b"filter\0")


async def changes() -> AsyncGenerator[None, None]:
    """As `Firewall.changes` says."""
    source = Source(open_netfilter, (GROUP_NFTABLES,), _matters)
    try:
        async with contextlib.aclosing(multicast.changes((source,), QUIET_S)) as told:
            async for _ in told:
                yield
    except OSError as error:
        raise FirewallFailed(
            f"the kernel does not tell of changes of nftables ({error.strerror}): the overlay needs one with "
            "nf_tables"
        ) from error


def _matters(said: bytes) -> bool:
    return any(table in said for table in _TABLES)
