"""The cluster's own network: subnets of nodes and addresses of tasks."""

import pytest
from state_kit import World, texts

from orion.model.container_options import ContainerOptions
from orion.model.errors import Conflict
from orion.model.levels import LEVEL
from orion.model.network import LAST_HOST, Subnet, parse_range, subnet_text
from orion.model.placement_rules import Alongside, PlacementRules
from orion.model.settings import NETWORK, setting_error
from orion.node.leader.subnets import next_without, strangers
from orion.state.check import rebuilt, state_hash
from orion.state.tables.configs import DeleteConfig, PutConfig
from orion.state.tables.subnets import LeaseSubnet, ReleaseSubnets, Subnets

RANGE = parse_range("10.200.0.0/16")


@pytest.fixture
def world():
    made = World(nodes=0)
    made.state.level = LEVEL
    for node in ("node1", "node2"):
        made.register(node, level=LEVEL, labels=(("overlay", "vxlan"),))
    switch(made, "10.200.0.0/16")
    return made


def switch(world, value):
    return world.do(PutConfig(50, NETWORK, value.encode(), None, f"put {world.index}", world.index))


def lease(world, *nodes):
    return [world.do(LeaseSubnet(60, node)) for node in nodes]


def subnets(world):
    return {row.node: subnet_text(row.first) for row in world.state.of(Subnets).rows.values() if not row.network}


def hosts(world, job="web"):
    return [each.ip - RANGE.first for each in world.view.allocations_of_job(job)]


def sound(world):
    assert state_hash(rebuilt(world.state)) == state_hash(world.state)


def test_each_node_has_a_subnet_of_its_own(world):
    first, _ = lease(world, "node1", "node2")
    assert texts(first) == ["node1 has 10.200.1.0/24 of the cluster's network"]
    assert subnets(world) == {"node1": "10.200.1.0/24", "node2": "10.200.2.0/24"}
    assert lease(world, "node1", "node9")[0].events == ()
    assert len(subnets(world)) == 2
    sound(world)


def test_nothing_is_leased_while_there_is_no_network(world):
    world.do(DeleteConfig(50, NETWORK, None, "away", world.index))
    lease(world, "node1")
    assert subnets(world) == {}


def test_the_leader_leases_to_those_that_take_part(world):
    world.register("node3", level=LEVEL)
    assert next_without(world.view) == "node1"
    lease(world, "node1")
    assert next_without(world.view) == "node2"
    lease(world, "node2")
    assert next_without(world.view) is None
    switch(world, "off")
    assert next_without(world.view) is None
    assert strangers(world.view) == [("node1", 0), ("node2", 0)]


def test_tasks_have_addresses_of_their_nodes_subnets(world):
    lease(world, "node1", "node2")
    world.create("web", count=4)
    world.place("web", (0, "node1"), (1, "node2"), (2, "node1"), (3, "node2"))
    assert sorted(hosts(world)) == [256 + 2, 256 + 3, 512 + 2, 512 + 3]
    assert world.state.of(Subnets).default("node1") == Subnet("node1", RANGE.first + 256, 4)
    sound(world)


def test_a_node_without_a_subnet_gives_none(world):
    lease(world, "node1")
    world.create("web", count=2)
    world.place("web", (0, "node1"), (1, "node2"))
    assert sorted(hosts(world)) == [-RANGE.first, 258]


@pytest.mark.parametrize(
    "task",
    [
        {"options": ContainerOptions(network_mode="host")},
        {"options": ContainerOptions(network_mode="none")},
        {"options": ContainerOptions(network_mode="bridge")},
        {"rules": PlacementRules(alongside=Alongside("vpn", network=True))},
    ],
)
def test_who_is_on_another_network_has_none(world, task):
    lease(world, "node1")
    world.create("vpn")
    world.place("vpn", (0, "node1"))
    world.update("running", "vpn")
    world.create("web", **task)
    world.place("web", (0, "node1"))
    assert (hosts(world, "vpn"), hosts(world)) == ([258], [-RANGE.first])


def test_an_address_is_given_again_last(world):
    lease(world, "node1")
    world.create("web", count=2)
    for turn in range(300):
        world.place("web", (0, "node1"))
        (mine,) = [each for each in world.view.allocations_of_slot("web", 0) if not each.terminal]
        assert mine.ip - RANGE.first - 256 == 2 + turn % (LAST_HOST - 1)
        world.update("lost")
    sound(world)


def test_an_address_in_use_is_passed_over(world):
    lease(world, "node1")
    world.create("db")
    world.place("db", (0, "node1"))
    world.create("web", count=LAST_HOST)
    world.place("web", *((index, "node1") for index in range(LAST_HOST - 2)))
    given = hosts(world)
    assert sorted(given) == [256 + host for host in range(3, LAST_HOST + 1)]
    applied = world.place("web", (LAST_HOST - 2, "node1"))
    assert hosts(world)[-1] == -RANGE.first
    assert "node1 has no address left for 1 task" in " ".join(texts(applied))
    sound(world)


def test_addresses_of_one_plan_and_of_the_next_differ(world):
    lease(world, "node1")
    for name in ("one", "two", "three"):
        world.create(name, count=3)
        world.place(name, (0, "node1"), (1, "node1"))
    world.place("one", (2, "node1"))
    given = [ip for name in ("one", "two", "three") for ip in hosts(world, name)]
    assert len(set(given)) == 7


def test_a_subnet_stays_while_its_node_is_down_and_goes_with_it(world):
    lease(world, "node1", "node2")
    world.down("node1")
    assert "node1" in subnets(world)
    world.remove("node1")
    assert subnets(world) == {"node2": "10.200.2.0/24"}
    world.register("node3", level=LEVEL, labels=(("overlay", "vxlan"),))
    lease(world, "node3")
    assert subnets(world)["node3"] == "10.200.1.0/24"
    sound(world)


def test_a_subnet_is_released_once_no_task_has_an_address_of_it(world):
    lease(world, "node1", "node2")
    world.create("web")
    world.place("web", (0, "node1"))
    switch(world, "off")
    assert strangers(world.view) == [("node2", 0)]
    world.do(ReleaseSubnets(70, (("node1", 0), ("node2", 0), ("node9", 0))))
    assert subnets(world) == {"node1": "10.200.1.0/24"}
    world.update("lost")
    world.do(ReleaseSubnets(70, tuple(strangers(world.view))))
    assert subnets(world) == {}
    sound(world)


def test_the_range_stays_while_nodes_have_subnets_of_it(world):
    lease(world, "node1")
    refused = switch(world, "10.201.0.0/16").result
    assert isinstance(refused, Conflict)
    assert "tasks on node1 have addresses of another range, as 10.200.1.0/24" in refused.detail
    assert switch(world, "10.200.0.0/15").result.key == NETWORK
    switch(world, "off")
    assert isinstance(switch(world, "10.201.0.0/16").result, Conflict), "tasks may still have addresses"
    world.do(ReleaseSubnets(70, (("node1", 0),)))
    switch(world, "10.201.0.0/16")
    lease(world, "node1")
    assert subnets(world) == {"node1": "10.201.1.0/24"}


def test_of_nodes_that_share_an_engine_one_has_a_subnet(world):
    for node in ("node1", "node2", "node3"):
        world.register(node, level=LEVEL, labels=(("overlay", "vxlan"),), engine="one", engine_run="run")
    lease(world, "node2")
    assert next_without(world.view) is None
    assert lease(world, "node1", "node3")[0].events == ()
    assert list(subnets(world)) == ["node2"]


def test_a_range_that_is_given_away_says_so(world):
    switch(world, "10.200.0.0/22")
    for number in range(3, 6):
        world.register(f"node{number}", level=LEVEL)
    applied = lease(world, *(f"node{number}" for number in range(1, 6)))
    assert len(subnets(world)) == 3
    assert texts(applied[-1]) == ["node5 has no subnet of the cluster's network: none is left of 10.200.0.0/22"]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("on", "not a range"),
        ("10.200.0.0", "not a range"),
        ("10.200.0.0/33", "not a range"),
        ("10.200.0.256/16", "not a range"),
        ("10.200.0.0/24", "from /8 to /22"),
        ("10.0.0.0/7", "from /8 to /22"),
        ("10.200.1.0/16", "10.200.0.0/16"),
        ("8.8.0.0/16", "others on the internet"),
        ("172.16.0.0/11", "begin where"),
        ("fd00::/64", "not a range"),
    ],
)
def test_what_can_be_no_network_is_refused_in_words(value, words):
    assert words in (setting_error(NETWORK, value.encode()) or "")


@pytest.mark.parametrize("value", ["off", "10.200.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"])
def test_what_can_be_one_is_taken(value):
    assert setting_error(NETWORK, value.encode()) is None
    if value != "off":
        assert str(parse_range(value)) == value
