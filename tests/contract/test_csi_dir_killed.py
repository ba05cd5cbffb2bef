"""orion-csi-dir, killed at each of its effects on the disk and the kernel: the same call again makes it whole."""

import contextlib
import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from orion.csi_dir import images, loops, mounts
from orion.csi_dir.controller import Controller
from orion.csi_dir.node import Node
from orion.csi_dir.records import NodeRecord
from orion.csi_dir.server import methods_of
from orion.csi_dir.store import Store
from orion.wire.csi import csi_pb2
from support.csi import mounts_below

pytestmark = pytest.mark.root

KILLED = 9
SIZE = 24 << 20
EFFECTS = (
    (os, "fsync"),
    (os, "truncate"),
    (Path, "rename"),
    (Path, "replace"),
    (Path, "mkdir"),
    (Path, "rmdir"),
    (Path, "unlink"),
    (mounts, "bind"),
    (mounts, "mount"),
    (mounts, "unmount"),
    (images, "freeze"),
    (images, "thaw"),
    (fcntl, "flock"),
    (fcntl, "ioctl"),
    (shutil, "rmtree"),
    (subprocess, "run"),
)


class Plugin:
    """Its methods, as a process that has just started has them."""

    def __init__(self, folder, quota="none"):
        self.folder = folder
        self.store = Store(folder / "root")
        node = Node(self.store, NodeRecord("node1"), "default")
        self.answers = methods_of(Controller(self.store, "default", quota), node)

    def ask(self, call, **fields):
        from orion.wire.csi.methods import METHODS

        return self.answers[call](METHODS[call].request(**fields))

    @contextlib.contextmanager
    def row(self, volume):
        """The path of the volume's one row, wherever it is in use meanwhile."""
        fs_type = self.store.volume(volume).fs_type
        if not fs_type:
            yield self.store.data("volumes", volume) / "row"
            return
        look = self.folder / "look"
        look.mkdir(exist_ok=True)
        images.mount(self.store.image(volume), volume, str(look), fs_type)
        try:
            yield look / "row"
        finally:
            mounts.unmount(str(look))
            if not any(images.is_of(each, volume) for each in mounts.table()):
                images.wait_detached(volume)  # others hold it a moment longer, by a copy of the mount table


def capability():
    wire = csi_pb2.VolumeCapability
    mode = wire.AccessMode(mode=wire.AccessMode.SINGLE_NODE_WRITER)
    return wire(mount=wire.MountVolume(), access_mode=mode)


def create(plugin, name="data", **source):
    size = csi_pb2.CapacityRange(required_bytes=SIZE)
    fields = {"volume_capabilities": [capability()], "capacity_range": size, **source}
    return plugin.ask("CreateVolume", name=name, **fields).volume.volume_id


def publish_to_node(plugin, volume):
    plugin.ask("ControllerPublishVolume", volume_id=volume, node_id="node1", volume_capability=capability())


def stage(plugin, volume):
    path = str(plugin.folder / "staging")
    plugin.ask("NodeStageVolume", volume_id=volume, staging_target_path=path, volume_capability=capability())


def publish(plugin, volume):
    plugin.ask(
        "NodePublishVolume",
        volume_id=volume,
        staging_target_path=str(plugin.folder / "staging"),
        target_path=str(plugin.folder / "target"),
        volume_capability=capability(),
        readonly=True,
    )


def unpublish(plugin, volume):
    plugin.ask("NodeUnpublishVolume", volume_id=volume, target_path=str(plugin.folder / "target"))


def unstage(plugin, volume):
    plugin.ask("NodeUnstageVolume", volume_id=volume, staging_target_path=str(plugin.folder / "staging"))


def unpublish_from_node(plugin, volume):
    plugin.ask("ControllerUnpublishVolume", volume_id=volume, node_id="node1")


def snapshot(plugin, volume):
    plugin.ask("CreateSnapshot", source_volume_id=volume, name="monday")


def clone(plugin, volume):
    wire = csi_pb2.VolumeContentSource
    create(plugin, "twin", volume_content_source=wire(volume=wire.VolumeSource(volume_id=volume)))


def expand(plugin, volume):
    size = csi_pb2.CapacityRange(required_bytes=2 * SIZE)
    plugin.ask("ControllerExpandVolume", volume_id=volume, capacity_range=size)


def expand_at_next_stage(plugin, volume):
    for step in (unpublish, unstage, stage, publish):
        step(plugin, volume)


def delete_snapshot(plugin, volume):
    for entry in plugin.ask("ListSnapshots").entries:
        plugin.ask("DeleteSnapshot", snapshot_id=entry.snapshot.snapshot_id)


def delete(plugin, volume):
    plugin.ask("DeleteVolume", volume_id=volume)


LIFE = (
    publish_to_node,
    stage,
    publish,
    snapshot,
    clone,
    expand,
    expand_at_next_stage,
    unpublish,
    unstage,
    unpublish_from_node,
    delete_snapshot,
    delete,
)


def killed_at(nth, *, after, act):
    """Does `act` in a process that ends before or after the nth of its effects. Returns whether it came to that."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED
    left = [nth]
    for owner, name in EFFECTS:
        real = getattr(owner, name)

        def counted(*args, real=real, **kwargs):
            left[0] -= 1
            if not left[0] and not after:
                os._exit(KILLED)
            done = real(*args, **kwargs)
            if not left[0]:
                os._exit(KILLED)
            return done

        setattr(owner, name, counted)
    code = 1
    try:
        act()
        code = 0
    finally:
        os._exit(code)


OF_FILES = (stage, snapshot, clone, expand, expand_at_next_stage, unstage, delete)


@pytest.mark.parametrize(
    ("step", "quota", "after"),
    [
        *((step, "none", after) for step in LIFE for after in (False, True)),
        *((step, "loop", False) for step in OF_FILES),
    ],
)
def test_each_call_is_whole_when_it_is_made_again(folder, step, after, quota):
    """Each of its effects is the last one of some process; the next one is asked the same."""
    volume = create(Plugin(folder, quota))
    with Plugin(folder).row(volume) as row:
        row.write_text("1")
    for before in LIFE[: LIFE.index(step)]:
        before(Plugin(folder), volume)
    kills = 0
    for nth in range(1, 100):
        if not killed_at(nth, after=after, act=lambda: step(Plugin(folder), volume)):
            break
        kills += 1
        check_whole(folder, volume)
    assert kills >= 3
    step(Plugin(folder), volume)
    for then in LIFE[LIFE.index(step) :]:
        then(Plugin(folder), volume)
    plugin = Plugin(folder)
    left = [each.volume.volume_id for each in plugin.ask("ListVolumes").entries]
    assert volume not in left
    for twin in left:
        check_row(plugin, twin)
        delete(plugin, twin)
    assert mounts_below(folder) == []
    assert loops.of(f"/volumes/{volume}/data/image") is None
    for name in ("volumes", "snapshots", "making", "locks"):
        assert list((folder / "root" / name).iterdir()) == [], name


def check_whole(folder, volume):
    """Whatever is there is whole: every volume can be read, and no mount that was to be read-only is not."""
    plugin = Plugin(folder)
    for entry in plugin.ask("ListVolumes").entries:
        check_row(plugin, entry.volume.volume_id)
    there = mounts.mounted(str(folder / "target"))
    assert there is None or there.readonly


def check_row(plugin, volume):
    with plugin.row(volume) as row:
        assert row.read_text() == "1", "a volume that is told of has all of its content"


@pytest.mark.parametrize("quota", ["none", "loop"])
def test_a_volume_that_was_half_made_is_made_once(folder, quota):
    for after in (False, True):
        for nth in range(1, 100):
            if not killed_at(nth, after=after, act=lambda: create(Plugin(folder, quota))):
                break
        else:
            pytest.fail("it comes to no end")
    plugin = Plugin(folder)
    volume = create(plugin)
    assert [each.volume.volume_id for each in plugin.ask("ListVolumes").entries] == [volume]
    delete(plugin, volume)
    assert list((folder / "root" / "making").iterdir()) == []
