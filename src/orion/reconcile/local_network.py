"""A node's part of the cluster's own network: what its kernel, its engine and its firewall are to have."""

from ipaddress import ip_address

import msgspec

from orion.model.container import EngineNetwork
from orion.model.firewall import FirewallRules, NetworkRules
from orion.model.ids import NodeId
from orion.model.network import ClusterNetwork, NetworkPeer, address_text, mac_of, subnet_text
from orion.model.overlay import OverlayDevice, Peer

NAME = "orion"  # of the engine's network
BRIDGE = "orion0"
DEVICE = "orion.vx"
VNI = 4200
PORT = 8472
# What VXLAN adds to a packet (RFC 7348): 8 bytes, with UDP, IP and Ethernet before them.
OVERHEAD_BYTES = {4: 50, 6: 70}


class LocalNetwork(msgspec.Struct, frozen=True):
    device: OverlayDevice
    peers: tuple[Peer, ...]
    engine: EngineNetwork
    rules: FirewallRules


def peer_of(network: ClusterNetwork, node: NodeId) -> NetworkPeer | None:
    return next((peer for peer in network.peers if peer.node == node), None)


def owner_text(cluster: int, node: NodeId) -> str:
    """The alias of the node's device, for people and other nodes of the machine that find it."""
    return f"orion {cluster:016x} {node}"


def local_network(
    network: ClusterNetwork, me: NetworkPeer, cluster: int, *, underlay: str, underlay_mtu: int
) -> LocalNetwork:
    """`underlay`: this host's address, by which others reach it; `underlay_mtu` that of its interface. A peer whose
    underlay is no address, or of the other family, is left out.
    """
    addresses, family = network.addresses, ip_address(underlay).version
    mtu = underlay_mtu - OVERHEAD_BYTES[family]
    others = [each for each in network.peers if each.node != me.node and _family(each.underlay) == family]
    subnets = tuple(subnet_text(each.subnet) for each in network.peers)
    device = OverlayDevice(
        name=DEVICE,
        vni=VNI,
        port=PORT,
        local=underlay,
        mac=mac_of(me.subnet, addresses),
        mtu=mtu,
        address=address_text(me.subnet),
        alias=owner_text(cluster, me.node),
    )
    engine = EngineNetwork(
        name=NAME,
        cluster=cluster,
        node=me.node,
        subnet=subnet_text(me.subnet),
        gateway=address_text(me.subnet + 1),
        bridge=BRIDGE,
        mtu=mtu,
        uplink=DEVICE,
    )
    rules = NetworkRules(name=NAME, bridge=BRIDGE, vxlan=DEVICE, subnet=subnet_text(me.subnet), subnets=subnets)
    peers = tuple(
        Peer(subnet_text(each.subnet), address_text(each.subnet), mac_of(each.subnet, addresses), each.underlay)
        for each in others
    )
    return LocalNetwork(device, peers, engine, FirewallRules(str(addresses), (rules,)))


def _family(address: str) -> int:
    """Returns 4 or 6; 0 for a name."""
    try:
        return ip_address(address).version
    except ValueError:
        return 0
