"""Volumes: made, given data by their home, removed when nobody uses them."""

import pytest
from msgspec.structs import replace
from state_kit import World, creation, texts

from orion.model.csi import AccessMode
from orion.model.errors import Conflict, NotFound, Refused
from orion.model.job import JobKind
from orion.model.levels import LEVEL
from orion.model.storage import SystemPart
from orion.model.update import UpdateOrder, UpdatePolicy
from orion.model.volumes import MAX_VOLUMES, Volume, VolumeKind, VolumeMount
from orion.state.check import rebuilt, state_hash
from orion.state.tables import volumes
from orion.state.tables.job_changes import PutJob, SetJobCount
from orion.state.tables.volume_changes import CreateVolume, RemoveVolume, SetVolumeData
from orion.state.tables.volumes import Volumes

DATA = (VolumeMount("/data", "data"),)


@pytest.fixture
def world():
    made = World(nodes=0)
    made.state.level = LEVEL
    for node in ("node1", "node2"):
        made.register(node, level=LEVEL)
    return made


def row(world, name="data"):
    return world.state.of(Volumes).get(name)


def create(world, name="data", **labels):
    return world.do(CreateVolume(40, name, tuple(labels.items()), f"create {world.index}", world.index))


def remove(world, name="data", created_index=0):
    return world.do(RemoveVolume(45, name, created_index, f"remove {world.index}", world.index))


def give_data(world, node="node1", name="data", data="d1", created_index=None):
    created_index = row(world, name).created_index if created_index is None else created_index
    return world.do(SetVolumeData(50, node, name, created_index, data)).result


def sound(world):
    assert state_hash(rebuilt(world.state)) == state_hash(world.state)


def test_a_volume_is_made_and_removed(world):
    assert texts(create(world, tier="gold")) == ["volume data created"]
    assert (row(world).home, row(world).labels) == ("", (("tier", "gold"),))
    assert isinstance(create(world).result, Conflict)
    assert isinstance(create(world, "-x").result, Refused)
    assert isinstance(create(world, "a/b").result, Refused)
    assert create(world, "d").result == "d"
    sound(world)
    assert isinstance(remove(world, created_index=1).result, NotFound)
    assert texts(remove(world)) == ["volume data was removed"]
    assert isinstance(remove(world).result, NotFound)
    sound(world)


def test_a_volume_that_is_used_is_not_removed(world):
    world.create("db", volumes=DATA)
    assert row(world) is None
    placed = world.place("db", (0, "node1"))
    assert "volume data is made on node1 for db/0" in texts(placed)
    assert row(world).home == "node1"
    world.create("backup", volumes=DATA)
    with pytest.raises(Conflict, match="volume data is used by backup, db, now or in a version"):
        raise remove(world).result
    world.rm("backup")
    world.rm("db")
    assert isinstance(remove(world).result, Conflict)  # its task has yet to end
    world.update("stopped", "db")
    assert texts(remove(world)) == ["volume data was removed from node1"]
    sound(world)


def test_a_stopped_job_and_a_version_that_is_kept_use_it(world):
    world.do(PutJob(20, creation("db", volumes=DATA).job, "put", world.index))
    world.do(PutJob(20, creation("db").job, "put 2", world.index))
    create(world)
    world.stop("db")
    assert isinstance(remove(world).result, Conflict)


def test_a_slot_uses_its_own_volume(world):
    world.do(
        PutJob(20, creation("db", 2, volumes=(VolumeMount("/d", "data", per_slot=True),)).job, "p", world.index)
    )
    for name in ("data-0", "data-1", "data-2", "data-x", "data"):
        create(world, name)
    assert [isinstance(remove(world, name).result, Conflict) for name in ("data-0", "data-1")] == [True, True]
    assert [remove(world, name).result for name in ("data-2", "data-x", "data")] == ["data-2", "data-x", "data"]
    world.do(SetJobCount(20, "db", 1, "count", world.index))
    assert remove(world, "data-1").result == "data-1"


def test_a_home_says_once_that_it_has_made_the_data(world):
    world.create("db", volumes=DATA)
    world.place("db", (0, "node1"))
    assert isinstance(give_data(world, created_index=3), NotFound)
    assert isinstance(give_data(world, "node2"), Conflict)
    assert give_data(world) == "data"
    assert give_data(world) == "data"  # its answer may have been lost
    with pytest.raises(Conflict, match="has data already"):
        raise give_data(world, data="d2")
    assert row(world).data == "d1"
    sound(world)


def test_a_plan_that_is_out_of_date_takes_no_volume_elsewhere(world):
    world.create("db", volumes=DATA)
    world.place("db", (0, "node1"))
    give_data(world)
    world.create("other", 2, volumes=DATA)
    world.place("other", (0, "node2"), (1, "node1"))
    assert [each.node for each in world.view.allocations_of_job("other")] == ["node1"]
    assert row(world).home == "node1"


def test_a_volume_is_not_made_anew_while_a_task_is_where_it_was_to_be(world):
    world.create("db", volumes=DATA)
    world.place("db", (0, "node1"))
    world.create("other", volumes=DATA)
    world.place("other", (0, "node2"))
    assert world.view.allocations_of_job("other") == []
    world.down("node1")
    world.place("other", (0, "node2"))
    assert row(world).home == "node2"
    assert isinstance(give_data(world, "node1"), Conflict)


def test_jobs_that_can_not_be_are_refused(world):
    system = creation("agent", volumes=DATA, kind=JobKind.SYSTEM).job
    with pytest.raises(Refused, match="agent has a task on each node, and volume data is on one of them"):
        raise world.do(PutJob(20, system, "put", world.index)).result
    first = replace(creation("db", volumes=DATA).job, update=UpdatePolicy(order=UpdateOrder.START_FIRST))
    with pytest.raises(Refused, match="db writes to volume data, so that its new task can't start beside"):
        raise world.do(PutJob(20, first, "put 2", world.index)).result
    reads = creation("db", volumes=(VolumeMount("/data", "data", read_only=True),)).job
    reads = replace(reads, update=UpdatePolicy(order=UpdateOrder.START_FIRST))
    assert world.do(PutJob(20, reads, "put 3", world.index)).result == "db"
    many = creation("many", MAX_VOLUMES + 1, volumes=(VolumeMount("/d", "m", per_slot=True),)).job
    with pytest.raises(Refused, match="many needs 10,001 more volumes; there are 0, and can be 10,000"):
        raise world.do(PutJob(20, many, "put 4", world.index)).result


def test_what_many_nodes_may_write_to_is_no_hindrance(world):
    system = SystemPart(AccessMode.MULTI_NODE_MULTI_WRITER)
    world.state.of(Volumes).put(
        Volume("data", VolumeKind.CSI, created_index=1, data="d", driver="x", system=system)
    )
    agent = creation("agent", volumes=DATA, kind=JobKind.SYSTEM).job
    assert world.do(PutJob(20, agent, "put", world.index)).result == "agent"
    first = replace(creation("db", volumes=DATA).job, update=UpdatePolicy(order=UpdateOrder.START_FIRST))
    assert world.do(PutJob(20, first, "put 2", world.index)).result == "db"


def test_what_can_only_be_read_is_mounted_so(world):
    system = SystemPart(AccessMode.MULTI_NODE_READER_ONLY)
    world.state.of(Volumes).put(
        Volume("data", VolumeKind.CSI, created_index=1, data="d", driver="x", system=system)
    )
    writes = creation("db", volumes=DATA).job
    with pytest.raises(Refused, match="volume data is multi-node-reader-only: db has to mount it read-only"):
        raise world.do(PutJob(20, writes, "put", world.index)).result
    reads = creation("db", volumes=(replace(DATA[0], read_only=True),)).job
    assert world.do(PutJob(20, reads, "put 2", world.index)).result == "db"


def test_there_are_no_more_volumes_than_there_can_be(world, monkeypatch):
    monkeypatch.setattr(volumes, "MAX_VOLUMES", 1)
    world.create("db", volumes=DATA)
    world.create("other", volumes=(VolumeMount("/data", "logs"),))
    world.place("db", (0, "node1"))
    world.place("other", (0, "node1"))
    assert list(world.state.of(Volumes).rows) == ["data"]
    assert world.view.allocations_of_job("other") == []


@pytest.mark.parametrize(
    "mount",
    [
        VolumeMount("/data"),
        VolumeMount("/data", "a", "/b"),
        VolumeMount("data", "a"),
        VolumeMount("/data", "../a"),
        VolumeMount("/data", source="a"),
        VolumeMount("/data", "a", subpath="../b"),
        VolumeMount("/data", "a", subpath="/b"),
        VolumeMount("/" + "x" * 2_000, "a"),
    ],
)
def test_what_no_client_asks_for_does_not_enter_the_log(mount):
    from orion.state.tables import COMMANDS

    command = creation("db", volumes=(mount,))
    assert COMMANDS[type(command)].fault(command)
