"""orion-csi-dir's volumes with a size that is kept: files that are mounted. A real process, real loop devices."""

import asyncio
import contextlib
import errno
import fcntl
import os
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from orion.csi_dir import images, loops, mounts
from orion.csi_dir.failed import Failed
from orion.csi_dir.store import Store
from orion.model.csi import Access, AccessMode, FailureKind, NewVolume, SizeRange, Source
from orion.ports.csi import CsiFailed
from orion.wire.mountinfo import Mount
from support.csi import PluginProcess, asked, mounts_below, no_mounts_left, wait_until

pytestmark = pytest.mark.root

MIB = 1 << 20
SIZE = 24 * MIB
WRITER = Access()


@pytest.fixture
def folder(tmp_path):
    with no_mounts_left(tmp_path):
        yield tmp_path
    assert devices(tmp_path) == [], "no loop device is left"


@pytest.fixture
def process(folder):
    with PluginProcess(folder, "--quota", "loop") as process:
        yield process


def devices(folder):
    """The files that are attached, of those below the folder."""
    numbers = (each.name.removeprefix("loop") for each in Path("/sys/block").glob("loop*"))
    return [file for number in numbers if (file := loops.backing(f"7:{number}")).startswith(str(folder))]


def run(process, test):
    async def whole():
        async with asked(process.socket) as plugin:
            await test(plugin)

    asyncio.run(whole())


def new(name="data", size=SIZE, **more):
    return NewVolume(name, SizeRange(size), more.pop("access", (WRITER,)), **more)


async def failure(call):
    with pytest.raises(CsiFailed) as raised:
        await call
    return raised.value.kind


async def to_target(plugin, volume, folder, *, readonly=False):
    await plugin.publish_to_node(volume.id, "node1", WRITER)
    staging, target = str(folder / "staging"), str(folder / "target")
    await plugin.stage(volume.id, staging, WRITER)
    await plugin.publish(volume.id, target, WRITER, staging=staging, readonly=readonly)


async def and_away(plugin, volume, folder):
    await plugin.unpublish(volume.id, str(folder / "target"))
    await plugin.unstage(volume.id, str(folder / "staging"))
    await plugin.unpublish_from_node(volume.id, "node1")


def fill(folder):
    """Writes until nothing more can be. Returns how many bytes were taken."""
    taken, block = 0, bytes(MIB)
    with (folder / "target" / "much").open("ab", buffering=0) as file:
        while taken < 1 << 30:
            try:
                taken += file.write(block)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                return taken
    raise AssertionError("it takes more than it has room for")


def test_a_size_is_kept_and_no_device_is_left(process, folder):
    async def test(plugin):
        made = await plugin.create_volume(new())
        assert await plugin.create_volume(new()) == made
        for quota, right in (("loop", True), ("none", False)):
            found = await plugin.validate(made.id, [WRITER], parameters={"quota": quota})
            assert found.confirmed == right
        assert not (await plugin.validate(made.id, [WRITER], parameters={"color": "red"})).confirmed
        image = process.root / "volumes" / made.id / "data" / "image"
        assert image.stat().st_blocks * 512 < SIZE / 4, "it takes room as it is used"
        for _ in range(2):
            await to_target(plugin, made, folder)
        assert len(devices(folder)) == 1
        assert list((folder / "target").iterdir()) == []
        assert SIZE / 2 < fill(folder) < SIZE
        (usage, _) = (await plugin.stats(made.id, str(folder / "target"))).usage
        assert usage.available < MIB
        (folder / "target" / "much").unlink()
        (folder / "target" / "row").write_text("1")
        for _ in range(2):
            await and_away(plugin, made, folder)
        assert devices(folder) == []
        await to_target(plugin, made, folder, readonly=True)
        assert (folder / "target" / "row").read_text() == "1"
        with pytest.raises(OSError, match="Read-only"):
            (folder / "target" / "x").write_text("")
        await and_away(plugin, made, folder)
        await plugin.delete_volume(made.id)
        assert list((process.root / "volumes").iterdir()) == []

    run(process, test)


@pytest.mark.parametrize(("fs_type", "size"), [("ext4", SIZE), ("xfs", 300 * MIB)])
def test_a_volume_grows_while_it_is_mounted_nowhere(process, folder, fs_type, size):
    async def test(plugin):
        made = await plugin.create_volume(new(size=size, access=(Access(fs_type=fs_type),)))
        for _ in range(2):
            size_before = total(await grown_at_target(plugin, made, folder, made.size_bytes))
        assert size / 2 < size_before <= size
        grown = await plugin.expand_volume(made.id, SizeRange(2 * size))
        assert (grown.size_bytes, grown.node_too) == (2 * size, True)
        assert size < total(await grown_at_target(plugin, made, folder, 2 * size)) <= 2 * size

    run(process, test)


async def grown_at_target(plugin, volume, folder, size):
    """Figures of the volume, once it was in and out again."""
    await to_target(plugin, volume, folder)
    assert await plugin.expand(volume.id, str(folder / "target"), SizeRange(size)) == size
    stats = await plugin.stats(volume.id, str(folder / "target"))
    await and_away(plugin, volume, folder)
    return stats


def total(stats):
    return next(each.total for each in stats.usage if each.unit == "bytes")


@pytest.mark.parametrize(("fs_type", "size"), [("ext4", SIZE), ("xfs", 300 * MIB)])
def test_a_volume_grows_while_it_is_in_use(process, folder, fs_type, size):
    """Linux grows a mounted ext4 for whoever has CAP_SYS_RESOURCE; for others it grows when it is staged again."""

    async def test(plugin):
        made = await plugin.create_volume(new(size=size, access=(Access(fs_type=fs_type),)))
        await to_target(plugin, made, folder)
        fill(folder)
        await plugin.expand_volume(made.id, SizeRange(2 * size))
        target = str(folder / "target")
        if fs_type == "ext4" and not may_grow_ext4():
            assert await failure(plugin.expand(made.id, target, SizeRange(2 * size))) is FailureKind.IN_USE
            await plugin.stage(made.id, str(folder / "staging"), WRITER)
            await and_away(plugin, made, folder)
            await to_target(plugin, made, folder)
        for _ in range(2):
            assert await plugin.expand(made.id, target, SizeRange(2 * size)) == 2 * size
        assert fill(folder) > size / 2
        await and_away(plugin, made, folder)

    run(process, test)


def may_grow_ext4():
    (line,) = (each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("CapEff"))
    return bool(int(line.split()[1], 16) >> 24 & 1)  # CAP_SYS_RESOURCE


def test_copies_of_a_volume_that_is_written_to_are_of_one_moment(process, folder):
    """Rows are written in order, each safely before the next: a copy has all up to one, and none behind it."""

    async def test(plugin):
        made = await plugin.create_volume(new())
        await to_target(plugin, made, folder)
        written, ended = [], threading.Event()
        writer = threading.Thread(target=write_rows, args=(folder / "target", written, ended))
        writer.start()
        try:
            await asyncio.to_thread(wait_until, lambda: len(written) > 5, "rows")
            before = len(written)
            snapshot = await plugin.create_snapshot(made.id, "monday")
            twin = await plugin.create_volume(new("twin", source=Source(volume=made.id)))
            after = len(written)
            await asyncio.to_thread(wait_until, lambda: len(written) > after, "it goes on afterwards")
        finally:
            ended.set()
            writer.join()
        await and_away(plugin, made, folder)
        old = await plugin.create_volume(new("old", 2 * SIZE, source=Source(snapshot=snapshot.id)))
        for copy in (old, twin):
            await to_target(plugin, copy, folder)
            rows = sorted(int(row.name) for row in (folder / "target").iterdir())
            assert rows == list(range(len(rows)))
            assert before <= len(rows) <= after + 1
            if copy is old:
                assert fill(folder) > SIZE, "it is as large as was asked for"
            await and_away(plugin, copy, folder)

    run(process, test)


def write_rows(folder, written, ended):
    while not ended.is_set():
        with (folder / str(len(written))).open("wb") as file:
            file.write(b"1")
            file.flush()
            os.fsync(file.fileno())
        directory = os.open(folder, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)
        written.append(1)


@pytest.mark.parametrize(
    ("asked_for", "kind"),
    [
        (new(parameters={"quota": "twice"}), FailureKind.FINAL),
        (new(access=(Access(fs_type="vfat"),)), FailureKind.FINAL),
        (new(access=(Access(fs_type="ext4"), Access(fs_type="xfs"))), FailureKind.FINAL),
        (new(access=(Access(AccessMode.MULTI_NODE_MULTI_WRITER),)), FailureKind.FINAL),
        (NewVolume("data", SizeRange(0, MIB), (WRITER,)), FailureKind.OUT_OF_RANGE),
    ],
)
def test_files_that_are_not_made(process, asked_for, kind):
    async def test(plugin):
        assert await failure(plugin.create_volume(asked_for)) is kind
        assert (await plugin.volumes()).volumes == ()

    run(process, test)


def test_a_volume_may_be_a_directory_all_the_same(process, folder):
    async def test(plugin):
        made = await plugin.create_volume(new(parameters={"quota": "none"}))
        assert await failure(plugin.create_volume(new(parameters={"quota": "loop"}))) is FailureKind.CONFLICT
        file = new("file", source=Source(volume=made.id), parameters={"quota": "loop"})
        assert await failure(plugin.create_volume(file)) is FailureKind.FINAL
        await to_target(plugin, made, folder)
        assert devices(folder) == []
        assert not (await plugin.expand_volume(made.id, SizeRange(2 * SIZE))).node_too
        assert await plugin.expand(made.id, str(folder / "target"), SizeRange(2 * SIZE)) == 2 * SIZE
        await and_away(plugin, made, folder)

    run(process, test)


def test_a_file_that_somebody_else_has_is_neither_attached_nor_copied_nor_removed(process, folder):
    """As another node has it, whose locks are seen here."""

    async def test(plugin):
        made = await plugin.create_volume(new())
        await plugin.publish_to_node(made.id, "node1", WRITER)
        image = process.root / "volumes" / made.id / "data" / "image"
        with contextlib.closing(Descriptor(image)) as held:
            fcntl.flock(held.number, fcntl.LOCK_EX)
            stage = plugin.stage(made.id, str(folder / "staging"), WRITER)
            assert await failure(stage) is FailureKind.IN_USE
            assert await failure(plugin.create_snapshot(made.id, "monday")) is not FailureKind.FINAL
            await plugin.unpublish_from_node(made.id, "node1")
            assert await failure(plugin.delete_volume(made.id)) is FailureKind.IN_USE
        await plugin.delete_volume(made.id)

    run(process, test)


def test_one_node_at_a_time_attaches_a_file(process, folder):
    async def test():
        async with asked(process.socket) as first, asked(two.socket) as second:
            made = await first.create_volume(new())
            await to_target(first, made, folder)
            assert await failure(first.publish_to_node(made.id, "node2", WRITER)) is FailureKind.IN_USE
            staged = second.stage(made.id, str(folder / "s2"), WRITER)
            assert await failure(staged) is FailureKind.IN_USE
            assert await failure(second.delete_volume(made.id)) is FailureKind.IN_USE
            (folder / "target" / "row").write_text("1")
            await and_away(first, made, folder)
            await first.publish_to_node(made.id, "node2", WRITER)
            await second.stage(made.id, str(folder / "s2"), WRITER)
            assert (folder / "s2" / "row").read_text() == "1"
            await second.unstage(made.id, str(folder / "s2"))

    with PluginProcess(folder, "--quota", "loop", node="node2") as two:
        asyncio.run(test())


def test_a_volume_that_is_mounted_elsewhere_on_the_node_is_not_let_go(process, folder):
    async def test(plugin):
        made = await plugin.create_volume(new())
        await to_target(plugin, made, folder)
        (folder / "elsewhere").mkdir()
        mounts.bind(str(folder / "target"), str(folder / "elsewhere"))
        await plugin.unpublish(made.id, str(folder / "target"))
        staging = str(folder / "staging")
        assert await failure(plugin.unstage(made.id, staging)) is FailureKind.RETRY
        assert len(devices(folder)) == 1
        await plugin.stage(made.id, staging, WRITER)
        assert len(devices(folder)) == 1, "one device for a file"
        mounts.unmount(str(folder / "elsewhere"))
        await plugin.unstage(made.id, staging)
        assert devices(folder) == []

    run(process, test)


def test_a_volume_outlives_its_plugin_and_a_boot_takes_all_away(process, folder):
    async def before(plugin):
        made = await plugin.create_volume(new())
        await to_target(plugin, made, folder)
        (folder / "target" / "row").write_text("1")

    async def after(plugin):
        (status,) = (await plugin.volumes()).volumes
        await plugin.stage(status.volume.id, str(folder / "staging"), WRITER)
        await to_target(plugin, status.volume, folder)
        assert (folder / "target" / "row").read_text() == "1"
        await and_away(plugin, status.volume, folder)

    run(process, before)
    process.end(signal.SIGKILL)
    assert len(devices(folder)) == 1, "tasks keep their volumes while it is away"
    for point in reversed(mounts_below(folder)):  # as a boot does
        mounts.unmount(point)
    wait_until(lambda: devices(folder) == [], "the device goes with its last mount")
    process.start()
    run(process, after)


def test_a_volume_that_a_killed_plugin_has_frozen_goes_on_with_the_next(process, folder):
    async def frozen(plugin):
        made = await plugin.create_volume(new())
        await to_target(plugin, made, folder)
        with contextlib.closing(Descriptor(folder / "staging")) as point:
            images.freeze(point.number)
            try:
                Store(process.root)
                (folder / "target" / "row").write_text("1")
                assert not images.thaw(point.number), "it is thawed"
            finally:
                images.thaw(point.number)
        await and_away(plugin, made, folder)

    run(process, frozen)


class Descriptor:
    def __init__(self, path):
        self.number = os.open(path, os.O_RDONLY)

    def close(self):
        os.close(self.number)


def test_a_device_ends_with_a_process_that_is_killed(process, folder):
    made = []

    async def create(plugin):
        made.append(await plugin.create_volume(new()))

    run(process, create)
    image = process.root / "volumes" / made[0].id / "data" / "image"
    child = os.fork()
    if not child:
        with loops.attached(image, str(image)):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    wait_until(lambda: devices(folder) == [], "the device is gone")
    assert images.unused(image, made[0].id)


def test_what_was_below_a_mount_is_not_frozen(tmp_path, monkeypatch):
    """The mount went between the look at the table and the freeze."""
    monkeypatch.setattr(images, "freeze", lambda _: pytest.fail("it was frozen"))
    gone = Mount(1, 0, "7:3", "/", str(tmp_path), frozenset(), "ext4", "/dev/loop3")
    with pytest.raises(Failed, match="detached meanwhile"), images._frozen(gone):
        pass


def test_a_device_that_is_mounted_nowhere_is_waited_for(process, folder, monkeypatch):
    """Something holds it a moment longer than its last mount: it ends while it is waited for."""
    made = []

    async def create(plugin):
        made.append(await plugin.create_volume(new()))

    run(process, create)
    volume = made[0].id
    image = process.root / "volumes" / volume / "data" / "image"

    def copied():
        with images.still(image, volume):
            return True

    for holds in (lambda: images.unused(image, volume), copied):
        with contextlib.ExitStack() as held:
            held.enter_context(loops.attached(image, str(image)))

            def ends(seconds, held=held):
                held.close()
                time.sleep(seconds)

            monkeypatch.setattr(images, "time", SimpleNamespace(monotonic=time.monotonic, sleep=ends))
            assert holds()
            assert devices(folder) == []
    monkeypatch.setattr(images, "DETACHED_S", 0.0)
    with loops.attached(image, str(image)):
        assert not images.unused(image, volume)
        with pytest.raises(Failed, match="another node has the volume attached"):
            copied()
    wait_until(lambda: devices(folder) == [], "the device is gone")
