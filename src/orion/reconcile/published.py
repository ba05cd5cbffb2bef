"""Published ports, as a node's kernel is to have them."""

from collections.abc import Sequence
from typing import NamedTuple

from orion.model.ids import NodeId
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
    backends = {_backend(place) for place in used}
    return IngressPort(port.port, port.protocol, port.sticky, tuple(sorted(backends)))


class Open(NamedTuple):
    """A task behind a port, to which there may be connections."""

    backend: Backend
    protocol: str
    node: NodeId


def opened(ports: Ports) -> frozenset[Open]:
    return frozenset(Open(_backend(place), port.protocol, place.node) for port in ports for place in port.places)


def to_cut(before: frozenset[Open], now: frozenset[Open], is_gone: Says) -> set[Backend]:
    """Returns those whose connections nobody ends unless they are cut: all of nodes that are given up, and of tasks
    that have ended those of datagrams. Its own node's kernel ends the TCP connections of a program that has ended,
    and looking for them among all that there are takes long.
    """
    ended = {each.backend for each in before - now if each.protocol == "udp"}
    return ended | {each.backend for each in before | now if is_gone(each.node)}


def _backend(place: PublishedPlace) -> Backend:
    return Backend(place.ip, place.port)
