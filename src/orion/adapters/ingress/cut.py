"""Connections to backends that are gone, deleted. Blocks, and is for a thread."""

import errno
from collections import defaultdict
from collections.abc import Collection

from orion.adapters.ingress import conntrack
from orion.adapters.ingress.conntrack import Connection
from orion.adapters.netfilter.sockets import open_netfilter
from orion.adapters.netlink.link import Request
from orion.adapters.netlink.socket import Netlink
from orion.model.ingress import PROTOCOLS, Backend

# Of one backend. The kernel finds more faster itself than it takes them one by one; it looks through all that there
# are for it, tens of milliseconds, which is too long for each of many backends.
MANY = 1_000
_PROTOCOLS = frozenset(PROTOCOLS.values())


def cut(backends: Collection[Backend]) -> int:
    """Returns how many there were. Raises OSError, Malformed."""
    if not backends:
        return 0
    with Netlink(open_netfilter) as netlink:
        found = _find(netlink, set(backends))
        requests: list[Request] = []
        for (backend, protocol), some in found.items():
            one_by_one = len(some) <= MANY
            requests += map(conntrack.delete, some) if one_by_one else [conntrack.delete_all(backend, protocol)]
        for error in netlink.do(requests):
            if error and error.errno != errno.ENOENT:  # it has ended by itself
                raise error
    return sum(map(len, found.values()))


def _find(netlink: Netlink, backends: set[Backend]) -> dict[tuple[Backend, int], list[Connection]]:
    found: dict[tuple[Backend, int], list[Connection]] = defaultdict(list)
    for message in netlink.each(conntrack.get()):
        connection = conntrack.read(message.body)
        if connection.backend in backends and connection.protocol in _PROTOCOLS:
            found[connection.backend, connection.protocol].append(connection)
    return found
