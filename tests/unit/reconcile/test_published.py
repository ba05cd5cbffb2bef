"""reconcile/published.py: which tasks new connections go to, and which may keep theirs."""

from orion.model.ids import NodeId
from orion.model.ingress import Backend
from orion.model.network import parse_range
from orion.model.published import PublishedPlace, PublishedPort
from orion.reconcile.published import ingress_rules, reached

RANGE = parse_range("10.200.0.0/16")
ONE, TWO, THREE = (RANGE.first + 256 * node + 2 for node in (1, 2, 3))


def place(ip, node, *, ready=True):
    return PublishedPlace(ip, 80, NodeId(node), ready)


PORT = PublishedPort(8080, "tcp", False, (place(ONE, "a"), place(TWO, "b"), place(THREE, "c", ready=False)))


def backends(port, dead=()):
    rules = ingress_rules(RANGE, (), (port,), lambda node: node not in dead)
    return [backend.ip for backend in rules.ports[0].backends]


def test_new_connections_go_to_what_is_ready_on_nodes_that_are_alive():
    assert backends(PORT) == [ONE, TWO]
    assert backends(PORT, dead={"a"}) == [TWO]


def test_where_all_are_in_doubt_one_of_them_is_worth_a_try():
    assert backends(PORT, dead={"a", "b"}) == [ONE, TWO]


def test_a_port_without_a_task_leads_nowhere():
    assert backends(PublishedPort(8080, "tcp", False, ())) == []


def test_connections_live_while_their_task_does_and_its_node_is_not_given_up():
    assert reached((PORT,), lambda _: False) == {Backend(ip, 80) for ip in (ONE, TWO, THREE)}
    assert reached((PORT,), lambda node: node == "a") == {Backend(TWO, 80), Backend(THREE, 80)}
