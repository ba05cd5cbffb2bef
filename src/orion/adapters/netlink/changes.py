"""Word from the kernel that something changed that the overlay may need."""

import functools
from collections.abc import AsyncGenerator, Container

from orion.adapters import multicast
from orion.adapters.multicast import Source
from orion.adapters.netlink import codec, tables
from orion.adapters.netlink.socket import OpenSocket

COALESCE_S = 0.05  # starting a container makes a dozen of changes

_GROUPS = (1, 3, 5, 7, 9, 11)  # RTNLGRP_LINK, NEIGH, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE
_NEIGHBOURS = (tables.NEWNEIGH, tables.DELNEIGH)


def changes(opened: OpenSocket, links: Container[int]) -> AsyncGenerator[None, None]:
    """As multicast.changes. Of neighbours, which change all the time on any network, only those of `links`, by
    index, count.
    """
    source = Source(opened, _GROUPS, functools.partial(_matters, links=links))
    return multicast.changes((source,), COALESCE_S)


def _matters(data: bytes, links: Container[int]) -> bool:
    try:
        return any(
            message.kind not in _NEIGHBOURS or tables.neighbour_link(message.body) in links
            for message in codec.messages(data)
        )
    except codec.Malformed:
        return True  # a look does no harm
