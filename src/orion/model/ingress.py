"""Ports that are published on every node, as values: what one node's kernel does with connections to them."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network
from itertools import chain

import msgspec

from orion.model.limits import MAX_INGRESS_PORTS

MAX_BACKENDS = 8_192  # of one port
MAX_ROUTES = 8_192  # to other nodes, of all networks together
PROTOCOLS = {"tcp": 6, "udp": 17}  # and their numbers in an IP header
NODE_SUBNET_PREFIX = 24  # of the subnet that a node has of a network
_DEVICE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,14}")  # of what the kernel takes, what nft takes bare
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


class Backend(msgspec.Struct, frozen=True, order=True, gc=False):
    """Where a container listens. `ip` is an integer, as RFC 791 orders its bytes."""

    ip: int
    port: int

    def __str__(self) -> str:
        return f"{IPv4Address(self.ip)}:{self.port}"


class IngressPort(msgspec.Struct, frozen=True):
    """A port of every node, and to where new connections to it go: to any of `backends` alike, or, where it is
    `sticky`, to the one that a client's address stands for. The order of `backends` is of no matter. Without any,
    a connection to the port finds what else of the host listens there. Raises ValueError where the kernel could not
    have it so.
    """

    port: int
    protocol: str  # "tcp" or "udp"
    sticky: bool = False
    backends: tuple[Backend, ...] = ()

    def __post_init__(self) -> None:
        fault = next(_faults_of_port(self), None)
        if fault is not None:
            raise ValueError(fault)

    def __str__(self) -> str:
        return f"{self.port}/{self.protocol}"


class Listener(msgspec.Struct, frozen=True):
    """A program of a host that waits for connections where a published port takes them away. `program` is "" where
    that is not to be seen.
    """

    port: int
    protocol: str
    address: str
    program: str


class IngressPeer(msgspec.Struct, frozen=True):
    """Another node as a network has it: the MAC and the address of its VXLAN device there. `gateway` is the lowest
    address of the node's subnet; two nodes, or one node in two networks, never have the same.
    """

    mac: str
    gateway: str


class IngressNetwork(msgspec.Struct, frozen=True):
    """A network as this node has it. Backends in `subnet` are on `bridge`. No two of `peers` have the same MAC.
    Raises ValueError where the kernel could not have it so.
    """

    bridge: str
    vxlan: str
    subnet: str
    peers: tuple[IngressPeer, ...] = ()

    def __post_init__(self) -> None:
        fault = next(_faults_of_network(self), None)
        if fault is not None:
            raise ValueError(fault)


class IngressRules(msgspec.Struct, frozen=True):
    """All that a node's kernel is to have. `hosts`: addresses of other nodes outside of `cluster_range`, those that
    they are reached at; connections from there get this node's address, for a node takes no packet from itself off
    the wire. What is not IPv4 among them is of no matter. Raises ValueError where it can't be true.
    """

    cluster_range: str
    networks: tuple[IngressNetwork, ...] = ()
    hosts: tuple[str, ...] = ()
    ports: tuple[IngressPort, ...] = ()

    def __post_init__(self) -> None:
        fault = next(_faults(self), None)
        if fault is not None:
            raise ValueError(fault)


@lru_cache(maxsize=MAX_ROUTES)
def range_of(text: str) -> IPv4Network | None:
    """Returns None for what is no range, or not written as the kernel writes it."""
    try:
        found = IPv4Network(text)
    except ValueError:
        return None
    return found if str(found) == text else None


def _faults_of_port(port: IngressPort) -> Iterator[str]:
    if not 0 < port.port < 65_536:
        yield f"{port.port} is no port"
    if port.protocol not in PROTOCOLS:
        yield f"{port.protocol[:20]!r} is no protocol of port {port.port}"
    if len(port.backends) > MAX_BACKENDS:
        yield f"port {port} has at most {MAX_BACKENDS} backends, not {len(port.backends)}"
    for backend in port.backends:
        if not (0 < backend.ip < 1 << 32 and 0 < backend.port < 65_536):
            yield f"port {port}: a backend can't have the address {backend.ip} and the port {backend.port}"
    if len(set(port.backends)) < len(port.backends):
        yield f"port {port} has the same backend twice"


def _faults_of_network(network: IngressNetwork) -> Iterator[str]:
    for device in (network.bridge, network.vxlan):
        if not _DEVICE.fullmatch(device) or device == "lo":
            yield f"{device!r} is no name of a device"
    if range_of(network.subnet) is None:
        yield f"{network.subnet!r} is no subnet such as 10.200.1.0/24"
    for peer in network.peers:
        if not _MAC.fullmatch(peer.mac):
            yield f"{peer.mac!r} is no MAC"
        if range_of(f"{peer.gateway}/{NODE_SUBNET_PREFIX}") is None:
            yield f"{peer.gateway!r} is not where the subnet of a node begins"
    yield from _twice(f"MAC on {network.vxlan}", (peer.mac for peer in network.peers))


def _faults(rules: IngressRules) -> Iterator[str]:
    whole = range_of(rules.cluster_range)
    if whole is None:
        yield f"{rules.cluster_range!r} is no IPv4 range such as 10.200.0.0/16"
        return
    if len(rules.ports) > MAX_INGRESS_PORTS:
        yield f"a cluster has at most {MAX_INGRESS_PORTS} published ports, not {len(rules.ports)}"
    peers = [peer for network in rules.networks for peer in network.peers]
    if len(peers) > MAX_ROUTES:
        yield f"a node has at most {MAX_ROUTES} routes to others, not {len(peers)}"
    lowest = int(whole.network_address)
    gateways = (f"{peer.gateway}/{NODE_SUBNET_PREFIX}" for peer in peers)
    for subnet in chain(gateways, (network.subnet for network in rules.networks)):
        found = range_of(subnet)
        if found is None or not lowest <= int(found.network_address) < lowest + whole.num_addresses:
            yield f"{subnet} is not in the cluster's range {whole}"
    yield from _twice("port", ((port.port, port.protocol) for port in rules.ports))
    yield from _twice("device", (name for each in rules.networks for name in (each.bridge, each.vxlan)))
    yield from _twice("gateway", (peer.gateway for peer in peers))


def _twice(kind: str, names: Iterable[object]) -> Iterator[str]:
    counts = Counter(names)
    yield from (f"the {kind} {name} is there twice" for name, count in counts.items() if count > 1)
