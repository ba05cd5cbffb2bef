"""The cluster's level rises when all registered nodes understand the next one, and never goes back."""

import pytest
from state_kit import World, registration, tables, texts

from orion.model import levels
from orion.model.errors import Outdated, TooNew
from orion.state import gate
from orion.state.check import rebuilt
from orion.state.core.features import Need
from orion.state.core.frames import Header
from orion.state.restore import Restorer
from orion.state.snapshot import capture, encode


@pytest.fixture(autouse=True)
def second_level(monkeypatch):
    monkeypatch.setitem(levels.LEVELS, 2, "colours")
    monkeypatch.setattr(levels, "_WORDS", {})
    monkeypatch.setattr(gate, "LEVEL", 2)


def world_of(*nodes):
    """A cluster that began with former builds, some of which are newer by now."""
    world = World()
    for number in range(1, len(nodes) + 1):
        register(world, f"node{number}", 1)
    for number, level in enumerate(nodes, 1):
        register(world, f"node{number}", level)
    return world


def register(world, node, level):
    return world.register(node, level=level, version=f"0.{level}")


def test_it_rises_with_the_last_node_that_understands():
    world = world_of(1, 1, 1)
    assert register(world, "node1", 2).events[-1].kind == "NodeChanged"
    register(world, "node3", 2)
    assert world.view.level == 1
    applied = register(world, "node2", 2)
    assert world.view.level == 2
    assert "all nodes understand level 2 now: colours" in texts(applied)


def test_a_node_that_is_down_holds_it_back_until_it_is_removed():
    world = world_of(2, 1)
    world.down("node2")
    assert world.view.level == 1
    assert "all nodes understand level 2 now: colours" in texts(world.remove("node2"))
    assert world.view.level == 2


def test_a_node_that_comes_back_with_a_former_build_holds_it_back():
    world = world_of(1, 2, 1)
    register(world, "node2", 1)
    register(world, "node1", 2)
    register(world, "node3", 2)
    assert world.view.level == 1


def test_it_never_goes_back_and_a_former_build_is_told_what_to_run():
    world = world_of(2, 2)
    for node in ("node1", "node9"):
        refusal = world.refused(registration(node, level=1, version="0.1"))
        assert isinstance(refusal, Outdated)
        assert f"{node} runs orion 0.1, which is too old for this cluster" in refusal.detail
        assert "risen to 2; start it with orion 0.2" in refusal.detail
    assert world.view.level == 2


def test_it_is_kept_in_snapshots():
    assert rebuilt(world_of(2, 2).state).level == 2
    assert rebuilt(world_of(2, 1).state).level == 1


def test_a_cluster_without_nodes_stays_where_it_is():
    world = world_of(2)
    world.down("node1")
    world.remove("node1")
    assert world.view.level == 2


def test_a_build_that_does_not_understand_what_comes_stops(monkeypatch):
    world = world_of(2, 1)
    monkeypatch.setattr(gate, "LEVEL", 1)
    world.down("node2")
    before = tables(world.state)
    with pytest.raises(Outdated, match=r"the cluster is at level 2, and this version of orion understands 1"):
        register(world, "node2", 2)
    with pytest.raises(Outdated, match=r"it has to be orion 0\.2"):
        world.remove("node2")
    assert tables(world.state) == before


def test_a_snapshot_above_this_build_is_refused_before_anything_of_it_is_read(monkeypatch):
    chunk = b"".join(encode(capture(world_of(2).state)))
    monkeypatch.setattr(gate, "LEVEL", 1)
    with pytest.raises(Outdated, match="the snapshot is at level 2"):
        Restorer().feed(chunk)


def test_levels_are_the_last_of_the_header():
    assert Header.__struct_fields__[-1] == "level"


def test_what_is_too_new_names_who_does_not_understand_it():
    world = world_of(2, 1)
    error = gate.too_new(Need(2, "Part.colour"), world.view)
    assert isinstance(error, TooNew)
    assert error.detail.startswith("not all nodes understand Part.colour yet, which is of level 2: node2 (0.1);")


def test_the_outlook_says_who_keeps_it_down():
    assert gate.outlook(world_of(2, 1).view.nodes(), 1).endswith("still to come node2 (0.1)")
    assert gate.outlook(world_of(1, 1).view.nodes(), 1) == ""
    assert gate.outlook(world_of(2, 2).view.nodes(), 2) == ""
