"""The data of a volume goes to another node: its tasks end first, and are placed where it is then."""

import pytest
from state_kit import World, texts

from orion.model.errors import Conflict, NotFound
from orion.model.levels import LEVEL
from orion.model.volumes import VolumeMount
from orion.state.check import rebuilt, state_hash
from orion.state.tables.volume_changes import CreateVolume, RemoveVolume, SetVolumeData
from orion.state.tables.volume_moves import BeginVolumeMove, EndVolumeMove
from orion.state.tables.volumes import Volumes

DATA = (VolumeMount("/data", "data"),)


@pytest.fixture
def world():
    """Volume data is on node1, with data, and db/0 has it."""
    made = World(nodes=0)
    made.state.level = LEVEL
    for node in ("node1", "node2", "node3"):
        made.register(node, level=LEVEL)
    made.create("db", volumes=DATA)
    made.place("db", (0, "node1"))
    made.do(SetVolumeData(50, "node1", "data", row(made).created_index, "d1"))
    made.update("running", "db")
    return made


def row(world):
    return world.state.of(Volumes).get("data")


def begin(world, to="node2"):
    return world.do(BeginVolumeMove(60, "data", to, f"move {world.index}", world.index))


def end(world, to="node2", reason="", **other):
    said = {"created_index": row(world).created_index, "move": row(world).move, **other}
    return world.do(EndVolumeMove(70, "data", said["created_index"], to, said["move"], reason))


def test_a_move_ends_the_tasks_and_they_are_placed_where_it_went(world):
    assert texts(begin(world)) == ["volume data goes from node1 to node2, once db/0 ended"]
    assert not world.newest("db").wanted
    world.update("stopped", "db")
    for node in ("node1", "node2"):
        world.place("db", (0, node))  # not yet
        assert world.newest("db").terminal
    assert isinstance(world.do(RemoveVolume(65, "data", 0, "rm", world.index)).result, Conflict)
    assert texts(end(world)) == ["volume data is on node2 now, no more on node1"]
    assert (row(world).home, row(world).moving_to, row(world).data) == ("node2", "", f"d1.{row(world).move}")
    world.place("db", (0, "node1"))
    assert world.newest("db").terminal
    world.place("db", (0, "node2"))
    assert world.newest("db").node == "node2"
    assert state_hash(rebuilt(world.state)) == state_hash(world.state)


def test_each_move_names_the_data_anew(world):
    names = [row(world).data]
    for to in ("node2", "node1", "node2"):
        begin(world, to)
        end(world, to)
        names.append(row(world).data)
    assert len(set(names)) == 4
    assert all(name.startswith("d1") for name in names)


def test_an_end_of_another_move_is_void(world):
    begin(world)
    former = row(world)
    for other in ({"move": former.move - 1}, {"created_index": 1}, {"to": "node3"}):
        end(world, **other)
        assert row(world) == former
    end(world)
    now = row(world)
    end(world, move=former.move)
    assert row(world) == now


def test_a_move_that_fails_or_is_called_off_leaves_it_where_it_is(world):
    begin(world)
    assert texts(end(world, reason="node2 is down")) == ["volume data stays as it is, on node1: node2 is down"]
    assert (row(world).home, row(world).moving_to, row(world).data) == ("node1", "", "d1")
    begin(world)
    assert texts(begin(world, "")) == ["volume data stays as it is, on node1: it was called off"]
    assert begin(world, "").events == ()
    world.update("stopped", "db")
    world.place("db", (0, "node1"))
    assert world.newest("db").wanted


def test_a_move_that_can_not_be_is_refused(world):
    assert isinstance(begin(world, "node9").result, NotFound)
    world.down("node3")
    with pytest.raises(Conflict, match="node3 is down"):
        raise begin(world, "node3").result
    begin(world)
    assert begin(world).result == "data"  # it is on its way there
    world.register("node3", level=LEVEL)
    with pytest.raises(Conflict, match="is being moved from node1 to node2"):
        raise begin(world, "node3").result
    begin(world, "")
    assert begin(world, "node1").result == "data"
    assert not row(world).moving_to
    world.down("node1")
    with pytest.raises(Conflict, match="is on node1, which is down: its data can't be read now"):
        raise begin(world).result


def test_a_volume_without_data_is_just_where_it_is_to_be(world):
    world.do(CreateVolume(40, "new", (), "create", world.index))
    world.do(BeginVolumeMove(60, "new", "node3", "move", world.index))
    found = world.state.of(Volumes).get("new")
    assert (found.home, found.moving_to) == ("node3", "")
    world.create("late", volumes=(VolumeMount("/data", "new"),))
    world.place("late", (0, "node3"))
    refused = world.do(BeginVolumeMove(60, "new", "node1", "move again", world.index)).result
    assert isinstance(refused, Conflict)
    assert "is being made on node3" in refused.detail


def restore(world, to="node2", name="data"):
    return world.do(BeginVolumeMove(60, name, to, f"restore {world.index}", world.index, restores=True))


def test_a_volume_is_restored_while_nobody_has_it(world):
    with pytest.raises(Conflict, match="is in use by db/0 on node1: stop db first"):
        raise restore(world).result
    world.stop("db")
    world.update("stopped", "db")
    assert texts(restore(world)) == ["volume data is being restored on node2"]
    assert isinstance(begin(world, "node3").result, Conflict)
    assert texts(end(world)) == ["volume data was restored on node2"]
    assert (row(world).home, row(world).restores) == ("node2", False)
    assert row(world).data != "d1"
    assert state_hash(rebuilt(world.state)) == state_hash(world.state)


def test_a_volume_that_is_not_there_is_made_by_its_restore(world):
    assert isinstance(restore(world, "node9", "new").result, NotFound)
    assert restore(world, "node3", "new").result == "new"
    found = world.state.of(Volumes).get("new")
    world.do(EndVolumeMove(70, "new", found.created_index, "node3", found.move, "it did not come whole"))
    found = world.state.of(Volumes).get("new")
    assert (found.home, found.data, found.moving_to) == ("node3", "", "")
