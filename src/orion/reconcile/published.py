"""Published ports, as a node's kernel is to have them."""

from collections.abc import Sequence

from orion.model.ingress import Backend, IngressNetwork, IngressPeer, IngressPort, IngressRules
from orion.model.network import AddressRange
from orion.model.published import Ports, PublishedPlace, PublishedPort
from orion.reconcile.local_network import LocalPart
from orion.reconcile.reachable import Says, reachable


def ingress_rules(
    addresses: AddressRange, parts: Sequence[LocalPart], ports: Ports, *, is_alive: Says, is_gone: Says
) -> IngressRules:
    """`addresses`: the cluster's range; `parts`: this machine's of its networks."""
    networks = tuple(
        IngressNetwork(
            bridge=part.engine.bridge,
            vxlan=part.device.name,
            subnet=part.engine.subnet,
            peers=tuple(IngressPeer(peer.mac, peer.gateway) for peer in part.peers),
        )
        for part in parts
    )
    hosts = sorted({peer.underlay for part in parts for peer in part.peers})
    return IngressRules(
        str(addresses), networks, tuple(hosts), tuple(_port(each, is_alive, is_gone) for each in ports)
    )


def _port(port: PublishedPort, is_alive: Says, is_gone: Says) -> IngressPort:
    ready = (place for place in port.places if place.ready)
    used = reachable(ready, lambda place: place.node, is_alive=is_alive, is_gone=is_gone)
    backends = {backend_of(place) for place in used}
    return IngressPort(port.port, port.protocol, port.sticky, tuple(sorted(backends)))


def backend_of(place: PublishedPlace) -> Backend:
    return Backend(place.ip, place.port)
