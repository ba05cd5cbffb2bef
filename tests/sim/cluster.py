"""Machines with whole nodes on them: booted, killed, stopped and asked as real ones are."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Protocol

import msgspec

from orion.model.csi_node import KnownVolume
from orion.model.ids import AllocationId, NodeId, RaftId
from orion.model.resources import MIB, Resources
from orion.node.network.node_network import NetworkPorts
from orion.node.node import Node
from orion.node.services.service import Service
from orion.ports.dns import Resolve
from orion.ports.log import Identity
from orion.ports.storage import StoragePorts
from orion.process.config import Config, Tuning
from sim.builds import PRESENT, Build
from sim.disk import Disk
from sim.engine import SimEngine, SimEngineClient
from sim.firewall import SimFirewall
from sim.gossip import Gossip, SimMembership
from sim.guard import SimGuard
from sim.image import IDENTITY_DAMAGED
from sim.ingress import SimIngress
from sim.loop import Process, ProcessState
from sim.machine import SimMachine
from sim.names import SimNames
from sim.network import Network
from sim.overlay import SimOverlay
from sim.peers import SimPeers
from sim.probe import SimProbe
from sim.reach import SimReach
from sim.relay import SimRelay
from sim.simlog import SimLog
from sim.storage_system import SOCKET, SimPlugins, StorageSystem
from sim.volumes import SimVolumes, VolumeDisk
from sim.world import SimClock, World

UNDERLAY_MTU = 1_500
CAPACITY = Resources(cpu_millis=4_000, memory_bytes=2_048 * MIB, disk_bytes=20_480 * MIB)


class ConnectionLost(Exception):
    """The node that a client spoke to went while it answered."""


class ConnectionRefused(ConnectionLost):
    """Nobody listens there, so nothing was asked."""


class Run:
    """One process with a node in it."""

    def __init__(
        self, process: Process, log: SimLog, peers: SimPeers, membership: SimMembership, build: Build
    ) -> None:
        self.build = build
        self.process = process
        self.node: Node | None = None  # once it is built
        self.main: asyncio.Task | None = None
        self.started = False  # only then does it serve its API and heed a planned stop
        self.stopping = False
        self.log = log
        self.peers = peers
        self.membership = membership
        self.names: SimNames | None = None  # once its network is up
        self.asked: dict[asyncio.Future, None] = {}  # what clients wait for
        self.damaged_since: set[str] = set()  # what was read before it was damaged


class MachineStorage(Protocol):
    """A machine's part in a storage system."""

    def ports(self, process: Process, run: int) -> StoragePorts: ...

    def power_on(self) -> None: ...

    def lose_power(self) -> None: ...

    def wipe(self) -> None:
        """A new disk: the machine was off meanwhile."""


class NoMounts:
    """No machine here has a mount of a storage plugin's."""

    def boot_id(self) -> str:
        return "never asked"


class NoRecords:
    directory = "/csi"

    async def load(self) -> dict[str, KnownVolume | None]:
        return {}


class NoKeeper:
    async def renew(self, until_ms: Mapping[AllocationId, int], ended: Collection[AllocationId] = ()) -> None:
        raise AssertionError(until_ms)


class Machine:
    """A host with a disk, an engine and at most one running node."""

    def __init__(self, cluster: "Cluster", config: Config, engine: SimEngine) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self.name = str(config.node)
        self.host = config.advertise
        self.config = config
        self.engine = engine
        self.disk = Disk(self.world, self.name)
        self.volumes = VolumeDisk()
        self.array_part: MachineStorage | None = None
        self.clock = SimClock(self.world)
        self.gossip_memory: dict[str, None] = {}  # a file beside the log
        self.run: Run | None = None
        self.runs = 0
        self.wipes = 0
        self.raft = RaftId(0)  # of the last run
        self.lost = False  # for good
        self.build: Build = PRESENT  # what it boots next

    @property
    def up(self) -> bool:
        return self.run is not None

    @property
    def node(self) -> Node | None:
        """The node that runs here, if one does, has started and is not stalled."""
        if self.run is None or not self.run.started or self.run.process.state is not ProcessState.RUNNING:
            return None
        return self.run.node

    # --- life ---------------------------------------------------------------------------------------------

    def boot(self) -> None:
        if self.run is not None or self.lost:
            return
        cluster, world, config = self.cluster, self.world, self.config
        self.runs += 1
        cluster.network.dark.discard(self.host)
        if self.array_part is not None:
            self.array_part.power_on()
        process = Process(world.loop, self.name)
        log = SimLog(self.disk, process)
        log.at_boundary = cluster.at_boundary
        log.on_failed = lambda _: cluster.on_log_failed(self)
        peers = SimPeers(cluster.network, process, self.name, f"{self.host}:{config.raft_port}")
        membership = SimMembership(
            cluster.gossip,
            process,
            config.node,
            f"{self.host}:{config.gossip_port}",
            config.join,
            self.gossip_memory,
        )
        self.run = Run(process, log, peers, membership, self.build)
        world.trace(self.name, f"boots, run {self.runs}{'' if self.build is PRESENT else ', the newer build'}")
        self.run.main = process.spawn(self._live(self.run), name="node")

    async def _live(self, run: Run) -> None:
        try:
            run.node = await self._build(run)
            await run.node.start()
            run.started = True
            self.cluster.on_start(self, run)
            await run.node.run()
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is the finding
            if not self.cluster.has_reason(self, innermost(error)):
                text = "".join(traceback.format_exception(error))
                self.world.fail("nodes live", f"{self.name} ended by itself:\n{text}")
            self.world.trace(self.name, f"ended: {innermost(error)}")
        except asyncio.CancelledError:
            self.world.trace(self.name, "ended as planned")
        self._gone("the connection was closed")

    async def _build(self, run: Run) -> Node:
        """As process/daemon.py does, from our adapters."""
        machine = SimMachine(self.world, self.name, self.runs, lambda: list(self.engine.kernel.devices))
        identity = await run.log.identity()
        if identity is None:
            address = f"{self.host}:{self.config.raft_port}"
            identity = Identity(self.config.node, RaftId(machine.random_bits(64) | 1), address=address)
            await run.log.set_identity(identity)
        if IDENTITY_DAMAGED not in self.disk.written.names_of_damage():
            run.damaged_since = {IDENTITY_DAMAGED}
        self.raft = run.peers.raft = identity.raft_id
        run.peers.set_cluster(identity.cluster)
        return run.build.Node(
            config=self.config,
            version=f"{run.build.version}-sim",
            capacity=self.config.capacity or CAPACITY,
            clock=self.clock,
            store=run.log,
            peers=run.peers,
            membership=run.membership,
            engine=SimEngineClient(self.engine, run.process),
            probe=SimProbe(self.engine),
            machine=machine,
            volumes=SimVolumes(self.world.rng("volumes", self.name, self.runs), self.name, self.volumes),
            network=lambda: self._network(run),
            storage=self._storage(run),
            identity=identity,
        )

    def _storage(self, run: "Run") -> StoragePorts:
        if self.array_part is None:
            return StoragePorts(SimPlugins(self.cluster.storage), NoMounts(), NoRecords(), NoKeeper())
        return self.array_part.ports(run.process, self.runs)

    def _network(self, run: "Run") -> NetworkPorts:
        def names(resolve: Resolve) -> SimNames:
            run.names = SimNames(resolve)
            return run.names

        kernel, firewall = SimOverlay(self.engine.kernel, run.process), SimFirewall(self.engine.firewall)
        ingress = SimIngress(self.engine.ingress)
        guard = SimGuard(self.engine.guard, self.world.rng("guard", self.name, self.runs))
        return NetworkPorts(kernel, firewall, names, SimReach(self), ingress, guard, SimRelay())

    def kill(self, *, power: bool = False, torn: bool = False) -> bool:
        """`kill -9`, or with `power` the whole machine loses it, whether the node runs at that moment or not.
        Returns whether the log was torn by it.
        """
        if self.run is None and not power:
            return False
        self.world.trace(self.name, "loses power" if power else "is killed")
        if self.run is not None:
            self._gone("the connection was reset")
        if not power:
            return False
        self.engine.lose_network()
        if self.array_part is not None:
            self.array_part.lose_power()
        self.cluster.network.dark.add(self.host)
        return self.disk.lose_power(torn=torn)

    def lose_for_good(self, *, power: bool) -> None:
        """The machine is killed and never returns; with `power` its host is silent, else it refuses connections. An
        engine that is no other machine's is gone with it.
        """
        self.lost = True
        self.kill(power=power)
        if all(m.lost for m in self.cluster.machines.values() if m.engine is self.engine):
            del self.cluster.engines[self.engine.id]

    def wipe(self) -> None:
        """A new disk: the node forgets who it was, and its vote. Its engine and what runs there stay."""
        self.wipes += 1
        self.disk = Disk(self.world, f"{self.name}#{self.wipes}")
        self.volumes = VolumeDisk()
        if self.array_part is not None:
            self.array_part.wipe()
        self.gossip_memory.clear()
        if self.config.bootstrap:  # there is a cluster: this time it joins
            others = (m.config for m in self.cluster.machines.values() if m is not self)
            join = tuple(f"{config.advertise}:{config.gossip_port}" for config in others)
            self.config = msgspec.structs.replace(self.config, bootstrap=False, join=join[:2])
        self.cluster.on_wipe(self)

    def _gone(self, reason: str) -> None:
        run, self.run = self.run, None
        assert run is not None
        run.process.kill()
        run.peers.vanish(reason)
        run.membership.vanish()
        for future in list(run.asked):
            if not future.done():
                self.world.soon(_fail, future)
        self.cluster.on_gone(self, run)

    def stop(self) -> None:
        """A planned stop, as SIGTERM asks for."""
        run = self.run
        if run is not None and run.started and not run.stopping:
            self.world.trace(self.name, "is asked to stop")
            run.stopping = True
            run.process.spawn(self._stop(run), name="stop")

    async def _stop(self, run: Run) -> None:
        assert run.node is not None
        assert run.main is not None
        await run.node.stop()
        run.main.cancel()

    # --- clients ------------------------------------------------------------------------------------------

    async def ask(self, question: Callable[[Service], Awaitable[Any]]) -> Any:
        """What a client on this machine gets from the node's API. Raises ConnectionLost."""
        run = self.run
        if not self.cluster.may_ask(self) or run is None or run.node is None or not run.started:
            raise ConnectionRefused
        node = run.node
        answer: asyncio.Future = self.world.loop.create_future()

        async def serve() -> None:
            try:
                result = await question(node.service)
            except Exception as error:  # noqa: BLE001 -- the asker gets it
                self.world.soon(_settle, answer, None, error)
            else:
                self.world.soon(_settle, answer, result, None)

        run.asked[answer] = None
        run.process.spawn(serve(), name="api")
        try:
            return await answer
        finally:
            run.asked.pop(answer, None)


def innermost(error: BaseException) -> BaseException:
    """The first of a group, as process/daemon.py tells it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _settle(future: asyncio.Future, result: object, error: Exception | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)


def _fail(future: asyncio.Future) -> None:
    if not future.done():
        future.set_exception(ConnectionLost())


class Cluster:
    """Machines and their engines; with `clones` all engines say the same id."""

    def __init__(self, world: World, tuning: Tuning, *, clones: bool = False) -> None:
        self.world = world
        self.tuning = tuning
        self.network = Network(world)
        self.gossip = Gossip(self.network)
        self.machines: dict[str, Machine] = {}
        self.engines: dict[str, SimEngine] = {}
        self.storage = StorageSystem(world)
        self.has_storage = False  # each machine has its plugin
        self._shown_id = "image" if clones else ""
        self.at_boundary: Callable[[SimLog, str], None] = lambda *_: None
        self.on_start: Callable[[Machine, Run], None] = lambda *_: None
        self.on_gone: Callable[[Machine, Run], None] = lambda *_: None
        self.on_wipe: Callable[[Machine], None] = lambda _: None
        self.on_outage: Callable[[], None] = lambda: None
        self.has_network: Callable[[int], bool] = lambda _: True  # of a machine by number
        self.on_log_failed: Callable[[Machine], None] = lambda _: None
        # Whether a node had to end with this error; whether a client may ask just now.
        self.has_reason: Callable[[Machine, BaseException], bool] = lambda *_: False
        self.may_ask: Callable[[Machine], bool] = lambda _: True

    def add(self, number: int, engine: str, *, capacity: Resources = CAPACITY) -> Machine:
        """A new machine; machine 1 is the one that bootstraps. It is not booted."""
        name = f"node{number}"
        first = number == 1
        config = Config(
            node=NodeId(name),
            data_dir=f"/sim/{name}",
            bind=f"10.0.0.{number}",
            advertise=f"10.0.0.{number}",
            bootstrap=first,
            join=() if first else ("10.0.0.1:6000", "10.0.0.2:6000"),
            labels=(("zone", "ab"[number % 2]),),
            capacity=capacity,
            tuning=self.tuning,
            csi_sockets=(SOCKET,) if self.has_storage else (),
        )
        if engine not in self.engines:
            self.engines[engine] = SimEngine(self.world, engine, shown_id=self._shown_id)
        machine = Machine(self, config, self.engines[engine])
        if self.has_network(number):
            machine.engine.kernel.underlay[config.advertise] = UNDERLAY_MTU
        self.machines[name] = machine
        return machine

    def machine_of(self, process: Process | None) -> Machine | None:
        return self.machines.get(process.name) if process is not None else None

    def machine_of_raft(self, raft: int) -> Machine | None:
        for machine in self.machines.values():
            if machine.raft == raft:
                return machine
        return None

    def living(self) -> list[Machine]:
        """All but those that are lost for good."""
        return [machine for machine in self.machines.values() if not machine.lost]

    @property
    def has_array(self) -> bool:
        """Volumes are on a disk array, whose rules are in storage_rules.py."""
        return any(machine.array_part is not None for machine in self.machines.values())

    def up(self) -> list[Machine]:
        return [machine for machine in self.machines.values() if machine.up]

    def leader(self) -> Machine | None:
        """The machine whose node leads, by its own word, at the highest term."""
        leading = [m for m in self.up() if m.run is not None and _leads(m.run.node)]
        return max(leading, key=lambda m: m.run.node.driver.standing.term, default=None)


def _leads(node: Node | None) -> bool:
    return node is not None and node.driver.is_leader
