"""reconcile/published.py: which tasks new connections go to, and which may keep theirs."""

from orion.model.ids import NodeId
from orion.model.network import parse_range
from orion.model.published import PublishedPlace, PublishedPort
from orion.reconcile.published import ingress_rules

RANGE = parse_range("10.200.0.0/16")
ONE, TWO, THREE = (RANGE.first + 256 * node + 2 for node in (1, 2, 3))


def place(ip, node, *, ready=True):
    return PublishedPlace(ip, 80, NodeId(node), ready)


PORT = PublishedPort(8080, "tcp", False, (place(ONE, "a"), place(TWO, "b"), place(THREE, "c", ready=False)))


def backends(port, suspect=(), gone=()):
    rules = ingress_rules(
        RANGE, (), (port,), is_alive=lambda n: n not in (*suspect, *gone), is_gone=lambda n: n in gone
    )
    return [backend.ip for backend in rules.ports[0].backends]


def test_new_connections_go_to_what_is_ready_on_nodes_that_are_alive():
    assert backends(PORT) == [ONE, TWO]
    assert backends(PORT, suspect={"a"}) == [TWO]
    assert backends(PORT, gone={"a"}) == [TWO]


def test_where_no_other_is_left_what_is_in_doubt_is_worth_a_try():
    assert backends(PORT, suspect={"a"}, gone={"b"}) == [ONE]
    assert backends(PORT, gone={"a", "b"}) == [ONE, TWO]


def test_a_port_without_a_task_leads_nowhere():
    assert backends(PublishedPort(8080, "tcp", False, ())) == []
