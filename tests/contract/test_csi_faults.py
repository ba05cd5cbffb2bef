"""The client against a plugin that fails in each way, and a node's volumes against one that fails at random."""

import asyncio
import os
import random
import time
from pathlib import Path

import pytest
from grpclib.const import Status

from contract.test_node_volumes import NAME, Bench
from orion.adapters.csi import GrpcPlugins
from orion.adapters.csi.failures import BY_CODE
from orion.model.csi import NEVER, Access, FailureKind, NewVolume, SizeRange
from orion.model.csi_node import Target, WantedVolume
from orion.model.secret_values import SecretValues
from orion.node.volumes import node_volumes, one_plugin, one_volume
from orion.ports.csi import CsiFailed
from support.csi import asked, mounts_below, unmount_all
from support.csi_faults import CODES, Fault, FaultyPlugin

pytestmark = pytest.mark.root

# 1,000 take some minutes; a run of the whole suite has fewer.
SEQUENCES = int(os.environ.get("ORION_CSI_SEQUENCES", "30"))
AT_ONCE = 4  # they share a connection, so a lost one is lost for all
DEADLINE_S = 0.4
NEVER_CODES = {code for code in CODES if BY_CODE[code].kind in NEVER}


def run(folder, test):
    async def whole():
        async with FaultyPlugin(folder, 0, 0.0).serving() as faulty, asked(faulty.socket) as plugin:
            await test(faulty, plugin)

    asyncio.run(whole())


async def met(faulty, fault):
    """Has a call that makes a volume meet the fault, and returns how it failed. It has a short deadline, which a
    slow machine may miss before the plugin hears of it: then it is made again. Other connections have time.
    """
    async with asked(faulty.socket, CreateVolume=DEADLINE_S) as hasty, asyncio.timeout(60):
        faulty.script.append(fault)
        while faulty.script:
            failed = await failure(hasty.create_volume(new()))
        return failed


def new(name="data"):
    return NewVolume(name, SizeRange(1 << 20), (Access(),))


async def failure(call):
    with pytest.raises(CsiFailed) as raised:
        await call
    return raised.value


@pytest.mark.parametrize("code", CODES)
def test_every_code_comes_as_its_kind_and_the_connection_goes_on(folder, code):
    async def test(faulty, plugin):
        faulty.script.append(code)
        failed = await failure(plugin.create_volume(new()))
        assert failed.kind is BY_CODE[code].kind
        assert f"CreateVolume for volume data was refused: {code.name}: a seed" in str(failed)
        assert (await plugin.create_volume(new())).size_bytes == 1 << 20

    run(folder, test)


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.LATE, Fault.REFUSED_AFTER])
def test_what_was_done_unheard_is_found_by_the_same_call(folder, fault):
    async def test(faulty, plugin):
        await met(faulty, fault)
        made = await plugin.create_volume(new())
        assert [each.volume.id for each in (await plugin.volumes()).volumes] == [made.id]

    run(folder, test)


def test_an_answer_after_the_deadline_belongs_to_nobody(folder):
    async def test(faulty, plugin):
        failed = await met(faulty, Fault.SLOW)
        assert failed.kind is FailureKind.RETRY
        assert f"nothing came within {DEADLINE_S:g} s" in str(failed)
        assert (await failure(plugin.create_volume(new()))).kind is FailureKind.PENDING
        async with asyncio.timeout(60):
            while not (await plugin.volumes()).volumes:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    run(folder, test)


@pytest.mark.parametrize("call", ["CreateVolume", "NodeGetInfo", "GetPluginInfo", "ControllerPublishVolume"])
def test_lies_are_not_believed(folder, call):
    async def test(faulty, plugin):
        made = await plugin.create_volume(new("first"))
        calls = {
            "CreateVolume": lambda: plugin.create_volume(new()),
            "NodeGetInfo": plugin.node_info,
            "GetPluginInfo": plugin.info,
            "ControllerPublishVolume": lambda: plugin.publish_to_node(made.id, "node1", Access()),
        }
        faulty.script.append(Fault.LIE)
        assert (await failure(calls[call]())).kind is FailureKind.LIE
        await calls[call]()

    run(folder, test)


def test_secrets_are_in_no_error(folder):
    async def test(faulty, plugin):
        faulty.script.append(Status.INTERNAL)
        secret = SecretValues({"key": "seed"})
        assert "a *** has" in str(await failure(plugin.create_volume(new(), secret)))

    run(folder, test)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"", FailureKind.RETRY),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", FailureKind.RETRY),
        (b"\x00" * 4096, FailureKind.RETRY),
    ],
)
def test_who_is_no_plugin_at_all(folder, answer, kind):
    async def whole():
        async def greet(reader, writer):
            await reader.read(1)
            writer.write(answer)
            writer.close()

        server = await asyncio.start_unix_server(greet, folder / "other.sock")
        plugin = await GrpcPlugins({"Probe": 2.0}).open(str(folder / "other.sock"))
        assert (await failure(plugin.probe())).kind in (kind, FailureKind.LIE)
        await plugin.close()
        server.close()
        await server.wait_closed()

    asyncio.run(whole())


# --- at random --------------------------------------------------------------------------------------------


class World:
    """One machine with a plugin that fails, and the sequences of many volumes on it."""

    def __init__(self, folder, faulty):
        self.folder, self.faulty = folder, faulty
        self.wanted = {}
        self.boots = 1
        self.counts = {"calls of steps": 0, "ends of the process": 0, "boots": 0}
        self._bench = self._running = None
        faulty.refused = self._refused

    async def begin(self):
        bench = self._bench = Bench(self.folder)
        bench.plugins._plugins = GrpcPlugins(dict.fromkeys(self.deadlines, DEADLINE_S))
        bench.plugins.follow([str(self.faulty.socket)])
        bench.mounts.boots = self.boots
        self._running = bench.running()
        await self._running.__aenter__()
        self._tell()

    async def end(self):
        await self._running.__aexit__(None, None, None)

    async def killed(self):
        self.counts["ends of the process"] += 1
        await self.end()
        await self.begin()

    async def booted(self):
        self.counts["boots"] += 1
        await self.end()
        unmount_all(self.folder)
        self.boots += 1
        await self.begin()

    @property
    def deadlines(self):
        from orion.wire.csi.methods import METHODS

        return METHODS

    @property
    def bench(self):
        return self._bench

    def want(self, volume, wanted):
        if wanted is None:
            self.wanted.pop(volume.id, None)
        else:
            self.wanted[volume.id] = wanted
        self._tell()

    def _tell(self):
        self._bench.volumes.want(list(self.wanted.values()))

    def _refused(self, code):
        """The plugin is replaced by one that takes what this one never would have."""
        if code in NEVER_CODES and self._bench is not None:
            for one in self._bench.plugins._by_socket.values():
                one.generation += 1
                one._on_change()


async def again(call):
    """A controller's call, made until it succeeds."""
    async with asyncio.timeout(120):
        while True:
            try:
                return await call()
            except CsiFailed:
                await asyncio.sleep(0.001)


async def until(holds, world):
    try:
        async with asyncio.timeout(120):
            while not holds():  # noqa: ASYNC110 -- of what a kernel and a plugin do
                await asyncio.sleep(0.004)
    except TimeoutError:
        pytest.fail(world.bench.said())


async def sequence(world, plugin, number, rng):
    """One volume's life. Returns its row if it is kept."""
    volume = await again(lambda: plugin.create_volume(new(f"v{number}")))
    published = await again(lambda: plugin.publish_to_node(volume.id, "node1", Access()))
    row = 0
    for _ in range(rng.randint(1, 4)):
        allocations = rng.sample((1, 2, 3), rng.randint(1, 3))
        readonly = rng.random() < 0.2
        paths = [world.bench.path(volume, each) for each in allocations]
        targets = tuple(Target(path, readonly) for path in paths)
        world.want(volume, WantedVolume(NAME, volume.id, Access(), targets, published=published))
        if rng.random() < 0.7:
            for path in paths:
                await until(lambda path=path: usable(world, volume, path), world)
                if not usable(world, volume, path):
                    continue
                row = one_more(Path(path, "row"), row, readonly=readonly)
        else:
            await asyncio.sleep(rng.random() * 0.05)
        event = rng.random()
        if event < 0.03:
            await world.killed()
        elif event < 0.04:
            await world.booted()
    world.want(volume, None)
    await until(lambda: world.bench.volumes.clear(NAME, volume.id), world)
    directory = Path(world.bench.path(volume)).parents[1]
    assert mounts_below(directory) == []
    assert directory.name not in {each.name for each in (world.folder / "csi").iterdir()}
    await again(lambda: plugin.unpublish_from_node(volume.id, "node1"))
    if rng.random() < 0.5:
        await again(lambda: plugin.delete_volume(volume.id))
        return None
    return volume.id, row


def one_more(file, rows, *, readonly):
    """Writes one row more where that can be. Returns how many there are."""
    assert len(file.read_text() if file.exists() else "") == rows, "a row was lost"
    if readonly:
        with pytest.raises(OSError, match="Read-only"):
            file.touch()
        return rows
    with file.open("a") as out:
        out.write("x")
    return rows + 1


def usable(world, volume, path):
    mounted = mounts_below(world.folder).count(path)
    assert mounted <= 1, "a path is mounted twice"
    return mounted == 1 and world.bench.volumes.ready(NAME, volume.id, path)


def test_any_sequence_through_a_plugin_that_fails_loses_no_volume_and_leaks_no_mount(folder, monkeypatch, capsys):
    for module in (one_volume, one_plugin):
        monkeypatch.setattr(module, "FIRST_AGAIN_S", 0.002)
        monkeypatch.setattr(module, "LONGEST_AGAIN_S", 0.05)
    monkeypatch.setattr(one_plugin, "LOOK_S", 0.2)
    monkeypatch.setattr(node_volumes, "LOOK_AGAIN_S", 0.2)
    began = time.monotonic()

    async def test():
        faulty = FaultyPlugin(folder, 7, 0.3)
        world = World(folder, faulty)
        async with faulty.serving():
            await world.begin()
            async with asked(faulty.socket, **dict.fromkeys(world.deadlines, DEADLINE_S)) as plugin:
                numbers = iter(range(SEQUENCES))
                kept = {}

                async def some():
                    for number in numbers:
                        left = await sequence(world, plugin, number, random.Random(number))
                        if left:
                            kept[left[0]] = left[1]

                await asyncio.gather(*(some() for _ in range(AT_ONCE)))
                await world.end()
                faulty.rate = 0.0
                found = {each.volume.id: each for each in (await again(plugin.volumes)).volumes}
                assert found.keys() == kept.keys()
                for volume, row in kept.items():
                    assert found[volume].nodes == ()
                    file = folder / "root" / "volumes" / volume / "data" / "row"
                    assert len(file.read_text() if file.exists() else "") == row
        assert mounts_below(folder) == []
        assert list((folder / "csi").iterdir()) == []
        assert list((folder / "root" / "making").iterdir()) == []
        return faulty, world

    faulty, world = asyncio.run(test())
    with capsys.disabled():
        print(
            f"\n{SEQUENCES} sequences: {faulty.calls} calls, {faulty.faults} of which went wrong, "
            f"{world.counts['ends of the process']} ends of the process, {world.counts['boots']} boots, "
            f"{time.monotonic() - began:.0f} s"
        )
