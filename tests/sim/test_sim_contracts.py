"""The simulator's ports against the same suites as the real adapters."""

import random

import pytest

from contract.test_csi import CsiContract
from contract.test_engine import CRASHES as CONTRACT_CRASHES
from contract.test_engine import FOREVER as CONTRACT_FOREVER
from contract.test_engine import SUCCEEDS as CONTRACT_SUCCEEDS
from contract.test_engine import EngineAbsence, EngineContract, Placed
from contract.test_engine_sessions import EngineSessionContract
from contract.test_firewall import FirewallContract
from contract.test_guard import GuardBench, GuardContract
from contract.test_ingress_kernel import IngressContract, backends
from contract.test_log_store import LogStoreContract
from contract.test_membership import MembershipContract
from contract.test_overlay import UNDERLAY, UNDERLAY_MTU, OverlayContract
from contract.test_peers import PeersContract
from contract.test_probe import ProbeContract
from contract.test_volume_store import VolumeStoreContract
from orion.model.job import TaskSpec
from orion.ports.probe import Target
from sim.csi_plugin import NAME, SOCKET, Features
from sim.disk import Disk
from sim.disk_array import POOL, DiskArray
from sim.engine import CRASHES, FOREVER, MISSING, SUCCEEDS, SimEngine, SimEngineClient
from sim.firewall import SimFirewall, SimKernel
from sim.gossip import Gossip, SimMembership
from sim.guard import SimGuard, SimGuardRules
from sim.ingress import SimIngress, SimIngressKernel
from sim.loop import Process
from sim.mounts import Mounted
from sim.network import Network
from sim.overlay import HostNetwork, SimOverlay
from sim.peers import SimPeers
from sim.probe import SimProbe
from sim.simlog import SimLog
from sim.storage_host import StorageHost
from sim.volumes import SimVolumes, VolumeDisk
from sim.world import World

IMAGES = {CONTRACT_FOREVER: FOREVER, CONTRACT_SUCCEEDS: SUCCEEDS, CONTRACT_CRASHES: CRASHES}


class Bench:
    def __init__(self):
        self.world = World(1)
        self.world.install()

    def run(self, check):
        try:
            self.world.loop.run_until_complete(check())
        finally:
            self.world.loop.close()

    def process(self):
        return Process(self.world.loop, "p")


class SimEngineBench(Bench):
    missing_image = MISSING

    def __init__(self):
        super().__init__()
        self.engine = SimEngine(self.world, "e")
        self.engine.images.update(dict.fromkeys(IMAGES.values()))
        self._clusters = 0
        self._ports = 20_000

    def adapter(self):
        return SimEngineClient(self.engine, self.process())

    def spec(self, kind):
        return TaskSpec(IMAGES[kind])

    def new_cluster(self):
        self._clusters += 1
        return self._clusters

    def free_port(self):
        self._ports += 1
        return self._ports

    async def go_down(self):
        self.engine.go_down(containers_die=True)

    async def come_up(self):
        self.engine.come_up()


class TestSimEngine(EngineContract, EngineAbsence, EngineSessionContract):
    @pytest.fixture
    def bench(self):
        return SimEngineBench()


class SimLogBench(Bench):
    def __init__(self):
        super().__init__()
        self.disk = Disk(self.world, "d")

    async def open(self):
        return SimLog(self.disk, self.process())


class TestSimLog(LogStoreContract):
    @pytest.fixture
    def bench(self):
        return SimLogBench()


class SimPeersBench(Bench):
    def __init__(self):
        super().__init__()
        self.network = Network(self.world)

    async def start(self, host):
        host.address = f"10.0.0.{host.number}:7000"
        host.peers = SimPeers(self.network, self.process(), host.node, host.address, host.raft)
        host.peers.set_cluster(host.cluster)
        await host.peers.start(host.on_message, host.on_call, host.on_stream, host.on_duplex)

    async def empty_address(self):
        return "10.0.0.99:7000"


class TestSimPeers(PeersContract):
    @pytest.fixture
    def bench(self):
        return SimPeersBench()


class SimMembershipBench(Bench):
    def __init__(self):
        super().__init__()
        self.gossip = Gossip(Network(self.world))
        self.hosts = {}
        self.made = {}

    async def make(self, node, seeds=()):
        self.hosts.setdefault(node, f"10.0.0.{len(self.hosts) + 1}")
        self.made[node] = SimMembership(self.gossip, self.process(), node, self.address(node), seeds)
        return self.made[node]

    def address(self, node):
        return f"{self.hosts[node]}:6000"

    async def crash(self, node):
        self.made[node].vanish()


class TestSimMembership(MembershipContract):
    @pytest.fixture
    def bench(self):
        return SimMembershipBench()


class SimProbeBench(Bench):
    def __init__(self):
        super().__init__()
        self.engine = SimEngine(self.world, "e")
        self.engine.images[FOREVER] = None

    def probe(self):
        return SimProbe(self.engine)

    async def working(self):
        client, placed = SimEngineClient(self.engine, self.process()), Placed(1, TaskSpec(FOREVER))
        container = await placed.create(client)
        await client.start(container)
        return Target((await client.inspect(container)).address, 80)

    async def silent(self):
        return Target("nobody", 80)


class TestSimProbe(ProbeContract):
    @pytest.fixture
    def bench(self):
        return SimProbeBench()


class SimOverlayBench(Bench):
    def __init__(self):
        super().__init__()
        self.network = HostNetwork(self.world, "n", {UNDERLAY: UNDERLAY_MTU})

    def kernel(self):
        return SimOverlay(self.network, self.process())


class TestSimOverlay(OverlayContract):
    @pytest.fixture
    def bench(self):
        return SimOverlayBench()


class SimFirewallBench(Bench):
    def __init__(self):
        super().__init__()
        self.kernel = SimKernel()

    def part(self):
        return SimFirewall(self.kernel)

    def harms(self):
        return (self.kernel.tamper,)


class TestSimFirewall(FirewallContract):
    @pytest.fixture
    def bench(self):
        return SimFirewallBench()


class SimGuardBench(GuardBench):
    def __init__(self):
        self._rules = SimGuardRules()

    def part(self):
        return SimGuard(self._rules, random.Random(1))

    def flush(self):
        self._rules.tamper()


class TestSimGuard(GuardContract):
    @pytest.fixture
    def bench(self):
        return SimGuardBench()


class SimIngressBench(Bench):
    def __init__(self):
        super().__init__()
        self.kernel = SimIngressKernel()

    def part(self):
        return SimIngress(self.kernel)

    def harms(self):
        return (self.kernel.tamper,)


class TestSimIngress(IngressContract):
    @pytest.fixture
    def bench(self):
        return SimIngressBench()

    def test_connections_to_some_backends_are_cut_and_others_stay(self, bench):
        kept, gone = backends(2)
        bench.kernel.connections = [gone, kept, gone]

        async def check():
            assert await bench.part().cut((gone,)) == 2
            assert bench.kernel.connections == [kept]

        bench.run(check)


class SimVolumesBench(Bench):
    def __init__(self):
        super().__init__()
        self.disk = VolumeDisk()

    def store(self):
        return SimVolumes(self.world.rng("volumes"), "m", self.disk)


class TestSimVolumes(VolumeStoreContract):
    @pytest.fixture
    def bench(self):
        return SimVolumesBench()


class SimCsiBench(Bench):
    name = NAME
    pool = next(iter(POOL))

    def __init__(self):
        super().__init__()
        self.array = DiskArray(self.world.rng("array"))
        self.hosts = {}

    async def plugin(self, node="node1", *, most=0):
        features = Features(grows=False, readonly=False)
        host = StorageHost(self.world, node, self.array, lambda: Disk(self.world, node), features=features)
        host.plugin.known_as, host.plugin.most = node, most
        self.array.nodes = {**self.array.nodes, node: most}
        self.hosts[node] = host
        return await host.plugins_of(self.process()).open(SOCKET)

    def place(self, name):
        return f"/place/{name}"

    def mounts(self):
        return [path for host in self.hosts.values() for path, held in host.mounts.table.items() for _ in held]

    def is_there(self, path):
        return path in self.hosts["node1"].mounts.directories

    def left(self):
        return len(self.array.volumes)

    def write(self, path, text):
        there = self.hosts["node1"].mounts.at(path)
        if there.readonly:
            raise OSError(30, "Read-only file system")
        there.files.append(text)

    def read(self, path):
        return self.hosts["node1"].mounts.at(path).files.read()[-1]

    def put_foreign(self, path):
        self.hosts["node1"].mounts.put(path, Mounted(None))


class TestSimCsi(CsiContract):
    @pytest.fixture
    def bench(self):
        return SimCsiBench()
