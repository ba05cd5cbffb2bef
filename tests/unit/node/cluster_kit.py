"""Whole nodes on the simulator's ports, in a test's hand."""

import asyncio
import contextlib

from orion.model.node import NodeStatus
from orion.process.config import Tuning
from sim.cluster import Cluster
from sim.loop import ProcessState
from sim.world import World


class Nodes:
    def __init__(self, world, count, tuning):
        self.world = world
        self.cluster = Cluster(world, tuning)
        self.processes = []
        self.cluster.on_start = lambda _, run: self.processes.append(run.process)
        self.machines = [self.cluster.add(number, f"engine{number}") for number in range(1, count + 1)]

    def __getitem__(self, number):
        return self.machines[number - 1]

    async def until(self, condition, seconds=60.0):
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 -- any state of the cluster
                await asyncio.sleep(0.01)

    async def start(self, voters):
        for machine in self.machines:
            machine.boot()
        await self.until(lambda: self.leader is not None and self._whole(voters))

    def _whole(self, voters):
        driver = self.leader.node.driver
        conf = driver.raft.conf
        ready = [node for node in driver.view.nodes() if node.status is NodeStatus.READY]
        return (
            len(ready) == len(self.machines)
            and len(conf.voters) == voters
            and not conf.voters_outgoing
            and len(conf.learners) == min(2, len(self.machines) - voters)
        )

    @property
    def leader(self):
        return self.cluster.leader()

    def isolate(self, *machines):
        """Cuts these off from the others, and from each other."""
        hosts = [m.host for m in self.machines]
        alone = [m.host for m in machines]
        self.cluster.network.cut({(a, b) for a in hosts for b in hosts if a != b and (a in alone or b in alone)})

    def cut(self, one, *others):
        paths = {(one.host, other.host) for other in others}
        self.cluster.network.cut(paths | {(b, a) for a, b in paths})

    def heal(self):
        self.cluster.network.cut(set())


def run(main, count=3, voters=None, seed=1, tuning=None):
    """Runs `main(nodes)` in virtual time once all are up and registered."""
    world = World(seed)
    world.install()
    nodes = Nodes(world, count, tuning or Tuning())

    async def whole():
        await nodes.start(voters or (3 if count >= 3 else 1))
        await main(nodes)

    try:
        world.loop.run_until_complete(whole())
    finally:
        _end(world, nodes)
        world.loop.close()


def _end(world, nodes):
    """Every runner ends here, those of killed processes too: none is left to be collected after the loop."""
    for process in nodes.processes:
        process.state = ProcessState.RUNNING
    runners = asyncio.all_tasks(world.loop)
    for runner in runners:
        runner.cancel()
    if runners:
        world.loop.run_until_complete(asyncio.wait(runners, timeout=1))
    world.loop.run_until_complete(world.loop.shutdown_asyncgens())
    for runner in runners:
        if not runner.done():  # its wake-up was dropped when its process was killed
            with contextlib.suppress(RuntimeError):
                runner.get_coro().close()
