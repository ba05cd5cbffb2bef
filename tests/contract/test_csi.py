"""What every plugin at the Csi port does, by CSI's own rules: orion-csi-dir here, as a real process with real
sockets and real mounts, and the simulator's in tests/sim. What only a process has is at the end.
"""

import asyncio
import contextlib
import functools
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

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
from orion.ports.csi import CsiFailed, CsiPlugin
from support.csi import PluginProcess, asked, mounts_below

WRITER = Access()
MIB = 1 << 20


class Bench(Protocol):
    """Machines that share one storage system, each with its plugin. `name`: of the plugin; `pool`: its domain."""

    name: str
    pool: str

    def run(self, check: Callable[[], Awaitable[None]]) -> None:
        """To its end, in an event loop that fits."""

    async def plugin(self, node: str = "node1", *, most: int = 0) -> CsiPlugin:
        """Of a machine, as which the plugin knows it. `most`: volumes there, 0 for any number."""

    def place(self, name: str) -> str:
        """Returns a path where a plugin may mount something, the same on each machine."""

    def mounts(self) -> list[str]:
        """Returns what is mounted there, on all machines."""

    def is_there(self, path: str) -> bool: ...

    def left(self) -> int:
        """Returns how many volumes the storage system has."""

    def write(self, path: str, text: str) -> None:
        """Into what is mounted on node1. Raises OSError where that is read-only."""

    def read(self, path: str) -> str: ...

    def put_foreign(self, path: str) -> None:
        """Has something of others be mounted on node1."""


def checked(check: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    def run(self: object, bench: Bench) -> None:
        bench.run(functools.partial(check, self, bench))

    run.__name__, run.__doc__ = check.__name__, check.__doc__
    return run


def new(name="data", access=(WRITER,), **more):
    return NewVolume(name, more.pop("size", SizeRange(MIB)), access, **more)


async def failure(call):
    with pytest.raises(CsiFailed) as raised:
        await call
    return raised.value.kind


async def to_target(bench, plugin, volume, target="target", access=WRITER, *, readonly=False):
    published = await plugin.publish_to_node(volume.id, "node1", access)
    staging = bench.place("staging")
    await plugin.stage(volume.id, staging, access, published=published)
    path = bench.place(target)
    await plugin.publish(volume.id, path, access, staging=staging, readonly=readonly, published=published)


async def and_away(bench, plugin, volume, *targets):
    for target in targets or ("target",):
        await plugin.unpublish(volume.id, bench.place(target))
    await plugin.unstage(volume.id, bench.place("staging"))
    await plugin.unpublish_from_node(volume.id, "node1")


class CsiContract:
    """Inherit, give a fixture `bench`, and all these are run."""

    @checked
    async def test_who_it_is(self, bench):
        plugin = await bench.plugin()
        assert (await plugin.info()).name == bench.name
        assert await plugin.features() == set(PluginFeature) - {PluginFeature.OFFLINE}
        assert await plugin.probe()
        assert ControllerFeature.CLONE_VOLUME in await plugin.controller_features()
        assert NodeFeature.STAGE_UNSTAGE_VOLUME in await plugin.node_features()
        node = await plugin.node_info()
        assert (node.node_id, node.topology) == ("node1", {bench.pool: "default"})

    @checked
    async def test_a_volumes_whole_life_and_every_call_twice(self, bench):
        plugin = await bench.plugin()
        made = await plugin.create_volume(new())
        assert await plugin.create_volume(new()) == made
        assert made.size_bytes == MIB
        for _ in range(2):
            await to_target(bench, plugin, made)
        target = bench.place("target")
        bench.write(target, "1")
        assert len(bench.mounts()) == 2, "no path is mounted twice"
        assert await failure(plugin.delete_volume(made.id)) is FailureKind.IN_USE
        stats = await plugin.stats(made.id, target)
        assert {each.unit for each in stats.usage} == {"bytes", "inodes"}
        status = await plugin.volume(made.id)
        assert status.nodes == ("node1",)
        for _ in range(2):
            await and_away(bench, plugin, made)
        assert not bench.is_there(target)
        await to_target(bench, plugin, made)
        assert bench.read(target) == "1"
        await and_away(bench, plugin, made)
        for _ in range(2):
            await plugin.delete_volume(made.id)
        assert (await plugin.volumes()).volumes == ()
        assert bench.left() == 0

    @checked
    async def test_a_name_that_differs_is_refused_and_a_new_life_has_a_new_id(self, bench):
        plugin = await bench.plugin()
        made = await plugin.create_volume(new())
        larger = plugin.create_volume(new(size=SizeRange(2 * MIB)))
        assert await failure(larger) is FailureKind.CONFLICT
        await plugin.delete_volume(made.id)
        assert (await plugin.create_volume(new())).id != made.id, "a late delete must not meet it"

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
            (new(required=({"another.domain": "other"},)), FailureKind.EXHAUSTED),
        ],
    )
    def test_volumes_that_are_not_made(self, bench, asked_for, kind):
        async def check():
            plugin = await bench.plugin()
            assert await failure(plugin.create_volume(asked_for)) is kind
            assert (await plugin.volumes()).volumes == ()

        bench.run(check)

    @checked
    async def test_one_writer_at_a_time_and_hand_over(self, bench):
        """Who has not let go keeps the other one out, until the controller takes it away."""
        first, second = await bench.plugin("node1"), await bench.plugin("node2")
        made = await first.create_volume(new())
        one, two = bench.place("s1"), bench.place("s2")
        context = await first.publish_to_node(made.id, "node1", WRITER)
        assert await failure(first.publish_to_node(made.id, "node2", WRITER)) is FailureKind.IN_USE
        assert await failure(second.stage(made.id, two, WRITER, published=context)) is FailureKind.IN_USE
        await first.unpublish_from_node(made.id, "node1")
        await first.publish_to_node(made.id, "node2", WRITER)
        await second.stage(made.id, two, WRITER)
        late = first.stage(made.id, one, WRITER, published=context)
        assert await failure(late) is FailureKind.IN_USE, "the node that lost it can't bring it back"
        await second.unstage(made.id, two)

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
    def test_who_shares_a_volume(self, bench, first, second, kind):
        async def check():
            plugin, _ = await bench.plugin("node1"), await bench.plugin("node2")
            made = await plugin.create_volume(new(access=(Access(first), Access(second))))
            await plugin.publish_to_node(made.id, "node1", Access(first))
            call = plugin.publish_to_node(made.id, "node2", Access(second))
            if kind is None:
                await call
            else:
                assert await failure(call) is kind
            other = plugin.publish_to_node(made.id, "node1", Access(AccessMode.SINGLE_NODE_MULTI_WRITER))
            assert await failure(other) is FailureKind.CONFLICT

        bench.run(check)

    @checked
    async def test_a_read_only_target_beside_a_writable_one(self, bench):
        plugin = await bench.plugin()
        made = await plugin.create_volume(new())
        await to_target(bench, plugin, made)
        await to_target(bench, plugin, made, "reader", readonly=True)
        with pytest.raises(OSError, match="Read-only"):
            bench.write(bench.place("reader"), "x")
        bench.write(bench.place("target"), "x")
        again = to_target(bench, plugin, made, "reader")
        assert await failure(again) is FailureKind.CONFLICT, "not in another way at the same path"
        await and_away(bench, plugin, made, "target", "reader")

    @checked
    async def test_a_single_writer_is_published_once(self, bench):
        access, plugin = Access(AccessMode.SINGLE_NODE_SINGLE_WRITER), await bench.plugin()
        made = await plugin.create_volume(new(access=(access,)))
        await to_target(bench, plugin, made, access=access)
        second = to_target(bench, plugin, made, "second", access)
        assert await failure(second) is FailureKind.RETRY
        await and_away(bench, plugin, made)

    @checked
    async def test_snapshots_and_clones_hold_what_was_there(self, bench):
        plugin, target = await bench.plugin(), bench.place("target")
        made = await plugin.create_volume(new())
        await to_target(bench, plugin, made)
        bench.write(target, "before")
        taken = await plugin.create_snapshot(made.id, "monday")
        assert await plugin.create_snapshot(made.id, "monday") == taken
        assert taken.ready
        bench.write(target, "after")
        await and_away(bench, plugin, made)
        old = await plugin.create_volume(new("old", source=Source(snapshot=taken.id)))
        twin = await plugin.create_volume(new("twin", source=Source(volume=made.id)))
        smaller = plugin.create_volume(new("small", size=SizeRange(limit_bytes=1), source=Source(volume=made.id)))
        assert await failure(smaller) is FailureKind.OUT_OF_RANGE
        for volume, content in ((old, "before"), (twin, "after")):
            await to_target(bench, plugin, volume)
            assert bench.read(target) == content
            await and_away(bench, plugin, volume)
        assert await failure(plugin.create_snapshot(twin.id, "monday")) is FailureKind.CONFLICT
        await plugin.delete_volume(made.id)
        assert (await plugin.snapshots(volume=made.id)).snapshots == (taken,), "it outlives its volume"
        await plugin.delete_snapshot(taken.id)
        await plugin.delete_snapshot(taken.id)
        assert (await plugin.snapshots()).snapshots == ()

    @checked
    async def test_growth_and_no_shrinking(self, bench):
        plugin = await bench.plugin()
        made = await plugin.create_volume(new())
        grown = await plugin.expand_volume(made.id, SizeRange(3 * MIB))
        assert (grown.size_bytes, grown.node_too) == (3 * MIB, False)
        assert (await plugin.expand_volume(made.id, SizeRange(2 * MIB))).size_bytes == 3 * MIB
        shrunk = plugin.expand_volume(made.id, SizeRange(MIB, 2 * MIB))
        assert await failure(shrunk) is FailureKind.OUT_OF_RANGE
        assert await failure(plugin.expand_volume("none", SizeRange(MIB))) is FailureKind.NOT_FOUND

    @checked
    async def test_lists_in_parts_while_volumes_come_and_go(self, bench):
        plugin = await bench.plugin()
        ids = [(await plugin.create_volume(new(f"v{number}"))).id for number in range(5)]
        first = await plugin.volumes(most=2)
        await plugin.delete_volume(first.volumes[1].volume.id)
        rest = await plugin.volumes(token=first.next_token)
        found = [each.volume.id for each in (*first.volumes, *rest.volumes)]
        assert sorted(found) == sorted(ids)
        assert await failure(plugin.volumes(token="none")) is FailureKind.RETRY

    @checked
    async def test_the_most_volumes_of_a_node(self, bench):
        plugin = await bench.plugin(most=1)
        assert (await plugin.node_info()).max_volumes == 1
        one, two = [await plugin.create_volume(new(name)) for name in ("one", "two")]
        for _ in range(2):
            await plugin.publish_to_node(one.id, "node1", WRITER)
        assert await failure(plugin.publish_to_node(two.id, "node1", WRITER)) is FailureKind.EXHAUSTED

    @checked
    async def test_capabilities_are_confirmed_or_not(self, bench):
        plugin = await bench.plugin()
        made = await plugin.create_volume(new())
        assert (await plugin.validate(made.id, [WRITER])).confirmed
        block = await plugin.validate(made.id, [WRITER, Access(block=True)])
        assert not block.confirmed
        assert block.message
        assert await failure(plugin.validate("none", [WRITER])) is FailureKind.NOT_FOUND
        assert (await plugin.capacity()).available_bytes > 0
        assert (await plugin.capacity(topology={bench.pool: "other"})).available_bytes == 0

    @checked
    async def test_a_second_call_about_a_volume_meanwhile_is_told_to_come_again(self, bench):
        plugin = await bench.plugin()
        calls = [plugin.create_volume(new("same")) for _ in range(20)]
        done = await asyncio.gather(*calls, return_exceptions=True)
        made = {each.id for each in done if not isinstance(each, CsiFailed)}
        assert len(made) == 1
        assert {each.kind for each in done if isinstance(each, CsiFailed)} <= {FailureKind.PENDING}

    @checked
    async def test_what_is_not_its_own_is_never_unmounted(self, bench):
        plugin, foreign = await bench.plugin(), bench.place("foreign")
        bench.put_foreign(foreign)
        made = await plugin.create_volume(new())
        assert await failure(plugin.unpublish(made.id, foreign)) is FailureKind.RETRY
        assert bench.mounts() == [foreign]

    @checked
    async def test_calls_at_once_over_one_connection(self, bench):
        plugin = await bench.plugin()
        assert all(await asyncio.gather(*(plugin.probe() for _ in range(60))))


class DirBench:
    """orion-csi-dir, a process for each node, with one root."""

    name = "dir.csi.orion.dev"
    pool = "dir.csi.orion.dev/pool"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = contextlib.AsyncExitStack()
        self._foreign: list[str] = []

    def run(self, check):
        async def whole():
            async with self._stack:
                await check()

        try:
            asyncio.run(whole())
        finally:
            for path in self._foreign:
                subprocess.run(["umount", path], check=True)

    async def plugin(self, node="node1", *, most=0):
        process = PluginProcess(self.folder, *(["--max-volumes", str(most)] if most else []), node=node)
        await asyncio.to_thread(self._stack.enter_context, process)
        return await self._stack.enter_async_context(asked(process.socket))

    def place(self, name):
        return str(self.folder / name)

    def mounts(self):
        return mounts_below(self.folder)

    def is_there(self, path):
        return os.path.lexists(path)

    def left(self):
        return len(list((self.folder / "root" / "volumes").iterdir()))

    def write(self, path, text):
        Path(path, "row").write_text(text)

    def read(self, path):
        return Path(path, "row").read_text()

    def put_foreign(self, path):
        for each in (Path(path), self.folder / "other"):
            each.mkdir()
        subprocess.run(["mount", "--bind", self.folder / "other", path], check=True)
        self._foreign.append(path)


@pytest.mark.root
class TestCsiDir(CsiContract):
    @pytest.fixture
    def bench(self, folder):
        return DirBench(folder)


# --- what only a process has -------------------------------------------------------------------------------


def run(process, test):
    async def whole():
        async with asked(process.socket) as plugin:
            await test(plugin)

    asyncio.run(whole())


@pytest.mark.root
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_comes_back_with_all_that_it_had(process, folder, number):
    bench = DirBench(folder)

    async def before(plugin):
        made = await plugin.create_volume(new())
        await to_target(bench, plugin, made)

    async def after(plugin):
        (status,) = (await plugin.volumes()).volumes
        assert status.nodes == ("node1",)
        await and_away(bench, plugin, status.volume)

    run(process, before)
    process.end(number)
    assert len(mounts_below(folder)) == 2, "tasks keep their volumes while it is away"
    process.start()
    run(process, after)


@pytest.mark.root
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


@pytest.mark.root
def test_who_is_not_there_is_named(folder):
    async def test():
        plugin = await GrpcPlugins().open(str(folder / "none.sock"))
        with pytest.raises(CsiFailed, match=r"none\.sock: Probe got no answer: No such file or directory"):
            await plugin.probe()
        await plugin.close()

    asyncio.run(test())
