"""Networks by name: made and removed, named by jobs, with subnets of nodes and addresses of tasks."""

import pytest
from state_kit import World, creation, texts

from orion.model.errors import Conflict, NotFound, Refused
from orion.model.firewall import MAX_NETWORKS
from orion.model.levels import LEVEL
from orion.model.network import MAX_NUMBER, parse_range, subnet_text
from orion.model.settings import NETWORK
from orion.node.leader.subnets import idle, strangers, waiting_for_addresses
from orion.state.check import rebuilt, state_hash
from orion.state.tables import networks
from orion.state.tables.configs import PutConfig
from orion.state.tables.job_changes import PutJob
from orion.state.tables.late_addresses import GiveAddresses
from orion.state.tables.network_changes import CreateNetwork, RemoveNetwork
from orion.state.tables.networks import Networks
from orion.state.tables.subnets import LeaseSubnet, ReleaseSubnets, Subnets

RANGE = parse_range("10.200.0.0/16")


def job(name, count, **task):
    return creation(name, count, **task).job


@pytest.fixture
def world():
    made = World(nodes=0)
    made.state.level = LEVEL
    for node in ("node1", "node2"):
        made.register(node, level=LEVEL, labels=(("overlay", "vxlan"),))
    made.do(PutConfig(50, NETWORK, b"10.200.0.0/16", None, "on", made.index))
    for node in ("node1", "node2"):
        made.do(LeaseSubnet(60, node))
    return made


def create(world, name, *, internal=False):
    return world.do(CreateNetwork(40, name, internal, f"create {world.index}", world.index))


def remove(world, name):
    return world.do(RemoveNetwork(45, name, f"remove {world.index}", world.index))


def number(world, name):
    return world.state.of(Networks).number(name)


def subnets(world):
    return {key: subnet_text(row.first) for key, row in world.state.of(Subnets).rows.items()}


def addresses(world, job_name="web"):
    return [
        tuple(ip - RANGE.first for ip in each.addresses)
        for each in world.view.allocations_of_job(job_name)
        if not each.terminal
    ]


def sound(world):
    assert state_hash(rebuilt(world.state)) == state_hash(world.state)


def test_a_network_is_made_once_and_has_a_number_of_its_own(world):
    assert texts(create(world, "front")) == ["network front created"]
    assert texts(create(world, "back", internal=True)) == ["network back created, without a way out"]
    assert isinstance(create(world, "front").result, Conflict)
    assert isinstance(create(world, "default").result, Conflict)
    assert isinstance(create(world, "Front").result, Refused)
    assert 0 < number(world, "front") != number(world, "back") > 0
    assert world.state.of(Networks).get("back").internal
    sound(world)


def test_a_number_is_not_given_again_to_the_next(world):
    create(world, "front")
    first = number(world, "front")
    remove(world, "front")
    create(world, "front")
    assert number(world, "front") != first


def test_numbers_that_are_taken_are_passed_over(world):
    create(world, "one")
    taken = number(world, "one")
    world.index = MAX_NUMBER + taken - 2
    create(world, "two")
    assert number(world, "two") == taken + 1


def test_a_job_on_a_network_that_is_not_there_is_refused_with_those_that_are(world):
    create(world, "back")
    refused = world.refused(creation("web", 1, "k", since=world.index, networks=("front",)))
    assert "asks for a network front, which there is not; there are: default, back." in refused.detail
    world.create("web")
    wrong = PutJob(60, job("web", 1, networks=("front",)), "put", world.index)
    assert isinstance(world.refused(wrong), Refused)


def test_a_task_has_an_address_on_each_network_and_its_node_a_subnet_from_then_on(world):
    create(world, "front")
    create(world, "back")
    assert len(subnets(world)) == 2
    world.create("web", count=3, networks=("front", "default", "back"))
    placed = world.place("web", (0, "node1"), (1, "node1"))
    assert "node1 has 10.200.3.0/24 of network front" in texts(placed)
    assert addresses(world) == [(768 + 2, 256 + 2, 1024 + 2), (768 + 3, 256 + 3, 1024 + 3)]
    assert ("node2", number(world, "front")) not in subnets(world)
    world.place("web", (2, "node2"))
    assert addresses(world)[-1] == (1280 + 2, 512 + 2, 1536 + 2)
    sound(world)


def test_a_task_that_names_no_network_is_on_the_default_one_alone(world):
    world.create("web")
    world.place("web", (0, "node1"))
    (allocation,) = world.view.allocations_of_job("web")
    assert (allocation.ip - RANGE.first, allocation.more_ips) == (258, ())


def test_a_node_that_takes_no_part_gives_no_address(world):
    world.register("node3", level=LEVEL)
    create(world, "front")
    world.create("web", networks=("front",))
    world.place("web", (0, "node3"))
    assert addresses(world) == [()]


def test_a_task_on_a_network_by_name_needs_a_node_that_takes_part(world):
    assert ("overlay", "vxlan") in job("web", 1, networks=("front",)).task.node_labels
    assert job("web", 1).task.node_labels == ()


def test_a_node_is_on_so_many_networks_and_no_more(world):
    for at in range(MAX_NETWORKS):
        create(world, f"n{at}")
        world.create(f"web{at}", networks=(f"n{at}",))
        applied = world.place(f"web{at}", (0, "node1"))
    assert addresses(world, f"web{MAX_NETWORKS - 2}") != [()]
    assert addresses(world, f"web{MAX_NETWORKS - 1}") == [()]
    assert "it is on 64 networks, the most" in " ".join(texts(applied))


def test_a_network_stays_while_a_job_names_it_or_tasks_have_addresses_of_it(world):
    create(world, "front")
    world.create("web", networks=("front",))
    world.place("web", (0, "node1"))
    refused = remove(world, "front").result
    assert isinstance(refused, Conflict)
    assert "named by web, now or in a version that is kept" in refused.detail
    assert isinstance(remove(world, "default").result, Conflict)
    assert isinstance(remove(world, "none").result, NotFound)
    world.update("running")
    world.rm()
    assert isinstance(remove(world, "front").result, Conflict), "its last task has not ended"
    world.update("stopped")
    assert texts(remove(world, "front")) == ["network front was removed"]
    assert {network for _, network in subnets(world)} == {0}
    sound(world)


def test_a_subnet_that_no_task_uses_is_released_and_the_default_one_stays(world):
    create(world, "front")
    world.create("web", networks=("front",))
    world.place("web", (0, "node1"))
    front = ("node1", number(world, "front"))
    assert idle(world.view) == []
    world.do(ReleaseSubnets(70, (front,)))
    assert front in subnets(world)
    world.update("lost")
    assert idle(world.view) == [front]
    world.do(ReleaseSubnets(70, (("node1", 0),)))
    assert ("node1", 0) in subnets(world), "the others of the node go first"
    world.do(ReleaseSubnets(70, (front,)))
    assert set(subnets(world)) == {("node1", 0), ("node2", 0)}
    sound(world)


def test_all_subnets_of_a_node_go_with_it_and_with_the_range(world):
    create(world, "front")
    world.create("web", count=2, networks=("front",))
    world.place("web", (0, "node1"), (1, "node2"))
    world.down("node1")
    world.remove("node1")
    assert {node for node, _ in subnets(world)} == {"node2"}
    world.do(PutConfig(50, NETWORK, b"off", None, "off", world.index))
    assert strangers(world.view) == [("node2", 0)]
    world.update("lost", index=1)
    world.do(ReleaseSubnets(70, tuple(strangers(world.view))))
    assert subnets(world) == {}
    sound(world)


def test_names_in_a_refusal_are_bounded(world, monkeypatch):
    monkeypatch.setattr(networks, "_SHOWN", 2)
    create(world, "a")
    create(world, "b")
    assert "default, a and 1 more" in world.refused(creation("w", 1, "k", since=99, networks=("c",))).detail


def test_a_task_that_was_placed_without_an_address_is_given_one_once_there_is(world):
    world.register("node3", level=LEVEL, labels=(("overlay", "vxlan"),))
    create(world, "front")
    world.create("web", networks=("front", "default"))
    world.place("web", (0, "node3"))
    assert addresses(world) == [()]
    assert waiting_for_addresses(world.view) == [], "its node has no subnet yet"
    world.do(LeaseSubnet(60, "node3"))
    (waiting,) = waiting_for_addresses(world.view)
    world.do(GiveAddresses(80, (waiting, 99)))
    assert addresses(world) == [(1024 + 2, 768 + 2)]
    assert waiting_for_addresses(world.view) == []
    before = addresses(world)
    world.do(GiveAddresses(80, (waiting,)))
    assert addresses(world) == before
    sound(world)


def test_a_task_that_has_a_container_keeps_the_addresses_that_it_has(world):
    create(world, "front")
    world.create("web", networks=("front",))
    world.register("node3", level=LEVEL, labels=(("overlay", "vxlan"),))
    world.place("web", (0, "node3"))
    world.update("running", container="c1")
    world.do(LeaseSubnet(60, "node3"))
    world.do(GiveAddresses(80, (world.newest().id,)))
    assert addresses(world) == [()]
