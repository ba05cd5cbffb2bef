"""NodeVolumes with a real plugin, real mounts and real files: in, out, and after every kind of end."""

import asyncio
import contextlib
import os
import signal

import msgspec
import pytest

from orion.adapters.csi import GrpcPlugins
from orion.adapters.csi_records import FileRecords
from orion.adapters.mounts import LinuxMounts
from orion.model.csi import Access, NewVolume, SizeRange
from orion.model.csi_node import Target, WantedVolume
from orion.node.volumes.node_volumes import NodeVolumes
from orion.node.volumes.plugins import Plugins
from orion.ports.csi_records import RecordsFailed
from support.csi import PluginProcess, asked, mounts_below, unmount_all

pytestmark = pytest.mark.root

LONG_S = 20.0
NAME = "dir.csi.orion.dev"


class Machine(LinuxMounts):
    boots = 1

    def boot_id(self):
        return f"boot {self.boots}"


class Killed(Exception):
    pass


class KilledRecords(FileRecords):
    """Ends the process, as it were, before or after what it does for the nth time."""

    left = 1 << 30
    after = False

    async def save(self, folder, known):
        self.left -= 1
        if self.left == 0 and not self.after:
            raise Killed
        await super().save(folder, known)
        if self.left == 0:
            raise Killed


class Bench:
    def __init__(self, folder, *sockets):
        self.mounts = Machine()
        self.records = KilledRecords(folder / "csi")
        self.plugins = Plugins(GrpcPlugins())
        self.plugins.follow([str(socket) for socket in sockets])
        self.volumes = NodeVolumes(self.plugins, self.mounts, self.records)

    @contextlib.asynccontextmanager
    async def running(self):
        runners = [asyncio.create_task(each.run()) for each in (self.plugins, self.volumes)]
        try:
            yield self
        finally:
            for runner in runners:
                runner.cancel()
            await asyncio.gather(*runners, return_exceptions=True)

    async def killed(self):
        """Runs until the process would have ended. Returns whether it did."""
        runners = [asyncio.create_task(each.run()) for each in (self.plugins, self.volumes)]
        try:
            async with asyncio.timeout(30):
                while not runners[1].done():
                    if all(each.settled for each in self.volumes.volumes()) and self.volumes._loaded:
                        return False
                    await asyncio.sleep(0.005)
            return True
        finally:
            for runner in runners:
                runner.cancel()
            await asyncio.gather(*runners, return_exceptions=True)

    def path(self, volume, allocation=1):
        return self.volumes.target_path(NAME, volume.id, allocation)

    def wanted(self, volume, *allocations, readonly=False, **more):
        targets = tuple(Target(self.path(volume, each), readonly) for each in allocations or (1,))
        return WantedVolume(NAME, volume.id, Access(), targets, published={"node": "node1"}, **more)

    async def until_ready(self, volume, allocation=1):
        await until(lambda: self.volumes.ready(NAME, volume.id, self.path(volume, allocation)), self.said)

    async def until_clear(self, volume):
        await until(lambda: self.volumes.clear(NAME, volume.id), self.said)

    def said(self):
        return f"{self.volumes.volumes()} {self.plugins.states()}"


async def until(holds, said):
    try:
        async with asyncio.timeout(60):
            while not holds():  # noqa: ASYNC110 -- of what a process and a kernel do
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(said())


async def made(process, name="data"):
    """A volume that is published to this node."""
    async with asked(process.socket) as plugin:
        volume = await plugin.create_volume(NewVolume(name, SizeRange(1 << 20), (Access(),)))
        await plugin.publish_to_node(volume.id, "node1", Access())
        return volume


def test_in_for_two_tasks_and_out_again_without_a_trace(process, folder):
    async def test():
        volume = await made(process)
        async with Bench(folder, process.socket).running() as bench:
            bench.volumes.want([bench.wanted(volume, 1, 2)])
            await bench.until_ready(volume, 1)
            await bench.until_ready(volume, 2)
            assert len(mounts_below(folder)) == 3
            assert len(bench.path(volume)) <= len(str(folder)) + 64
            bench.volumes.want([bench.wanted(volume, 2)])
            await until(lambda: len(mounts_below(folder)) == 2, bench.said)
            assert bench.volumes.ready(NAME, volume.id, bench.path(volume, 2))
            assert not bench.volumes.clear(NAME, volume.id)
            bench.volumes.want([])
            await bench.until_clear(volume)
        assert list((folder / "csi").iterdir()) == []

    asyncio.run(test())


def test_nothing_is_touched_before_it_is_known_what_is_wanted(process, folder):
    async def test():
        volume = await made(process)
        async with Bench(folder, process.socket).running() as bench:
            bench.volumes.want([bench.wanted(volume)])
            await bench.until_ready(volume)
        before = mounts_below(folder)
        async with Bench(folder, process.socket).running() as bench:
            await until(lambda: any(each.healthy for each in bench.plugins.states()), bench.said)
            assert mounts_below(folder) == before
            assert not bench.volumes.clear(NAME, volume.id), "nobody knows yet"
            bench.volumes.want([bench.wanted(volume)])
            await bench.until_ready(volume)
            assert mounts_below(folder) == before, "a task that runs keeps its mount through a restart"
        async with Bench(folder, process.socket).running() as bench:
            bench.volumes.want([])
            await bench.until_clear(volume)

    asyncio.run(test())


def test_a_process_that_is_killed_at_any_record_goes_on_from_there(process, folder):
    """In and out, killed before and after each time that it writes down where it is."""

    async def test():
        volume = await made(process)
        ends = 0
        for goes_in, after in ((True, False), (True, True), (False, False), (False, True)):
            for nth in range(1, 50):
                bench = Bench(folder, process.socket)
                wanted = bench.wanted(volume, 1, 2)
                await one_way(wanted, volume, goes_in=not goes_in)
                bench.records.left, bench.records.after = nth, after
                bench.volumes.want([wanted] if goes_in else [])
                if not await bench.killed():
                    break
                ends += 1
                await one_way(wanted, volume, goes_in=goes_in)
            else:
                pytest.fail("it comes to no end")
        await one_way(wanted, volume, goes_in=False)
        assert ends >= 12

    async def one_way(wanted, volume, *, goes_in):
        async with Bench(folder, process.socket).running() as bench:
            bench.volumes.want([wanted] if goes_in else [])
            if goes_in:
                await bench.until_ready(volume, 1)
                await bench.until_ready(volume, 2)
                assert len(mounts_below(folder)) == 3
            else:
                await bench.until_clear(volume)
                assert mounts_below(folder) == []

    asyncio.run(test())


def test_a_plugin_that_is_away_is_waited_for_in_words(folder):
    async def test():
        with process:
            volume = await made(process)
            process.end(signal.SIGKILL)
            async with Bench(folder, process.socket).running() as bench:
                bench.volumes.want([bench.wanted(volume)])
                await until(
                    lambda: "plugin dir.csi.orion.dev" in bench.volumes.why_not(NAME, volume.id), bench.said
                )
                await asyncio.to_thread(process.start)
                await bench.until_ready(volume)
                await until(lambda: bench.volumes.why_not(NAME, volume.id) == "", bench.said)
                await asyncio.to_thread(process.end, signal.SIGKILL)
                bench.volumes.want([])
                await until(lambda: bench.volumes.why_not(NAME, volume.id) != "", bench.said)
                await asyncio.to_thread(process.start)
                await bench.until_clear(volume)

    process = PluginProcess(folder)
    asyncio.run(test())


def test_after_a_boot_and_after_mounts_vanished_all_is_there_again(process, folder):
    async def test():
        volume = await made(process)
        async with Bench(folder, process.socket).running() as bench:
            bench.volumes.want([bench.wanted(volume)])
            await bench.until_ready(volume)
            unmount_all(folder)
            bench.volumes._look_again()
            await until(lambda: len(mounts_below(folder)) == 2, bench.said)
        unmount_all(folder)
        bench = Bench(folder, process.socket)
        bench.mounts.boots = 2
        async with bench.running():
            bench.volumes.want([bench.wanted(volume)])
            await bench.until_ready(volume)
            assert len(mounts_below(folder)) == 2
            bench.volumes.want([])
            await bench.until_clear(volume)

    asyncio.run(test())


@pytest.mark.parametrize("how", ["removed", "damaged"])
def test_mounts_whose_record_is_lost_are_taken_away_and_wanted_ones_kept(process, folder, how):
    async def test():
        kept, lost = await made(process, "kept"), await made(process, "lost")
        async with Bench(folder, process.socket).running() as bench:
            bench.volumes.want([bench.wanted(kept), bench.wanted(lost)])
            await bench.until_ready(kept)
            await bench.until_ready(lost)
        for record in (folder / "csi").glob("*/record.json"):
            record.unlink() if how == "removed" else record.write_bytes(b'{"plugin": 1')
        async with Bench(folder, process.socket).running() as bench:
            bench.volumes.want([bench.wanted(kept)])
            await bench.until_ready(kept)
            await until(lambda: len(mounts_below(folder)) == 2, bench.said)
            await bench.until_clear(lost)
            bench.volumes.want([])
            await bench.until_clear(kept)

    asyncio.run(test())


def test_a_record_that_the_disk_keeps_is_removed_later(process, folder):
    refusals = 2

    async def test():
        volume = await made(process)
        async with Bench(folder, process.socket).running() as bench:
            bench.volumes.want([bench.wanted(volume)])
            await bench.until_ready(volume)
            forget, refused = bench.records.forget, []

            async def refuse_at_first(name):
                if len(refused) < refusals:
                    assert not bench.volumes.clear(NAME, volume.id)
                    refused.append(name)
                    raise RecordsFailed("the disk is full")
                await forget(name)

            bench.records.forget = refuse_at_first
            bench.volumes.want([])
            await bench.until_clear(volume)
            assert len(refused) == refusals
        assert list((folder / "csi").iterdir()) == []

    asyncio.run(test())


def test_a_volume_in_use_stays_and_says_so_until_it_is_free(process, folder):
    async def test():
        volume = await made(process)
        async with Bench(folder, process.socket).running() as bench:
            bench.volumes.want([bench.wanted(volume)])
            await bench.until_ready(volume)
            in_use = os.open(bench.path(volume), os.O_RDONLY | os.O_DIRECTORY)
            try:
                bench.volumes.want([])
                await until(lambda: "in use" in bench.volumes.why_not(NAME, volume.id), bench.said)
                assert bench.path(volume) in mounts_below(folder)
            finally:
                os.close(in_use)
            await bench.until_clear(volume)

    asyncio.run(test())


def test_what_a_plugin_will_never_take_is_said_and_not_asked_again(process, folder):
    async def test():
        volume = await made(process)
        wrong = Access(fs_type="xfs")
        async with Bench(folder, process.socket).running() as bench:
            bench.volumes.want([msgspec.structs.replace(bench.wanted(volume), access=wrong)])
            await until(lambda: "fs_type" in bench.volumes.why_not(NAME, volume.id), bench.said)
            asked_before = process.log.read_text().count("fs_type")
            for _ in range(3):
                bench.volumes._look_again()
                await asyncio.sleep(0)
            bench.volumes.want([bench.wanted(volume)])
            await bench.until_ready(volume)
            assert process.log.read_text().count("fs_type") == asked_before
            bench.volumes.want([])
            await bench.until_clear(volume)

    asyncio.run(test())


def test_plugins_are_followed_by_their_sockets(process, folder):
    async def test():
        with PluginProcess(folder, "--no-node", node="controller") as controller:
            async with Bench(folder, process.socket, controller.socket).running() as bench:
                await until(lambda: sum(each.healthy for each in bench.plugins.states()) == 2, bench.said)
                assert bench.plugins.node_part(NAME).state.socket == str(process.socket)
                states = {each.socket: each for each in bench.plugins.states()}
                assert states[str(controller.socket)].node is None
                assert states[str(process.socket)].node_info.node_id == "node1"
                bench.plugins.follow([str(controller.socket)])
                await until(lambda: bench.plugins.node_part(NAME) is None, bench.said)
                assert "no such part" in bench.plugins.why_not(NAME)
                assert bench.plugins.controller_part(NAME) is not None

    asyncio.run(test())


def test_one_that_comes_back_counts_as_another_generation(process, folder):
    async def test():
        async with Bench(folder, process.socket).running() as bench:
            await until(lambda: bench.plugins.node_part(NAME) is not None, bench.said)
            one = bench.plugins.node_part(NAME)
            await asyncio.to_thread(process.end, signal.SIGKILL)
            one.doubt()
            await until(lambda: not one.state.healthy, bench.said)
            assert "Connection refused" in one.state.why or "No such file" in one.state.why
            await asyncio.to_thread(process.start)
            await until(lambda: one.state.healthy, bench.said)
            assert one.generation == 2

    asyncio.run(test())


def test_who_asks_is_told_what_is_so_now(process, folder):
    """Not what the last look of every ten seconds has seen, nor after how many tries it is away."""

    async def test():
        async with Bench(folder, process.socket).running() as bench:
            await until(lambda: bench.plugins.node_part(NAME) is not None, bench.said)
            await asyncio.to_thread(process.end, signal.SIGKILL)
            (state,) = await bench.plugins.seen_now(LONG_S)
            assert "Connection refused" in state.why or "No such file" in state.why
            await asyncio.to_thread(process.start)
            (state,) = await bench.plugins.seen_now(LONG_S)
            assert state.why == ""
            process.signal(signal.SIGSTOP)
            (state,) = await bench.plugins.seen_now(0.2)
            assert state.why == "it has not answered for 0.2 s"
            process.signal(signal.SIGCONT)
            (state,) = await bench.plugins.seen_now(LONG_S)
            assert state.why == ""

    asyncio.run(test())
