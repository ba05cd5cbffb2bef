"""One node's reach of another by the cluster's own network: what is probed, what both ends see, and what it says.

Sizes are of IP packets, with their headers.
"""

import enum
from typing import NamedTuple

import msgspec

from orion.model.ids import NodeId

# UDP and TCP, at each node's own addresses in the network, and for probes at the address of its host.
CHECK_PORT = 8473
SMALL_BYTES = 64
TCP_BYTES = 16 << 10  # more than one segment
MAX_WORDS_CHARS = 400


class Echo(NamedTuple):
    """The answer to a probe. `us` is its round trip, 0 where none came. `refused`: the host says that nobody is at
    that port.
    """

    us: int = 0
    refused: bool = False


class Way(NamedTuple):
    """The addresses of two nodes, of which the first one asks: in the network, and of their hosts."""

    source: str
    target: str
    underlay_source: str
    underlay_target: str


class Arrivals(msgspec.Struct, frozen=True, array_like=True):
    """Packets that a host has received from another one for a while. Packets are counted before the host's own
    filters, so that what is dropped there has arrived.

    `vxlan`: UDP to the network's port came to the host. `plain_bytes`: the largest UDP packet to CHECK_PORT, beside
    the network. `inner_bytes`: the largest packet that came out of the VXLAN device. `heard_bytes`: the largest
    probe that came to the program. `bad_checksums`: TCP segments and datagrams of anybody with a wrong one.
    """

    vxlan: bool = False
    plain_bytes: int = 0
    inner_bytes: int = 0
    heard_bytes: int = 0
    bad_checksums: int = 0


NOTHING_ARRIVED = Arrivals()


class Witness(msgspec.Struct, frozen=True, array_like=True):
    """A node's word on another one's packets. `faults`: all of its kernel's that concern the two. `deaf`: why it
    can't see packets. `strict`: its kernel drops what it would not answer by the same device (rp_filter 1).
    """

    faults: tuple[str, ...] = ()
    arrivals: Arrivals = NOTHING_ARRIVED
    deaf: str = ""
    strict: bool = False


class Evidence(msgspec.Struct, frozen=True):
    """All that `node` found out about its way to `peer`.

    The four flags: an answer came, to a small probe, to one of `full_bytes` that may not be fragmented, by TCP, and
    from the bridge. `there` is what the peer says, None where it can't be asked; `why_not` is then the reason.
    `largest_bytes`: of probes that were answered.
    """

    node: NodeId
    peer: NodeId
    small: bool
    full: bool
    tcp: bool
    bridge: bool
    full_bytes: int
    largest_bytes: int
    refused: bool
    here: Witness
    there: Witness | None
    why_not: str = ""


class Cause(enum.Enum):
    KERNEL = "kernel"  # a device, an entry or a route is missing or wrong
    PEER_SILENT = "peer-silent"  # not even its peer port answers
    NOT_SERVED = "not-served"
    UDP_BLOCKED = "udp-blocked"
    HOST_BLOCKED = "host-blocked"  # nothing of UDP comes, not only nothing to the network's port
    HOST_FILTER = "host-filter"
    OVERLAY_FILTER = "overlay-filter"
    MTU = "mtu"
    CHECKSUM = "checksum"
    TCP_BLOCKED = "tcp-blocked"
    BRIDGE = "bridge"
    LOSS = "loss"
    UNKNOWN = "unknown"


class Verdict(msgspec.Struct, frozen=True, array_like=True):
    """Why one node does not reach another. Packets are lost on their way from `sender` to `receiver`, perhaps the
    way back.
    """

    cause: Cause
    sender: NodeId
    receiver: NodeId
    words: str


class Reach(msgspec.Struct, frozen=True, array_like=True):
    """A node's reach of one peer. `small_us` and `full_us` are round trips, 0 where no answer came. `verdict` is
    None where all is well.
    """

    peer: NodeId
    small_us: int
    full_us: int
    verdict: Verdict | None = None
