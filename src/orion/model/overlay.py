"""The overlay on one node: a VXLAN device, and the way over it to each other node's containers.

Addresses and MACs are text as the kernel's tools print it: `10.200.3.0`, `fd00::3`, `02:4f:52:00:00:03`. A network
is its lowest address and its length: `10.200.3.0/24`.
"""

import msgspec


class OverlayDevice(msgspec.Struct, frozen=True):
    """The device as it is to be. `local` is this host's address, from which the others are reached. `address` is
    set with the length 32. `alias` says whose device it is to people who find it.
    """

    name: str
    vni: int
    port: int
    local: str
    mac: str
    mtu: int
    address: str
    alias: str


class Peer(msgspec.Struct, frozen=True):
    """Another node: the `subnet` of its containers is reached through `gateway`, the address of its device. No two
    peers have the same subnet, gateway or MAC; they may have the same `underlay`, their host's address.
    """

    subnet: str
    gateway: str
    mac: str
    underlay: str


class FoundDevice(msgspec.Struct, frozen=True):
    """The device as the kernel has it. `learning`: it takes the way to a MAC from packets that come in."""

    vni: int
    port: int
    local: str
    mac: str
    mtu: int
    alias: str
    learning: bool = False
    up: bool = True


class Neighbour(msgspec.Struct, frozen=True):
    """A permanent entry of the neighbour table: `address` is at `mac`."""

    address: str
    mac: str


class Forwarding(msgspec.Struct, frozen=True):
    """An entry of the device's forwarding database (FDB): frames for `mac` go to `underlay`. `port` and `vni` are 0
    where they are the device's. One that is not `permanent` is forgotten after some minutes.
    """

    mac: str
    underlay: str
    port: int = 0
    vni: int = 0
    permanent: bool = True


class Route(msgspec.Struct, frozen=True):
    """A route of the main table by way of the device. `gateway` is "" for one without."""

    subnet: str
    gateway: str
    metric: int = 0


class OverlayState(msgspec.Struct, frozen=True):
    """The kernel's state about one device, but for what the kernel makes and takes away by itself. `addresses` have
    their length: `10.200.1.0/32`.
    """

    device: FoundDevice | None = None
    addresses: frozenset[str] = frozenset()
    neighbours: frozenset[Neighbour] = frozenset()
    forwarding: frozenset[Forwarding] = frozenset()
    routes: frozenset[Route] = frozenset()


NOTHING = OverlayState()
