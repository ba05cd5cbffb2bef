"""Volumes and snapshots of storage systems: asked for, made, grown and removed, with nothing that is forgotten."""

import pytest
from msgspec.structs import replace
from state_kit import World, creation, texts

from orion.model.claims import ClaimPhase
from orion.model.csi import AccessMode
from orion.model.errors import Conflict, NotFound, Refused
from orion.model.levels import LEVEL
from orion.model.secret_values import SecretPairs
from orion.model.storage import NodePlugin, StorageState, SystemPart, state_of
from orion.model.volumes import VolumeMount
from orion.state.check import rebuilt, state_hash
from orion.state.sound import fault_of
from orion.state.tables.claims import BeginClaim, Claims, MoveClaim
from orion.state.tables.storage_outcomes import (
    EndStored,
    MarkStored,
    SetStoredSize,
    SetStoredSnapshot,
    SetStoredVolume,
)
from orion.state.tables.storage_volumes import CreateStorageVolume, ExpandVolume
from orion.state.tables.volume_changes import RemoveVolume, SetVolumeData
from orion.state.tables.volume_secrets import VolumeSecrets, snapshot_key
from orion.state.tables.volume_snapshots import CreateVolumeSnapshot, RemoveVolumeSnapshot, VolumeSnapshots
from orion.state.tables.volumes import Volumes

DIR = "dir.csi.orion.dev"
GB = 1_000_000_000
PLAIN = SystemPart(size_bytes=GB)
NONE = SecretPairs()
SECRET = SecretPairs((("key", "hidden-value"),))


@pytest.fixture
def world():
    made = World(nodes=0)
    made.state.level = LEVEL
    made.register("node1", level=LEVEL, plugins=(NodePlugin(DIR, controller=True, node=True),))
    made.register("node2", level=LEVEL, plugins=(NodePlugin(DIR, node=True), NodePlugin("other.csi")))
    yield made
    assert state_hash(rebuilt(made.state)) == state_hash(made.state)


def asking(world, name="data", driver=DIR, secrets=NONE, labels=(), key="", **part):
    terms = replace(PLAIN, secrets=len(secrets.pairs), **part)
    key = key or f"create {world.index}"
    return CreateStorageVolume(40, name, driver, labels, terms, secrets, key, world.index)


def create(world, name="data", **more):
    return world.do(asking(world, name, **more)).result


def row(world, name="data"):
    return world.state.of(Volumes).get(name)


def state(world, name="data"):
    return state_of(row(world, name).system, row(world, name).data)


def ask(world, name="data", index=None, why=""):
    index = row(world, name).created_index if index is None else index
    return world.do(MarkStored(50, name, index, asked=not why, why=why)).result


def made(world, name="data", data="", has=GB, **more):
    ask(world, name)
    index = row(world, name).created_index
    command = SetStoredVolume(50, name, index, data or f"id-{name}", has, (("a", "b"),), ((("pool", "p"),),))
    return world.do(replace(command, **more)).result


def remove(world, name="data", force=False):
    return world.do(RemoveVolume(60, name, 0, f"remove {world.index}", world.index, force))


def end(world, name="data", index=None):
    index = row(world, name).created_index if index is None else index
    return world.do(EndStored(70, name, index))


def held(world, node="node1"):
    world.do(BeginClaim(45, "data", row(world).created_index, node, False, 0, "n1"))
    return world.state.of(Claims).get(("data", node))


def let_go(world, node="node1"):
    for to in (ClaimPhase.UNPUBLISHING, None):
        claim = world.state.of(Claims).get(("data", node))
        world.do(MoveClaim(46, "data", node, claim.as_of, to))


# --- made ----------------------------------------------------------------------------------------------------


def test_a_volume_is_asked_for_then_made(world):
    assert create(world) == "data"
    assert (state(world), row(world).driver, row(world).home) == (StorageState.MAKING, DIR, "")
    assert [each.name for each in world.state.of(Volumes).unsettled()] == ["data"]
    assert ask(world) is None
    assert row(world).system.asked
    assert made(world) is None
    assert state(world) is StorageState.READY
    part = row(world).system
    assert (row(world).data, part.has_bytes, part.context) == ("id-data", GB, (("a", "b"),))
    assert world.state.of(Volumes).unsettled() == []
    assert made(world) is None  # its answer may have been lost
    assert isinstance(made(world, data="other"), Conflict)
    assert row(world).data == "id-data"


def test_a_plugin_that_nobody_has_is_refused_with_those_that_there_are(world):
    found = create(world, driver="nfs.csi")
    assert isinstance(found, NotFound)
    assert found.detail == f"no node has a storage plugin 'nfs.csi' with a controller; there are: {DIR}"
    assert isinstance(create(world, driver="other.csi"), NotFound)  # which has no controller
    bare = World(nodes=1)
    assert "give nodes its socket with --csi-socket" in create(bare).detail


@pytest.mark.parametrize(
    ("other", "word"),
    [
        ({"size_bytes": 2 * GB}, "size"),
        ({"access": AccessMode.MULTI_NODE_MULTI_WRITER}, "access"),
        ({"labels": (("tier", "gold"),)}, "labels"),
        ({"parameters": (("a", "b"),)}, "parameters"),
        ({"secrets": SecretPairs((("key", "other"),))}, "secrets"),
        ({"given": "old"}, "id"),
    ],
)
def test_the_same_again_is_the_same_and_anything_else_is_not(world, other, word):
    create(world, secrets=SECRET)
    made(world)
    assert create(world, secrets=SECRET) == "data"
    found = create(world, **{"secrets": SECRET, **other})
    assert isinstance(found, Conflict)
    assert f"({word})" in found.detail
    assert "hidden" not in found.detail


def test_a_name_is_one_of_all_volumes(world):
    world.create("db", volumes=(VolumeMount("/d", "data"),))
    world.place("db", (0, "node1"))
    assert "on a node" in create(world).detail
    assert isinstance(create(world, "a/b"), Refused)


def test_secrets_are_in_a_table_of_their_own_and_go_with_their_volume(world):
    create(world, secrets=SECRET)
    index = row(world).created_index
    assert row(world).system.secrets == 1
    assert "hidden" not in repr(row(world))
    assert "hidden" not in repr(world.state.of(VolumeSecrets).rows)
    assert "hidden" not in repr(asking(world, secrets=SECRET))
    assert world.state.of(VolumeSecrets).of("data", index) == SECRET
    assert world.state.of(VolumeSecrets).of("data", index + 1) == SecretPairs()
    assert remove(world).result == "data"  # its plugin was never asked for it
    assert row(world) is None
    assert len(world.state.of(VolumeSecrets)) == 0


def test_what_only_a_plugin_says_nobody_asks_for(world):
    assert fault_of(asking(world, has_bytes=5))
    assert fault_of(asking(world, asked=True))
    assert fault_of(replace(asking(world), secrets=SECRET))
    assert not fault_of(asking(world, secrets=SECRET))


def test_a_reason_is_told_and_forgotten_once_it_is_made(world):
    create(world)
    ask(world)
    ask(world, why="it has no room")
    assert (row(world).system.why, row(world).system.asked) == ("it has no room", True)
    made(world)
    assert row(world).system.why == ""


def test_one_that_is_refused_is_asked_for_again_by_the_same_request(world):
    create(world)
    ask(world)
    world.do(MarkStored(50, "data", row(world).created_index, asked=False, why="no", refused=True))
    assert row(world).system.refused
    assert create(world) == "data"
    part = row(world).system
    assert (part.refused, part.asked_at, part.asked) == (False, world.index, True)
    world.do(MarkStored(50, "data", row(world).created_index, asked=False, why="no", refused=True))
    remove(world)
    assert not row(world).system.refused


def test_no_node_makes_the_data_of_a_storage_systems_volume(world):
    create(world)
    told = SetVolumeData(1, "", "data", row(world).created_index, "d1")
    assert fault_of(told) or isinstance(world.do(told).result, Conflict)


# --- removed -------------------------------------------------------------------------------------------------


def test_a_volume_that_may_be_there_is_deleted_there_before_its_row_goes(world):
    create(world)
    ask(world)
    assert remove(world).result == "data"
    assert state(world) is StorageState.REMOVING
    assert remove(world).result == "data"
    assert "is being removed" in create(world).detail
    assert made(world) is None, "by which id it is deleted"
    assert state(world) is StorageState.REMOVING
    assert texts(end(world)) == [f"volume data was removed from {DIR}"]
    assert row(world) is None
    assert isinstance(world.do(EndStored(70, "data", 5)).result, Conflict)


def test_a_late_word_about_a_former_volume_is_void(world):
    create(world)
    former = row(world).created_index
    remove(world)
    create(world)
    for late in (
        MarkStored(1, "data", former, asked=True, why=""),
        SetStoredVolume(1, "data", former, "id", 1, (), ()),
        SetStoredSize(1, "data", former, 1, 1, False),
        EndStored(1, "data", former),
    ):
        assert isinstance(world.refused(late), Conflict)


def test_a_ready_volume_does_not_go_by_a_late_end(world):
    create(world)
    made(world)
    assert isinstance(world.refused(EndStored(70, "data", row(world).created_index)), Conflict)


def test_a_volume_goes_once_no_node_has_it(world):
    create(world)
    made(world)
    held(world)
    assert remove(world).result == "data"
    assert isinstance(world.refused(EndStored(70, "data", row(world).created_index)), Conflict)
    assert "can't be forgotten before" in remove(world, force=True).result.detail
    let_go(world)
    assert end(world).result is None
    assert row(world) is None


def test_by_force_it_is_forgotten_and_that_is_said(world):
    create(world, secrets=SECRET)
    made(world)
    assert texts(remove(world, force=True)) == ["volume data was forgotten; its plugin may have it still"]
    assert row(world) is None
    assert len(world.state.of(VolumeSecrets)) == 0


def test_one_that_was_there_before_is_only_forgotten(world):
    create(world, given="old")
    made(world, data="old")
    assert texts(remove(world)) == ["volume data was forgotten; its plugin may have it still"]
    assert row(world) is None


def test_jobs_and_the_end_of_a_volume_exclude_each_other(world):
    create(world)
    made(world)
    job = creation("db", volumes=(VolumeMount("/d", "data"),))
    world.do(job)
    assert "is used by db" in remove(world).result.detail
    assert "is used by db" in remove(world, force=True).result.detail
    world.rm("db")
    remove(world)
    found = world.create("db2", volumes=(VolumeMount("/d", "data"),)).result
    assert found.detail.startswith("db2 asks for volume data, which is being removed")
    slots = world.create("db3", 2, volumes=(VolumeMount("/d", "data", per_slot=True),)).result
    assert not isinstance(slots, Conflict)


# --- grown ---------------------------------------------------------------------------------------------------


def expand(world, size, name="data"):
    return world.do(ExpandVolume(80, name, size, f"expand {world.index}", world.index)).result


def grown(world, size, why="", node_grows=False):
    index = row(world).created_index
    return world.do(SetStoredSize(81, "data", index, size, 0 if why else size, node_grows, why)).result


def test_a_clone_of_a_volume_that_grows_is_as_large_as_that_will_be(world):
    """Else the plugin would refuse it for ever: no volume is smaller than its source."""
    create(world)
    made(world)
    assert expand(world, 2 * GB) == "data"
    create(world, "copy", source="volume:data", size_bytes=0)
    assert row(world, "copy").system.size_bytes == 2 * GB


def test_a_volume_grows_and_its_nodes_hear_of_it(world):
    create(world, limit_bytes=5 * GB)
    assert "is being made" in expand(world, 2 * GB).detail
    made(world)
    held(world)
    assert "no volume shrinks" in expand(world, GB // 2).detail
    assert "limit of 5" in expand(world, 6 * GB).detail
    assert expand(world, GB) == "data"
    assert state(world) is StorageState.READY
    assert expand(world, 2 * GB) == "data"
    assert (state(world), row(world).system.size_bytes) == (StorageState.GROWING, GB)
    before = world.state.records["node1"].work_index
    assert grown(world, 3 * GB) is None  # about another size
    assert state(world) is StorageState.GROWING
    assert grown(world, 2 * GB, node_grows=True) is None
    part = row(world).system
    assert (part.size_bytes, part.has_bytes, part.node_grows, part.grow_to) == (2 * GB, 2 * GB, True, 0)
    assert world.state.records["node1"].work_index > before
    assert expand(world, 2 * GB) == "data"


def test_a_growth_is_called_off_by_the_size_that_it_has(world):
    create(world)
    made(world)
    expand(world, 2 * GB)
    assert expand(world, GB) == "data"
    assert state(world) is StorageState.READY
    assert grown(world, 2 * GB) is None  # an answer that comes late
    assert row(world).system.size_bytes == GB


def test_a_size_that_can_not_be_had_leaves_it_as_it_is(world):
    create(world)
    made(world)
    expand(world, 2 * GB)
    grown(world, 2 * GB, why="no room")
    part = row(world).system
    assert (state(world), part.size_bytes, part.why) == (StorageState.READY, GB, "no room")
    world.create("db", volumes=(VolumeMount("/d", "local"),))
    world.place("db", (0, "node1"))
    assert "directory of a node" in expand(world, GB, "local").detail
    assert isinstance(expand(world, GB, "none"), NotFound)


# --- snapshots, and volumes that begin with something ---------------------------------------------------------


def snap(world, name="monday", volume="data"):
    return world.do(CreateVolumeSnapshot(90, name, volume, f"snap {world.index}", world.index)).result


def snapshot(world, name="monday"):
    return world.state.of(VolumeSnapshots).get(name)


def taken(world, name="monday", ready=True):
    key = snapshot_key(name)
    world.do(MarkStored(91, key, snapshot(world, name).created_index, asked=True))
    command = SetStoredSnapshot(92, name, snapshot(world, name).created_index, f"snap-{name}", GB, 1_000, ready)
    return world.do(command).result


def drop(world, name="monday", force=False):
    return world.do(RemoveVolumeSnapshot(95, name, 0, f"drop {world.index}", world.index, force))


def test_a_snapshot_is_taken_of_a_volume_and_outlives_it(world):
    create(world, secrets=SECRET)
    assert "is being made" in snap(world).detail
    made(world)
    assert snap(world) == "monday"
    assert snap(world) == "monday"
    assert "is being copied by snapshot monday" in remove(world).result.detail
    assert taken(world, ready=False) is None
    assert not snapshot(world).settled
    assert taken(world) is None
    assert snapshot(world).settled
    assert world.state.of(VolumeSecrets).of("snapshot/monday", snapshot(world).created_index) == SECRET
    remove(world)
    end(world)
    assert snapshot(world).settled
    assert drop(world).result == "monday"
    assert snapshot(world).removing
    assert isinstance(world.do(EndStored(96, "snapshot/monday", 1)).result, Conflict)
    gone = world.do(EndStored(96, "snapshot/monday", snapshot(world).created_index))
    assert texts(gone) == ["snapshot monday of volume data was removed"]
    assert len(world.state.of(VolumeSecrets)) == 0
    assert isinstance(drop(world).result, NotFound)


def test_a_snapshot_that_was_never_asked_for_goes_at_once(world):
    create(world)
    made(world)
    snap(world)
    drop(world)
    assert snapshot(world) is None
    snap(world)
    taken(world)
    assert texts(drop(world, force=True)) == [
        "snapshot monday of volume data was forgotten; its plugin may have it still"
    ]


def test_a_volume_begins_with_a_snapshot_or_another_one(world):
    create(world)
    assert "not made yet" in create(world, "copy", source="volume:data").detail
    made(world)
    snap(world)
    assert "not made yet" in create(world, "back", source="snapshot:monday").detail
    taken(world)
    assert create(world, "back", source="snapshot:monday", size_bytes=0) == "back"
    assert create(world, "copy", source="volume:data", size_bytes=0) == "copy"
    assert (row(world, "back").system.source_snapshot, row(world, "back").system.size_bytes) == ("snap-monday", GB)
    assert (row(world, "copy").system.source_volume, row(world, "copy").system.size_bytes) == ("id-data", GB)
    assert create(world, "copy", source="volume:data", size_bytes=0) == "copy"
    assert "is being copied by volume copy" in remove(world).result.detail
    assert "is being copied by volume copy" in expand(world, 2 * GB).detail
    assert "is being made of snapshot monday" in drop(world).result.detail
    made(world, "copy")
    made(world, "back")
    assert remove(world).result == "data"
    end(world)
    assert create(world, "copy", source="volume:data", size_bytes=0) == "copy"  # though its source is gone
    assert isinstance(create(world, "new", source="volume:data"), NotFound)
    assert isinstance(create(world, "new", source="elsewhere:data"), Refused)
