"""A node's part of the cluster's networks: what its kernel, its engine and its firewall are to have."""

import re
from ipaddress import ip_address

import msgspec

from orion.model.container import EngineNetwork
from orion.model.firewall import FirewallRules, NetworkRules
from orion.model.ids import NodeId
from orion.model.network import (
    DEFAULT_NUMBER,
    ClusterNetwork,
    NamedNetwork,
    NetworkPeer,
    address_text,
    mac_of,
    subnet_text,
)
from orion.model.overlay import OverlayDevice, Peer

DEVICE = "orion.vx"  # the default network's
VNI = 4200  # that of a network is as much higher as its number says
PORT = 8472
# What VXLAN adds to a packet (RFC 7348): 8 bytes, with UDP, IP and Ethernet before them.
OVERHEAD_BYTES = {4: 50, 6: 70}
_OWNER = re.compile(r"orion ([0-9a-f]{16}) .+")
_DEVICE = re.compile(r"orion([0-9]{0,7})\.vx")


class LocalPart(msgspec.Struct, frozen=True):
    """One network on this machine. `first`: the first address of this node's subnet."""

    name: str
    number: int
    internal: bool
    first: int
    device: OverlayDevice
    peers: tuple[Peer, ...]
    engine: EngineNetwork


class LocalNetwork(msgspec.Struct, frozen=True):
    """All networks that this node has a part in, the default one first."""

    parts: tuple[LocalPart, ...]
    rules: FirewallRules


def peer_of(network: ClusterNetwork | NamedNetwork, node: NodeId) -> NetworkPeer | None:
    return next((peer for peer in network.peers if peer.node == node), None)


def owner_text(cluster: int, node: NodeId) -> str:
    """The alias of the node's devices, for people and other nodes of the machine that find them."""
    return f"orion {cluster:016x} {node}"


def cluster_of(alias: str) -> int | None:
    """Returns the cluster of a device with this alias; None where it is nobody's."""
    found = _OWNER.fullmatch(alias)
    return None if found is None else int(found[1], 16)


def device_name(number: int) -> str:
    return f"orion{number or ''}.vx"


def bridge_name(number: int) -> str:
    return f"orion{number}"


def engine_name(number: int) -> str:
    """The engine's name of the network with this number, by which it is found when nothing else is known of it."""
    return f"orion{number or ''}"


def number_of(device: str) -> int | None:
    """Returns the number of the network that a device of this name is for; None for a name that is no network's."""
    found = _DEVICE.fullmatch(device)
    return None if found is None else int(found[1] or DEFAULT_NUMBER)


def local_network(
    network: ClusterNetwork, me: NodeId, cluster: int, *, underlay: str, underlay_mtu: int
) -> LocalNetwork:
    """`underlay`: this host's address, by which others reach it; `underlay_mtu` that of its interface. A peer whose
    underlay is no address, or of the other family, is left out, and so is a network that this node has no part in.
    """
    mine = [(each, peer) for each in network.networks if (peer := peer_of(each, me)) is not None]
    mtu = underlay_mtu - OVERHEAD_BYTES[ip_address(underlay).version]
    parts = tuple(_part(network, each, peer, cluster, underlay, mtu) for each, peer in mine)
    rules = tuple(_rules(part, each) for part, (each, _) in zip(parts, mine, strict=True))
    return LocalNetwork(parts, FirewallRules(str(network.addresses), rules))


def _part(
    network: ClusterNetwork, each: NamedNetwork, me: NetworkPeer, cluster: int, underlay: str, mtu: int
) -> LocalPart:
    addresses, family = network.addresses, ip_address(underlay).version
    others = [peer for peer in each.peers if peer.node != me.node and _family(peer.underlay) == family]
    device = OverlayDevice(
        name=device_name(each.number),
        vni=VNI + each.number,
        port=PORT,
        local=underlay,
        mac=mac_of(me.subnet, addresses),
        mtu=mtu,
        address=address_text(me.subnet),
        alias=owner_text(cluster, me.node),
    )
    engine = EngineNetwork(
        name=engine_name(each.number),
        cluster=cluster,
        node=me.node,
        subnet=subnet_text(me.subnet),
        gateway=address_text(me.subnet + 1),
        bridge=bridge_name(each.number),
        mtu=mtu,
        uplink=device.name,
    )
    peers = tuple(
        Peer(subnet_text(peer.subnet), address_text(peer.subnet), mac_of(peer.subnet, addresses), peer.underlay)
        for peer in others
    )
    return LocalPart(each.name, each.number, each.internal, me.subnet, device, peers, engine)


def _rules(part: LocalPart, network: NamedNetwork) -> NetworkRules:
    return NetworkRules(
        name=part.name,
        bridge=part.engine.bridge,
        vxlan=part.device.name,
        subnet=part.engine.subnet,
        subnets=tuple(subnet_text(peer.subnet) for peer in network.peers),
        internal=part.internal,
    )


def _family(address: str) -> int:
    """Returns 4 or 6; 0 for a name."""
    try:
        return ip_address(address).version
    except ValueError:
        return 0
