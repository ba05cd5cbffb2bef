"""The Csi port and orion-csi-dir together: a real process, real sockets, real mounts. Each rule is CSI's own."""

import asyncio
import signal
import subprocess

import pytest

from orion.adapters.csi import GrpcPlugins
from orion.model.csi import (
    Access,
    AccessMode,
    ControllerFeature,
    FailureKind,
    NewVolume,
    NodeFeature,
    PluginFeature,
    SizeRange,
    Source,
)
from orion.ports.csi import CsiFailed
from support.csi import PluginProcess, asked, mounts_below, no_mounts_left

pytestmark = pytest.mark.root

WRITER = Access()
MIB = 1 << 20


@pytest.fixture
def folder(tmp_path):
    with no_mounts_left(tmp_path):
        yield tmp_path


@pytest.fixture
def process(folder):
    with PluginProcess(folder) as process:
        yield process


def run(process, test):
    async def whole():
        async with asked(process.socket) as plugin:
            await test(plugin)

    asyncio.run(whole())


def new(name="data", access=(WRITER,), **more):
    return NewVolume(name, more.pop("size", SizeRange(MIB)), access, **more)


async def failure(call):
    with pytest.raises(CsiFailed) as raised:
        await call
    return raised.value.kind


async def to_target(plugin, volume, folder, target="target", access=WRITER, *, readonly=False):
    published = await plugin.publish_to_node(volume.id, "node1", access)
    await plugin.stage(volume.id, str(folder / "staging"), access, published=published)
    path, staging = str(folder / target), str(folder / "staging")
    await plugin.publish(volume.id, path, access, staging=staging, readonly=readonly, published=published)


async def and_away(plugin, volume, folder, *targets):
    for target in targets or ("target",):
        await plugin.unpublish(volume.id, str(folder / target))
    await plugin.unstage(volume.id, str(folder / "staging"))
    await plugin.unpublish_from_node(volume.id, "node1")


def test_who_it_is(process):
    async def test(plugin):
        info = await plugin.info()
        assert info.name == "dir.csi.orion.dev"
        assert await plugin.features() == set(PluginFeature) - {PluginFeature.OFFLINE}
        assert await plugin.probe()
        assert ControllerFeature.CLONE_VOLUME in await plugin.controller_features()
        assert NodeFeature.STAGE_UNSTAGE_VOLUME in await plugin.node_features()
        node = await plugin.node_info()
        assert (node.node_id, node.topology) == ("node1", {"dir.csi.orion.dev/pool": "default"})

    run(process, test)


def test_a_volumes_whole_life_and_every_call_twice(process, folder):
    async def test(plugin):
        made = await plugin.create_volume(new())
        assert await plugin.create_volume(new()) == made
        assert made.size_bytes == MIB
        for _ in range(2):
            await to_target(plugin, made, folder)
        (folder / "target" / "row").write_text("1")
        assert len(mounts_below(folder)) == 2, "no path is mounted twice"
        assert await failure(plugin.delete_volume(made.id)) is FailureKind.IN_USE
        stats = await plugin.stats(made.id, str(folder / "target"))
        assert {each.unit for each in stats.usage} == {"bytes", "inodes"}
        status = await plugin.volume(made.id)
        assert status.nodes == ("node1",)
        for _ in range(2):
            await and_away(plugin, made, folder)
        assert not (folder / "target").exists()
        await to_target(plugin, made, folder)
        assert (folder / "target" / "row").read_text() == "1"
        await and_away(plugin, made, folder)
        for _ in range(2):
            await plugin.delete_volume(made.id)
        assert (await plugin.volumes()).volumes == ()
        assert list((process.root / "volumes").iterdir()) == []

    run(process, test)


def test_a_name_that_differs_is_refused_and_a_new_life_has_a_new_id(process):
    async def test(plugin):
        made = await plugin.create_volume(new())
        larger = plugin.create_volume(new(size=SizeRange(2 * MIB)))
        assert await failure(larger) is FailureKind.CONFLICT
        await plugin.delete_volume(made.id)
        assert (await plugin.create_volume(new())).id != made.id, "a late delete must not meet it"

    run(process, test)


@pytest.mark.parametrize(
    ("asked_for", "kind"),
    [
        (new(""), FailureKind.FINAL),
        (new(access=()), FailureKind.FINAL),
        (new(access=(Access(block=True),)), FailureKind.FINAL),
        (new(access=(Access(fs_type="xfs"),)), FailureKind.FINAL),
        (new(access=(Access(mount_flags=("sync",)),)), FailureKind.FINAL),
        (new(parameters={"typo": "1"}), FailureKind.FINAL),
        (new(size=SizeRange(2, 1)), FailureKind.OUT_OF_RANGE),
        (new(size=SizeRange(1 << 60)), FailureKind.OUT_OF_RANGE),
        (new(source=Source(snapshot="none")), FailureKind.NOT_FOUND),
        (new(source=Source(volume="../../etc")), FailureKind.NOT_FOUND),
        (new(required=({"dir.csi.orion.dev/pool": "other"},)), FailureKind.EXHAUSTED),
    ],
)
def test_volumes_that_are_not_made(process, asked_for, kind):
    async def test(plugin):
        assert await failure(plugin.create_volume(asked_for)) is kind
        assert (await plugin.volumes()).volumes == ()

    run(process, test)


def test_one_writer_at_a_time_and_hand_over(folder):
    """Two nodes with one root: who has not let go keeps the other one out, until the controller takes it away."""

    async def test():
        async with asked(one.socket) as first, asked(two.socket) as second:
            made = await first.create_volume(new())
            context = await first.publish_to_node(made.id, "node1", WRITER)
            assert await failure(first.publish_to_node(made.id, "node2", WRITER)) is FailureKind.IN_USE
            refused = second.stage(made.id, str(folder / "s2"), WRITER, published=context)
            assert await failure(refused) is FailureKind.IN_USE
            await first.unpublish_from_node(made.id, "node1")
            await first.publish_to_node(made.id, "node2", WRITER)
            await second.stage(made.id, str(folder / "s2"), WRITER)
            late = first.stage(made.id, str(folder / "s1"), WRITER, published=context)
            assert await failure(late) is FailureKind.IN_USE, "the node that lost it can't bring it back"
            await second.unstage(made.id, str(folder / "s2"))

    with PluginProcess(folder) as one, PluginProcess(folder, node="node2") as two:
        asyncio.run(test())


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        (AccessMode.MULTI_NODE_MULTI_WRITER, AccessMode.MULTI_NODE_MULTI_WRITER, None),
        (AccessMode.MULTI_NODE_READER_ONLY, AccessMode.MULTI_NODE_READER_ONLY, None),
        (AccessMode.MULTI_NODE_SINGLE_WRITER, AccessMode.MULTI_NODE_READER_ONLY, None),
        (AccessMode.MULTI_NODE_SINGLE_WRITER, AccessMode.MULTI_NODE_SINGLE_WRITER, FailureKind.IN_USE),
        (AccessMode.MULTI_NODE_MULTI_WRITER, AccessMode.SINGLE_NODE_WRITER, FailureKind.IN_USE),
        (AccessMode.SINGLE_NODE_READER_ONLY, AccessMode.SINGLE_NODE_READER_ONLY, FailureKind.IN_USE),
    ],
)
def test_who_shares_a_volume(folder, first, second, kind):
    async def test():
        async with asked(one.socket) as plugin:
            made = await plugin.create_volume(new(access=(Access(first), Access(second))))
            await plugin.publish_to_node(made.id, "node1", Access(first))
            call = plugin.publish_to_node(made.id, "node2", Access(second))
            if kind is None:
                await call
            else:
                assert await failure(call) is kind
            other = plugin.publish_to_node(made.id, "node1", Access(AccessMode.SINGLE_NODE_MULTI_WRITER))
            assert await failure(other) is FailureKind.CONFLICT

    with PluginProcess(folder) as one, PluginProcess(folder, node="node2"):
        asyncio.run(test())


def test_a_read_only_target_beside_a_writable_one(process, folder):
    async def test(plugin):
        made = await plugin.create_volume(new())
        await to_target(plugin, made, folder)
        await to_target(plugin, made, folder, "reader", readonly=True)
        with pytest.raises(OSError, match="Read-only"):
            (folder / "reader" / "x").write_text("")
        (folder / "target" / "x").write_text("")
        again = to_target(plugin, made, folder, "reader")
        assert await failure(again) is FailureKind.CONFLICT, "not in another way at the same path"
        await and_away(plugin, made, folder, "target", "reader")

    run(process, test)


def test_a_single_writer_is_published_once(process, folder):
    access = Access(AccessMode.SINGLE_NODE_SINGLE_WRITER)

    async def test(plugin):
        made = await plugin.create_volume(new(access=(access,)))
        await to_target(plugin, made, folder, access=access)
        second = to_target(plugin, made, folder, "second", access)
        assert await failure(second) is FailureKind.RETRY
        await and_away(plugin, made, folder)

    run(process, test)


def test_snapshots_and_clones_hold_what_was_there(process, folder):
    async def test(plugin):
        made = await plugin.create_volume(new())
        await to_target(plugin, made, folder)
        (folder / "target" / "row").write_text("before")
        taken = await plugin.create_snapshot(made.id, "monday")
        assert await plugin.create_snapshot(made.id, "monday") == taken
        assert taken.ready
        (folder / "target" / "row").write_text("after")
        await and_away(plugin, made, folder)
        old = await plugin.create_volume(new("old", source=Source(snapshot=taken.id)))
        twin = await plugin.create_volume(new("twin", source=Source(volume=made.id)))
        smaller = plugin.create_volume(new("small", size=SizeRange(limit_bytes=1), source=Source(volume=made.id)))
        assert await failure(smaller) is FailureKind.OUT_OF_RANGE
        for volume, content in ((old, "before"), (twin, "after")):
            await to_target(plugin, volume, folder)
            assert (folder / "target" / "row").read_text() == content
            await and_away(plugin, volume, folder)
        assert await failure(plugin.create_snapshot(twin.id, "monday")) is FailureKind.CONFLICT
        await plugin.delete_volume(made.id)
        assert (await plugin.snapshots(volume=made.id)).snapshots == (taken,), "it outlives its volume"
        await plugin.delete_snapshot(taken.id)
        await plugin.delete_snapshot(taken.id)
        assert (await plugin.snapshots()).snapshots == ()

    run(process, test)


def test_growth_and_no_shrinking(process):
    async def test(plugin):
        made = await plugin.create_volume(new())
        grown = await plugin.expand_volume(made.id, SizeRange(3 * MIB))
        assert (grown.size_bytes, grown.node_too) == (3 * MIB, False)
        assert (await plugin.expand_volume(made.id, SizeRange(2 * MIB))).size_bytes == 3 * MIB
        shrunk = plugin.expand_volume(made.id, SizeRange(MIB, 2 * MIB))
        assert await failure(shrunk) is FailureKind.OUT_OF_RANGE
        assert await failure(plugin.expand_volume("none", SizeRange(MIB))) is FailureKind.NOT_FOUND

    run(process, test)


def test_lists_in_parts_while_volumes_come_and_go(process):
    async def test(plugin):
        ids = [(await plugin.create_volume(new(f"v{number}"))).id for number in range(5)]
        first = await plugin.volumes(most=2)
        await plugin.delete_volume(first.volumes[1].volume.id)
        rest = await plugin.volumes(token=first.next_token)
        found = [each.volume.id for each in (*first.volumes, *rest.volumes)]
        assert sorted(found) == sorted(ids)
        assert await failure(plugin.volumes(token="none")) is FailureKind.RETRY

    run(process, test)


def test_the_most_volumes_of_a_node(folder):
    async def test():
        async with asked(process.socket) as plugin:
            assert (await plugin.node_info()).max_volumes == 1
            one, two = [await plugin.create_volume(new(name)) for name in ("one", "two")]
            for _ in range(2):
                await plugin.publish_to_node(one.id, "node1", WRITER)
            assert await failure(plugin.publish_to_node(two.id, "node1", WRITER)) is FailureKind.EXHAUSTED

    with PluginProcess(folder, "--max-volumes", "1") as process:
        asyncio.run(test())


def test_capabilities_are_confirmed_or_not(process):
    async def test(plugin):
        made = await plugin.create_volume(new())
        assert (await plugin.validate(made.id, [WRITER])).confirmed
        block = await plugin.validate(made.id, [WRITER, Access(block=True)])
        assert not block.confirmed
        assert "block" in block.message
        assert await failure(plugin.validate("none", [WRITER])) is FailureKind.NOT_FOUND
        assert (await plugin.capacity()).available_bytes > 0
        assert (await plugin.capacity(topology={"dir.csi.orion.dev/pool": "other"})).available_bytes == 0

    run(process, test)


def test_a_second_call_about_a_volume_meanwhile_is_told_to_come_again(process):
    async def test(plugin):
        calls = [plugin.create_volume(new("same")) for _ in range(20)]
        done = await asyncio.gather(*calls, return_exceptions=True)
        made = {each.id for each in done if not isinstance(each, CsiFailed)}
        assert len(made) == 1
        assert {each.kind for each in done if isinstance(each, CsiFailed)} <= {FailureKind.PENDING}

    run(process, test)


def test_what_is_not_its_own_is_never_unmounted(process, folder):
    async def test(plugin):
        made = await plugin.create_volume(new())
        assert await failure(plugin.unpublish(made.id, str(folder / "foreign"))) is FailureKind.RETRY
        assert len(mounts_below(folder)) == 1

    (folder / "foreign").mkdir()
    (folder / "other").mkdir()
    subprocess.run(["mount", "--bind", folder / "other", folder / "foreign"], check=True)
    try:
        run(process, test)
    finally:
        subprocess.run(["umount", folder / "foreign"], check=True)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_comes_back_with_all_that_it_had(process, folder, number):
    async def before(plugin):
        made = await plugin.create_volume(new())
        await to_target(plugin, made, folder)

    async def after(plugin):
        (status,) = (await plugin.volumes()).volumes
        assert status.nodes == ("node1",)
        await and_away(plugin, status.volume, folder)

    run(process, before)
    process.end(number)
    assert len(mounts_below(folder)) == 2, "tasks keep their volumes while it is away"
    process.start()
    run(process, after)


def test_a_connection_outlives_a_restart_and_says_when_nobody_is_there(process):
    async def test():
        async with asked(process.socket) as plugin:
            await plugin.probe()
            await asyncio.to_thread(process.end, signal.SIGKILL)
            assert await failure(plugin.probe()) is FailureKind.RETRY
            await asyncio.to_thread(process.start)
            async with asyncio.timeout(30):
                while True:
                    try:
                        assert await plugin.probe()
                        break
                    except CsiFailed:
                        await asyncio.sleep(0.02)

    asyncio.run(test())


def test_calls_at_once_over_one_connection(process):
    async def test(plugin):
        assert all(await asyncio.gather(*(plugin.probe() for _ in range(60))))

    run(process, test)


def test_who_is_not_there_is_named(folder):
    async def test():
        plugin = await GrpcPlugins().open(str(folder / "none.sock"))
        with pytest.raises(CsiFailed, match=r"none\.sock: Probe got no answer: No such file or directory"):
            await plugin.probe()
        await plugin.close()

    asyncio.run(test())
