"""Volumes that go from machine to machine, without a cluster: on each a process with its plugins and NodeVolumes,
which is killed, or loses power, at any moment; and one who decides, whom nothing happens to. What is only wrong in
the calls, the records and the mounts of one machine shows here, at a tenth of a whole cluster's cost.
"""

import asyncio
import random
from collections.abc import Callable

import msgspec

from orion.model.csi import Access, AccessMode, NewVolume, SizeRange
from orion.model.csi_node import Target, WantedVolume
from orion.model.ids import AllocationId
from orion.node.volumes.node_volumes import NodeVolumes
from orion.node.volumes.plugins import Plugins
from orion.ports.csi import CsiFailed
from sim.csi import SimCsi
from sim.csi_plugin import NAME, SOCKET, Features
from sim.disk import EIO, ENOSPC, Disk
from sim.disk_array import DiskArray
from sim.events import EVERYTHING, Keep, fault_key
from sim.loop import Process
from sim.scenario import bound
from sim.storage_host import StorageHost
from sim.storage_rules import StorageRules
from sim.world import World

LOOK_S = 0.02
WITHIN_S = 600.0  # a volume comes, or goes, whatever fails meanwhile
HEARS_MS = (5, 500)  # until a process knows what it is to run
START_MS = (30, 300)
MODES = (*[AccessMode.SINGLE_NODE_WRITER] * 3, AccessMode.SINGLE_NODE_SINGLE_WRITER)
KINDS = ("kill", "kill", "power", "plugin", "upgrade", "disk", "fsync", "crash", "stall", "busy")
SHARED = AccessMode.MULTI_NODE_MULTI_WRITER


class HandOverPlan(msgspec.Struct, frozen=True):
    machines: int
    volumes: int
    rounds: int  # of each volume
    rate: float  # of calls that go wrong
    pause_ms: float  # between two faults
    faults_s: float
    lenient: bool
    stages: bool
    trusting: bool


class Work(msgspec.Struct, frozen=True):
    """A task on a machine, with one volume."""

    allocation: AllocationId
    wanted: WantedVolume

    @property
    def container(self) -> str:
        return f"c{self.allocation:x}"


class Machine:
    """`assigned`: what it is to run; `starting`: what its engine was asked to start, by allocation."""

    def __init__(self, world: World, name: str, array: DiskArray, rules: StorageRules, features: Features) -> None:
        self.world = world
        self.name = name
        self.rules = rules
        self.disk = Disk(world, name)
        self.storage = StorageHost(world, name, array, lambda: self.disk, features=features)
        rules.watch(self.storage)
        self.assigned: dict[AllocationId, Work] = {}
        self.starting: dict[AllocationId, Work] = {}
        self.works: dict[str, Work] = {}  # by container
        self.process: Process | None = None
        self.volumes: NodeVolumes | None = None
        self._rng = world.rng("machine", name)
        self._runs = 0

    @property
    def running(self) -> dict[str, object]:
        return self.storage.mounts.namespaces

    def boot(self) -> None:
        if self.process is not None:
            return
        self._runs += 1
        self.storage.power_on()
        process = self.process = Process(self.world.loop, self.name)
        self.world.trace(self.name, f"boots, run {self._runs}")
        process.spawn(self._live(process), name="node")

    def kill(self, *, power: bool = False) -> None:
        if self.process is not None:
            self.process.kill()
        self.process = self.volumes = None
        self.world.trace(self.name, "loses power" if power else "is killed")
        if power:
            self.starting.clear()
            self.storage.lose_power()

    async def _live(self, process: Process) -> None:
        plugins = Plugins(self.storage.plugins_of(process))
        plugins.follow([SOCKET])
        volumes = NodeVolumes(
            plugins, self.storage.mounts_of(process, self._runs), self.storage.records_of(process)
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(plugins.run())
            group.create_task(volumes.run())
            group.create_task(self._agent(volumes))

    async def _agent(self, volumes: NodeVolumes) -> None:
        """Keeps to the order: in, start; end, out. What runs from before it goes on with."""
        await asyncio.sleep(self._rng.uniform(*HEARS_MS) / 1000)
        while True:
            held = {work.container: work for work in (*self.assigned.values(), *self.starting.values())}
            held |= {name: self.works[name] for name in self.running}
            volumes.want(together([work.wanted for work in held.values()]))
            self.volumes = volumes
            for allocation, work in self.assigned.items():
                path = work.wanted.targets[0].path
                if work.container in self.running or allocation in self.starting:
                    continue
                if volumes.ready(NAME, work.wanted.id, path):
                    self.starting[allocation] = self.works[work.container] = work
                    self.world.after(self._rng.uniform(*START_MS), self._start, work, self.storage.mounts.boots)
            for name in list(self.running):
                if name not in {work.container for work in self.assigned.values()}:
                    self.world.after(self._rng.uniform(1, 300), self.rules.on_end, self.name, name)
            await asyncio.sleep(0.05)

    def _start(self, work: Work, boot: int) -> None:
        """The engine does it, whoever has asked."""
        if self.storage.mounts.boots != boot:
            return
        self.starting.pop(work.allocation, None)
        target = work.wanted.targets[0]
        if target.path in self.storage.mounts.directories:
            self.rules.on_start(self.name, work.container, [(target.path, target.readonly)])


def together(wanted: list[WantedVolume]) -> list[WantedVolume]:
    """Each volume once, with all of its targets."""
    found: dict[str, WantedVolume] = {}
    for each in wanted:
        first = found.get(each.id, each)
        targets = dict.fromkeys((*first.targets, *each.targets))
        found[each.id] = msgspec.structs.replace(first, targets=tuple(targets))
    return list(found.values())


def choose_hand_over(rng: random.Random) -> HandOverPlan:
    return HandOverPlan(
        machines=rng.choice((1, 2, 2, 3)),
        volumes=rng.choice((1, 2, 3)),
        rounds=rng.choice((2, 3, 4)),
        rate=rng.choice((0.0, 0.05, 0.2, 0.4)),
        pause_ms=rng.choice((150, 500, 2_000, 8_000)),
        faults_s=rng.uniform(5, 60),
        lenient=rng.random() < 0.5,
        stages=rng.random() < 0.8,
        trusting=rng.random() < 0.3,
    )


class HandOver:
    flags = " --volumes"

    def __init__(self, world: World, keep: Keep = EVERYTHING) -> None:
        self.world = world
        plan = self.plan = choose_hand_over(world.rng("plan"))
        self._keep = keep
        self.array = DiskArray(world.rng("array"), lenient=plan.lenient)
        self.rules = self.invariants = StorageRules(world, self.array)
        features = Features(stages=plan.stages, trusting=plan.trusting)
        self.machines = {
            name: Machine(world, name, self.array, self.rules, features)
            for name in (f"node{number}" for number in range(1, plan.machines + 1))
        }
        self._controller = SimCsi(self.machines["node1"].storage.plugin, Process(world.loop, "controller"))
        self._rng = world.rng("hand over")
        self._over = False
        self._crash = ""
        self._kinds = (rng := world.rng("kinds")).sample(KINDS, rng.randint(1, len(KINDS)))
        self._ids = iter(range(1, 1 << 20))
        for machine in self.machines.values():
            machine.storage.files.at_point = lambda point, m=machine: self._at_point(m, point)
            machine.storage.plugin.at_point = lambda point, m=machine: self._at_point(m, point)

    @staticmethod
    def prepare() -> None:
        """Called once, before the processes of many seeds begin."""

    async def run(self) -> None:
        self.world.trace("plan", str(msgspec.structs.asdict(self.plan)))
        for machine in self.machines.values():
            machine.boot()
            machine.storage.plugin.rate = self.plan.rate
        self.world.spawn(self._faults(), name="faults")
        self.world.spawn(self._writers(), name="writers")
        async with asyncio.TaskGroup() as group:
            for number in range(self.plan.volumes):
                group.create_task(self._life(number, self.world.rng("volume", number)))
        self._heal()
        await self._until("all is gone", lambda: not self.rules.left_behind(), self.rules.left_behind)

    # --- volumes ------------------------------------------------------------------------------------------

    async def _life(self, number: int, rng: random.Random) -> None:
        """Made, used by tasks here and there, and in half of the cases deleted."""
        mode = rng.choice((*MODES, SHARED))
        new = NewVolume(f"v{number}", SizeRange(1 << 20), (Access(mode),))
        volume = await self._again(lambda: self._controller.create_volume(new))
        turn = asyncio.Lock()
        for _ in range(self.plan.rounds):
            machines = list(self.machines.values())
            some = rng.sample(machines, rng.randint(1, len(machines))) if mode is SHARED else [rng.choice(machines)]
            await asyncio.gather(*(self._use(volume.id, Access(mode), machine, rng, turn) for machine in some))
            self.rules.check_content(volume.id)
        if rng.random() < 0.5:
            await self._again(lambda: self._controller.delete_volume(volume.id))

    async def _use(
        self, volume: str, access: Access, machine: Machine, rng: random.Random, turn: asyncio.Lock
    ) -> None:
        """`turn`: of the volume's controller, which has one call at a time."""
        node = machine.storage.plugin.known_as
        async with turn:
            context = await self._again(lambda: self._controller.publish_to_node(volume, node, access))
        one = access.mode is AccessMode.SINGLE_NODE_SINGLE_WRITER
        works = []
        for _ in range(1 if one else rng.randint(1, 2)):
            allocation = AllocationId(next(self._ids))
            path = await self._path(machine, volume, allocation)
            target = Target(path, readonly=rng.random() < 0.2)
            works.append(Work(allocation, WantedVolume(NAME, volume, access, (target,), published=context)))
            machine.assigned[allocation] = works[-1]
        if rng.random() < 0.8:
            names = {work.container for work in works}
            await self._until(f"{names} run on {machine.name}", lambda: names <= set(machine.running))
        await asyncio.sleep(rng.uniform(0, 2))
        for work in works:
            del machine.assigned[work.allocation]
        await self._until(f"{volume} is clear of {machine.name}", lambda: self._clear(machine, volume))
        async with turn:
            await self._again(lambda: self._controller.unpublish_from_node(volume, node))

    async def _path(self, machine: Machine, volume: str, allocation: AllocationId) -> str:
        await self._until(f"{machine.name} is up", lambda: machine.volumes is not None)
        assert machine.volumes is not None
        return machine.volumes.target_path(NAME, volume, allocation)

    @staticmethod
    def _clear(machine: Machine, volume: str) -> bool:
        return machine.volumes is not None and machine.volumes.clear(NAME, volume)

    async def _again(self, call: Callable) -> object:
        """A controller's call, made until it succeeds."""
        while True:
            try:
                return await call()
            except CsiFailed as error:
                self.world.trace("controller", error.detail)
                await asyncio.sleep(self._rng.uniform(0.05, 0.5))

    async def _until(self, what: str, holds: Callable[[], bool], why: Callable[[], str] | None = None) -> None:
        async with bound(self.world, WITHIN_S, "liveness", lambda: f"{what}: {why() if why else self._said()}"):
            while not holds():  # noqa: ASYNC110 -- nothing tells the world
                await asyncio.sleep(LOOK_S)

    def _said(self) -> str:
        return str([m.volumes.volumes() if m.volumes else m.name for m in self.machines.values()])

    async def _writers(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            self.rules.write()

    # --- faults -------------------------------------------------------------------------------------------

    async def _faults(self) -> None:
        rng = self.world.rng("faults")
        number = 0
        while not self._over and self.world.loop.time() < self.plan.faults_s:
            await asyncio.sleep(rng.expovariate(1000 / self.plan.pause_ms))
            key, number = fault_key(number), number + 1
            if self._keep.takes(key) and not self._over:
                self._strike(key, self.world.rng("strike", key))
        self._heal()

    def _heal(self) -> None:
        if self._over:
            return
        self._over, self._crash = True, ""
        self.world.trace("faults", "over")
        for machine in self.machines.values():
            machine.storage.calm()
            machine.disk.heal()
            if machine.process is not None:
                machine.process.resume()
            machine.boot()

    def _strike(self, key: str, rng: random.Random) -> None:
        machine = rng.choice(list(self.machines.values()))
        kind = rng.choice(self._kinds)
        self.world.count(f"fault: {kind}")
        self.world.trace("faults", f"{kind} {machine.name}")
        self.world.happened(key, f"{kind} {machine.name}")
        plugin, disk = machine.storage.plugin, machine.disk
        match kind:
            case "kill" | "power":
                self._down(machine, rng, power=kind == "power")
            case "plugin" | "upgrade":
                plugin.restart(rng.uniform(20, 8_000), newer=kind == "upgrade")
            case "disk":
                disk.write_error = rng.choice((EIO, ENOSPC))
                self.world.after(rng.uniform(50, 3_000), disk.heal)
            case "fsync":
                disk.hang_ms = rng.uniform(100, 3_000)
                self.world.after(rng.uniform(50, 3_000), disk.heal)
            case "crash":
                self._crash = f"{machine.name} {rng.randint(1, 30)}"
            case "stall" if machine.process is not None:
                machine.process.stall()
                self.world.after(rng.uniform(100, 9_000), machine.process.resume)
            case "busy":
                paths = sorted(machine.storage.mounts.table)
                if paths:
                    path = rng.choice(paths)
                    machine.storage.mounts.busy[path] = None
                    self.world.after(rng.uniform(50, 3_000), machine.storage.mounts.busy.pop, path, None)

    def _down(self, machine: Machine, rng: random.Random, *, power: bool) -> None:
        machine.kill(power=power)
        self.world.after(rng.uniform(5, 4_000), machine.boot)

    def _at_point(self, machine: Machine, point: str) -> None:
        """The machine may die at one of its next writes of records, or calls."""
        name, _, left = self._crash.partition(" ")
        if name != machine.name:
            return
        self._crash = f"{name} {int(left) - 1}"
        if int(left) <= 1:
            self._crash = ""
            self.world.count(f"fault: crash at {point}")
            rng = self.world.rng("crash", self.world.now_ms)
            self._down(machine, rng, power=rng.random() < 0.5)
