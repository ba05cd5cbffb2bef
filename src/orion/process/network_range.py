"""The addresses that a new cluster's network has when nobody says which."""

import ipaddress
import struct
from collections.abc import Iterator
from pathlib import Path

RANGES = ("10.200.0.0/16", "10.201.0.0/16", "172.28.0.0/16", "192.168.128.0/17")
ROUTES = Path("/proc/net/route")


def free_range(advertise: str, routes: Path = ROUTES) -> str:
    """Returns the first of RANGES in which neither the node's address lies nor a route of this machine leads; ""
    when there is none, routes can't be read, or `advertise` is no address.
    """
    try:
        own = ipaddress.ip_address(advertise)
        taken = [*_networks(routes.read_text("ascii"))]
    except (OSError, ValueError, struct.error):
        return ""
    ranges = map(ipaddress.IPv4Network, RANGES)
    free = (each for each in ranges if own not in each and not any(map(each.overlaps, taken)))
    return str(next(free, ""))


def _networks(text: str) -> Iterator[ipaddress.IPv4Network]:
    """Reads the kernel's table of routes, with addresses as little-endian numbers; without the default route."""
    for line in text.splitlines()[1:]:
        words = line.split()
        first, mask = (struct.unpack(">I", struct.pack("<I", int(words[at], 16)))[0] for at in (1, 7))
        if mask:
            yield ipaddress.IPv4Network((first & mask, mask.bit_count()))
