"""An agent on the simulator's engine and clock, with its work and the cluster's word in the test's hand."""

import asyncio
import random

import msgspec

from orion.model.allocation import Allocation, AllocationStatus
from orion.model.ids import AllocationId, JobName, NodeId
from orion.model.job import PortBinding, TaskSpec
from orion.model.levels import LEVEL
from orion.node.agent.agent import Agent
from orion.node.agent.assignment_stream import Assignment, AssignmentSet
from orion.node.agent.confirm import Confirmed
from orion.node.agent.hooks.configs import ConfigInjection
from sim.engine import FOREVER, SimEngine, SimEngineClient
from sim.loop import Process
from sim.probe import SimProbe
from sim.world import SimClock, World

ME = NodeId("node1")
CLUSTER = 7


class Source:
    """What the agent sees of a AssignmentWatcher."""

    def __init__(self):
        self.latest = None
        self.changed = asyncio.Event()


class Bench:
    def __init__(self, world, engine_client=SimEngineClient, hooks=()):
        self.world = world
        self.engine = SimEngine(world, "engine")
        self.engine.images[FOREVER] = None
        self.process = Process(world.loop, ME)
        self.client = engine_client(self.engine, self.process)
        self.source = Source()
        self.reports: list[tuple[AllocationId, AllocationStatus]] = []
        self.asked = []
        self.configs = {}  # key -> Config
        self.read = []  # keys
        self.leftovers = []
        self.kept: set[AllocationId] = set()  # whose containers stay for their logs
        self.deaf = False  # reports take no effect
        self.wanted: set[AllocationId] = set()
        self.turns = []  # allocations that were asked about
        self.waits = ()  # what they wait for
        self.refuse = None  # an error that the cluster gives instead of an answer
        self.neighbours: tuple[NodeId, ...] = ()
        self.drains: set[AllocationId] = set()
        self.assigned: dict[AllocationId, Assignment] = {}
        self.agent = Agent(
            me=ME,
            clock=SimClock(world),
            engine=self.client,
            probe=SimProbe(self.engine),
            source=self.source,
            confirm=self.confirm,
            ask_turn=self.ask_turn,
            hooks=(ConfigInjection(self.read_configs), *hooks),
            report=self.report,
            rng=random.Random(1),
            on_engine=lambda: None,
            on_leftovers=self.leftovers.append,
        )

    async def read_configs(self, keys):
        self.read.append(keys)
        if self.refuse is not None:
            raise self.refuse
        return tuple(self.configs.get(key) for key in keys)

    async def confirm(self, request):
        self.asked.append(request)
        if self.refuse is not None:
            raise self.refuse
        return Confirmed(tuple(a for a in request.allocations if a in self.wanted), request.nodes)

    async def ask_turn(self, request):
        self.turns.append(request.allocation)
        if self.refuse is not None:
            raise self.refuse
        return self.waits

    def report(self, allocation, status):
        """Takes effect in state, as if committed; the agent is told with the next change of its work."""
        self.reports.append((allocation, status))
        known = self.assigned.get(allocation)
        if known and not known.allocation.terminal and not self.deaf:
            self._put(msgspec.structs.replace(known.allocation, status=status), known.spec)

    def start(self):
        self.publish()
        return self.world.loop.create_task(self.agent.run())

    # --- work ---------------------------------------------------------------------------------------------

    def assign(self, number=1, *, image=FOREVER, ports=(), wanted=True, status=None, **spec):
        identity = AllocationId(number)
        bindings = tuple(PortBinding(port, "tcp", port) for port in ports)
        allocation = Allocation(
            identity, JobName(f"job{number}"), 0, 0, ME, ports, wanted, 0, status or AllocationStatus()
        )
        self._put(allocation, TaskSpec(image, ports=bindings, **spec))
        if wanted:
            self.wanted.add(identity)
        self.publish()
        return identity

    def unwant(self, identity):
        self.wanted.discard(identity)
        known = self.assigned[identity]
        self._put(msgspec.structs.replace(known.allocation, wanted=False), known.spec)
        self.publish()

    def drop(self, identity):
        self.wanted.discard(identity)
        del self.assigned[identity]
        self.publish()

    def _put(self, allocation, spec):
        self.assigned[allocation.id] = Assignment(allocation, spec)

    def publish(self):
        self.source.latest = AssignmentSet(
            1,
            CLUSTER,
            registered=True,
            assigned=tuple(self.assigned.values()),
            neighbours=self.neighbours,
            kept=tuple(self.kept),
            level=LEVEL,
            drains=tuple(self.drains),
        )
        self.source.changed.set()

    # --- what came of it ----------------------------------------------------------------------------------

    def states(self, identity):
        return [str(status.state) for allocation, status in self.reports if allocation == identity]

    def held(self, identity):
        return next((h for h in self.engine.containers.values() if h.shown.labels.allocation == identity), None)

    def running(self, identity):
        held = self.held(identity)
        return held is not None and held.shown.state == "running"

    async def until(self, condition, seconds=30):
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 -- any state of the fakes
                await asyncio.sleep(0.005)


def run(main, seed=1, **kwargs):
    """Runs `main(bench)` in virtual time, beside the agent."""
    world = World(seed)
    world.install()

    async def both():
        bench = Bench(world, **kwargs)
        runner = bench.start()
        try:
            await main(bench)
            assert not runner.done(), runner.exception()
        finally:
            runner.cancel()
            await asyncio.wait([runner])

    try:
        world.loop.run_until_complete(both())
    finally:
        world.loop.close()
