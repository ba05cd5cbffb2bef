"""The routes of a container on several networks.

An engine gives a container one way out, and a route to the node's own subnet of each network. Other nodes' subnets
of the further networks would be looked for on the way out, with an address that is not of their network.
"""

from collections.abc import Iterable, Sequence

from orion.model.overlay import Route
from orion.reconcile.local_network import LocalPart

WAY_OUT = "0.0.0.0/0"


def container_routes(parts: Sequence[LocalPart]) -> tuple[Route, ...]:
    """Returns those of a container that is on these networks, in its job's order: to other nodes by their network,
    and elsewhere by the first that is not internal.
    """
    if len(parts) < 2:
        return ()
    out = next((part for part in parts if not part.internal), parts[0])
    there = (Route(peer.subnet, part.engine.gateway) for part in parts for peer in part.peers)
    return (*there, Route(WAY_OUT, out.engine.gateway))


def surplus(wanted: Iterable[Route], found: Iterable[Route]) -> list[Route]:
    """Returns what is too much: former routes of Orion's. What the container made itself is its own."""
    routes = {(route.subnet, route.metric): route for route in wanted}
    gateways = {route.gateway for route in routes.values()}
    return [each for each in found if each.gateway in gateways and (each.subnet, each.metric) not in routes]
