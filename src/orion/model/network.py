"""The cluster's networks: a range of IPv4 addresses, and of it a /24 for the containers of each node on each.

One network is there by itself while there is a range, `default`. The others are made by name, and each has a number
that tells it from those that had its name before. Addresses are integers here, as RFC 791 orders their bytes.
"""

import re
import struct
from typing import Annotated, NamedTuple

import msgspec

from orion.model.ids import JOB_NAME, NodeId
from orion.model.levels import since

SUBNET_SIZE = 256
# Of a subnet, .0 is the node's own address in the network, and .1 that of the bridge that its containers are on.
FIRST_HOST, LAST_HOST = 2, 254
MIN_PREFIX, MAX_PREFIX = 8, 22  # from four nodes on
# Addresses that no host of the internet has (RFC 1918, 6598, 2544).
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15")

DEFAULT, DEFAULT_NUMBER = "default", 0  # the network of jobs that name none
NETWORK_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
MAX_NETWORKS = 1_000  # of a cluster, beside the default one
MAX_OF_JOB = 16  # networks of one job
MAX_ALIASES = 16  # of one job
MAX_NUMBER = 1_000_000  # a device's name has room for seven digits

# The label by which a node says that it can take part, and its value.
OVERLAY_LABEL, OVERLAY_KIND = "overlay", "vxlan"


class AddressRange(NamedTuple):
    """`size` addresses from `first` on."""

    first: int
    size: int

    def __contains__(self, address: object) -> bool:
        return isinstance(address, int) and self.first <= address < self.first + self.size

    def __str__(self) -> str:
        return f"{address_text(self.first)}/{32 - (self.size - 1).bit_length()}"

    @property
    def subnets(self) -> range:
        """The first addresses of all subnets."""
        return range(self.first, self.first + self.size, SUBNET_SIZE)


NO_ADDRESSES = AddressRange(0, 0)


class Network(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A network that was made by name. `internal`: there is no way from it to elsewhere."""

    name: str
    number: int
    internal: bool = False
    created_at_ms: int = 0


class NetworkAlias(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Another name of a job: on one of its networks, or on all of them when `network` is empty."""

    name: str
    network: str = ""

    def __str__(self) -> str:
        return f"{self.name} on {self.network}" if self.network else self.name


class Subnet(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A node's part of the network with the number `network`. `first`: its first address. `next_host`: where the
    search for the next address begins, so that one that was just freed is given last.
    """

    node: NodeId
    first: int
    next_host: int = FIRST_HOST
    network: Annotated[int, since(2)] = DEFAULT_NUMBER

    def __contains__(self, address: object) -> bool:
        return isinstance(address, int) and 0 <= address - self.first < SUBNET_SIZE

    @property
    def is_sound(self) -> bool:
        return (
            not self.first % SUBNET_SIZE
            and 0 < self.first < 1 << 32
            and FIRST_HOST <= self.next_host <= LAST_HOST
            and 0 <= self.network <= MAX_NUMBER
        )


class NetworkPeer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A node of the network. `subnet`: its first address. `underlay`: the host address that other nodes reach it
    by.
    """

    node: NodeId
    subnet: int
    underlay: str


class NamedNetwork(msgspec.Struct, frozen=True, array_like=True):
    """A network of which a node has a subnet, with all nodes that have one."""

    name: str
    number: int
    internal: bool
    peers: tuple[NetworkPeer, ...]


class ClusterNetwork(msgspec.Struct, frozen=True, array_like=True):
    """All that a node is told of the networks. `peers` are those of the default one, `named` the others that the
    node has a part in, by number.
    """

    addresses: AddressRange
    peers: tuple[NetworkPeer, ...]
    named: tuple[NamedNetwork, ...] = ()

    @property
    def networks(self) -> tuple[NamedNetwork, ...]:
        """All of them, the default one first."""
        return (NamedNetwork(DEFAULT, DEFAULT_NUMBER, internal=False, peers=self.peers), *self.named)


def networks_fault(names: tuple[str, ...]) -> str:
    """Says why these can't be the networks of a job; "" when they can."""
    if len(names) > MAX_OF_JOB:
        return f"{len(names):,} networks; a job is on at most {MAX_OF_JOB}"
    strange = next((name for name in names if not NETWORK_NAME.fullmatch(name)), None)
    if strange is not None:
        return f"{strange[:80]!r} is no network's name"
    return "a network is named twice" if len(set(names)) < len(names) else ""


def aliases_fault(aliases: tuple[NetworkAlias, ...], networks: tuple[str, ...]) -> str:
    """Says why these can't be the aliases of a job on these networks; "" when they can."""
    if len(aliases) > MAX_ALIASES:
        return f"{len(aliases):,} aliases; a job has at most {MAX_ALIASES}"
    strange = next((each.name for each in aliases if not JOB_NAME.fullmatch(each.name)), None)
    if strange is not None:
        return f"{strange[:80]!r} can't be an alias: it is no job's name"
    elsewhere = next(
        (each for each in aliases if each.network and each.network not in (networks or (DEFAULT,))), None
    )
    if elsewhere is not None:
        return f"the alias {elsewhere.name} is for a network that the job is not on"
    return "an alias is given twice" if len(set(aliases)) < len(aliases) else ""


def address_text(address: int) -> str:
    return ".".join(map(str, struct.pack(">I", address)))


def address_number(text: str) -> int:
    """Returns 0 for what is no IPv4 address."""
    found = _read(f"{text}/32")
    return found[0] if found is not None else 0


def subnet_text(first: int) -> str:
    return f"{address_text(first)}/24"


def mac_of(subnet: int, addresses: AddressRange) -> str:
    """Returns the address of the VXLAN device of the node that has the subnet: administered locally, and the same
    for as long as the node has the subnet.
    """
    number = (subnet - addresses.first) // SUBNET_SIZE
    return f"02:4f:52:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"


def parse_range(text: str) -> AddressRange:
    """Reads `10.200.0.0/16`. Raises ValueError, which says what is wrong with it."""
    found = _read(text)
    if found is None:
        raise ValueError(f"{text[:80]!r} is not a range of IPv4 addresses such as 10.200.0.0/16")
    first, prefix = found
    size = 1 << (32 - prefix)
    if not MIN_PREFIX <= prefix <= MAX_PREFIX:
        raise ValueError(
            f"a network has from /{MIN_PREFIX} to /{MAX_PREFIX}, not /{prefix}: each node has a /24 of it"
        )
    if first % size:
        raise ValueError(
            f"{text} does not begin where a /{prefix} does: {address_text(first - first % size)}/{prefix}"
        )
    addresses = AddressRange(first, size)
    if not any(_holds(private, addresses) for private in PRIVATE):
        raise ValueError(f"{text} is not in {', '.join(PRIVATE)}: others on the internet have these addresses")
    return addresses


def _read(text: str) -> tuple[int, int] | None:
    host, _, prefix = text.partition("/")
    parts = host.split(".")
    numbers = [*parts, prefix]
    if len(parts) != 4 or not all(part.isascii() and part.isdecimal() and len(part) <= 3 for part in numbers):
        return None
    values = [int(part) for part in numbers]
    if max(values[:4]) > 255 or values[4] > 32:
        return None
    (first,) = struct.unpack(">I", bytes(values[:4]))
    return first, values[4]


def _holds(private: str, addresses: AddressRange) -> bool:
    found = _read(private)
    assert found is not None
    whole = AddressRange(found[0], 1 << (32 - found[1]))
    return addresses.first in whole and addresses.first + addresses.size - 1 in whole
