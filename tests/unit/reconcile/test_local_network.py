"""A node's part of the cluster's networks, and routes of containers on several."""

from orion.model.network import DEFAULT, ClusterNetwork, NamedNetwork, NetworkPeer, parse_range
from orion.model.overlay import Route
from orion.reconcile.container_routes import container_routes, surplus
from orion.reconcile.local_network import device_name, local_network, number_of

RANGE = parse_range("10.200.0.0/16")


def peers(*numbers):
    """Of node1, node2, … the subnets with these numbers."""
    found = enumerate(numbers, 1)
    return tuple(NetworkPeer(f"node{at}", RANGE.first + 256 * n, f"10.77.0.{at}") for at, n in found if n)


NETWORK = ClusterNetwork(
    RANGE,
    peers(1, 2, 3),
    (
        NamedNetwork("front", 7, internal=False, peers=peers(4, 5, 0)),
        NamedNetwork("back", 9, internal=True, peers=peers(6, 0, 8)),
    ),
)


def parts(node="node1"):
    made = local_network(NETWORK, node, 5, underlay="10.77.0.1", underlay_mtu=1500)
    return {part.name: part for part in made.parts}, made.rules


def test_a_node_has_the_networks_of_which_it_has_a_subnet_the_default_one_first():
    assert list(parts("node1")[0]) == [DEFAULT, "front", "back"]
    assert list(parts("node2")[0]) == [DEFAULT, "front"]
    assert list(parts("node3")[0]) == [DEFAULT, "back"]


def test_each_network_has_its_own_device_bridge_and_peers():
    made, rules = parts()
    front = made["front"]
    assert (front.device.name, front.device.vni, front.device.address) == ("orion7.vx", 4207, "10.200.4.0")
    assert (front.engine.name, front.engine.bridge, front.engine.gateway) == ("orion7", "orion7", "10.200.4.1")
    assert [(peer.subnet, peer.underlay) for peer in front.peers] == [("10.200.5.0/24", "10.77.0.2")]
    default = made[DEFAULT]
    assert (default.device.name, default.device.vni) == ("orion.vx", 4200)
    assert (default.engine.name, default.engine.bridge) == ("orion", "orion0")
    assert len({part.device.mac for part in made.values()}) == 3
    assert [(each.name, each.internal) for each in rules.networks] == [
        (DEFAULT, False),
        ("front", False),
        ("back", True),
    ]


def test_names_of_devices_say_which_network_they_are_for():
    for number in (0, 7, 1_000_000):
        assert number_of(device_name(number)) == number
        assert len(device_name(number)) <= 15
    assert number_of("orion.vxx") is number_of("eth0") is number_of("orionx.vx") is None


def test_a_container_on_several_networks_has_routes_to_other_nodes_and_leaves_by_one_that_is_not_internal():
    made, _ = parts()
    front, back = made["front"], made["back"]
    assert container_routes([front]) == ()
    there = {Route("10.200.5.0/24", "10.200.4.1"), Route("10.200.8.0/24", "10.200.6.1")}
    assert set(container_routes([back, front])) == {*there, Route("0.0.0.0/0", "10.200.4.1")}
    assert Route("0.0.0.0/0", "10.200.4.1") in container_routes([front, back, made[DEFAULT]])


def test_what_is_too_much_is_former_routes_of_ours_alone():
    wanted = [Route("10.200.5.0/24", "10.200.4.1"), Route("0.0.0.0/0", "10.200.4.1")]
    former, own = Route("10.200.9.0/24", "10.200.4.1"), Route("192.168.0.0/16", "10.8.0.1")
    assert surplus(wanted, [*wanted, former, own]) == [former]
    assert surplus(wanted, [Route("0.0.0.0/0", "10.200.6.1")]) == [], "it is replaced"
