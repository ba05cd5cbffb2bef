"""Host ports that no task can have as a host port."""

from collections.abc import Callable

from orion.model.ids import NodeId
from orion.model.node import Node
from orion.state.tables.ingress import Ingress
from orion.state.view import View


def closed_ports(view: View) -> Callable[[Node], frozenset[int]]:
    """Returns what says of a node, as port_key, which its engine's nodes listen on, and which are open on every
    node.
    """
    everywhere = frozenset(view.of(Ingress).rows)
    if not everywhere:
        return view.own_ports
    known: dict[NodeId, frozenset[int]] = {}

    def closed(node: Node) -> frozenset[int]:
        if node.id not in known:
            known[node.id] = view.own_ports(node) | everywhere
        return known[node.id]

    return closed
