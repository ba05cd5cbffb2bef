"""Labels that are said over what a node says of itself."""

import msgspec
import pytest
from state_kit import World, registration, texts

from orion.model.errors import NotFound, Refused
from orion.model.labels import MAX_CHANGES
from orion.state.check import check, rebuilt
from orion.state.tables.node_labels import LabelNode

OWN = (("disk", "hdd"), ("id", "node1"))


@pytest.fixture
def world():
    made = World(nodes=1)
    made.register("node1", labels=OWN)
    return made


def labels(world):
    check(world.state)
    return dict(world.view.node("node1").labels)


def test_what_is_said_stands_over_what_the_node_says(world):
    applied = world.label("node1", disk="ssd", zone="b")
    assert applied.result == "node1"
    assert texts(applied) == ["node1 has the labels disk=ssd zone=b now"]
    assert labels(world) == {"disk": "ssd", "id": "node1", "zone": "b"}


def test_a_label_of_the_node_s_own_can_be_taken_away(world):
    assert texts(world.label("node1", disk=None)) == ["node1 has no label disk any more"]
    assert labels(world) == {"id": "node1"}
    assert texts(world.label("node1", disk="hdd")) == ["node1 has the label disk=hdd now"]


def test_what_is_said_survives_the_nodes_restarts_and_its_disk(world):
    world.label("node1", disk=None, zone="b")
    said = {"id": "node1", "zone": "b"}
    assert texts(world.register("node1", labels=OWN)) == []
    assert labels(world) == said
    world.down("node1")
    world.register("node1", labels=OWN)
    assert labels(world) == said
    world.register("node1", raft=99, labels=OWN, replaces=True)
    assert labels(world) == said
    assert rebuilt(world.state).view.node("node1") == world.view.node("node1")


def test_what_was_taken_away_and_is_nobody_s_is_forgotten(world):
    world.label("node1", zone="b")
    world.label("node1", zone=None)
    world.label("node1", nothing=None)
    assert world.view.node("node1").label_changes == ()
    world.register("node1", labels=(*OWN, ("zone", "c")))
    assert labels(world)["zone"] == "c"


def test_what_changes_nothing_tells_nothing(world):
    world.label("node1", zone="b")
    epoch = world.state.facts_epoch
    assert texts(world.label("node1", zone="b")) == []
    assert world.state.facts_epoch == epoch


def test_a_task_that_waits_for_a_label_is_worth_another_try(world):
    epoch = world.view.capacity_epoch
    world.label("node1", zone="b")
    assert world.view.capacity_epoch != epoch


@pytest.mark.parametrize("wrong", [{"": "x"}, {"zone": "b c"}, {"id": "node2"}, {"hostname": None}])
def test_what_can_be_no_label_is_refused(world, wrong):
    assert isinstance(world.refused(command(world, wrong)), Refused)


def test_too_many_are_refused(world):
    world.do(command(world, {f"key{n}": "x" for n in range(MAX_CHANGES)}))
    assert isinstance(world.refused(command(world, {"more": "x"})), Refused)


def test_of_no_node(world):
    assert isinstance(world.refused(LabelNode(1, "node9", (("a", "b"),), "key", world.index)), NotFound)


def test_a_late_copy_changes_nothing(world):
    first = LabelNode(1, "node1", (("zone", "a"),), "key", world.index)
    world.do(first)
    world.label("node1", zone="b")
    assert world.do(first).result == "node1"
    assert labels(world)["zone"] == "b"


def test_a_removed_node_begins_anew(world):
    world.label("node1", zone="b")
    world.down("node1")
    world.remove("node1")
    world.do(msgspec.structs.replace(registration("node1", 77), labels=OWN))
    assert labels(world) == dict(OWN)


def command(world, wanted):
    return LabelNode(1, "node1", tuple(sorted(wanted.items())), f"key {world.index}", world.index)
