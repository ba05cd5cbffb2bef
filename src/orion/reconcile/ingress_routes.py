"""The rules and routes by which answers leave through the node that their connection came by.

A packet with the mark of a node that comes from a bridge goes to a table with one route, by way of that node. The
bridge is a part of the rule: a packet of VXLAN has the mark of the packet within, and would go in circles.
Packets without such a mark, which are almost all, skip those rules: there is one for each node.
"""

from collections.abc import Iterator

import msgspec

from orion.model.ingress import IngressRules, range_of
from orion.reconcile.ingress import MARK, number_of

# Of rules and routes, by which they are known. No routing daemon has it (/etc/iproute2/rt_protos).
PROTOCOL = 79
# Before those of Tailscale (5210 to 5270) and wg-quick (below 32764), which lead elsewhere by default.
SKIP_PRIORITY, MARK_PRIORITY, END_PRIORITY = 4_200, 4_201, 4_202


class MarkRule(msgspec.Struct, frozen=True, order=True):
    """Packets from `bridge` that have `mark` are routed by `table`."""

    bridge: str
    mark: int
    table: int


class ReturnRoute(msgspec.Struct, frozen=True, order=True):
    """The only route of `table`: to everywhere, by way of another node's address on a VXLAN device."""

    table: int
    vxlan: str
    gateway: str


class Returns(msgspec.Struct, frozen=True):
    rules: frozenset[MarkRule]
    routes: frozenset[ReturnRoute]


def returns(rules: IngressRules) -> Returns:
    made = tuple(_made(rules))
    return Returns(frozenset(rule for rule, _ in made), frozenset(route for _, route in made))


def _made(rules: IngressRules) -> Iterator[tuple[MarkRule, ReturnRoute]]:
    """A gateway is of one node in one network, and so its address, as a number, is a table that nobody else has."""
    for network in rules.networks:
        for peer in network.peers:
            found = range_of(f"{peer.gateway}/32")
            assert found is not None
            table = int(found.network_address)
            mark = MARK | number_of(peer.gateway, rules.cluster_range)
            yield MarkRule(network.bridge, mark, table), ReturnRoute(table, network.vxlan, peer.gateway)
