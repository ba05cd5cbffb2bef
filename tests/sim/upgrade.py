"""A cluster of two builds: machines are given the newer one, and the former one again, under load and faults; in
the end all have the newer one. What only that one knows is refused until then, and taken from then on.
"""

import asyncio
import random

from msgspec.structs import replace

from orion.model.api.tasks import TaskRequest
from orion.model.errors import OrionError, Outdated, TooNew, Unreadable
from orion.model.ids import NodeId
from sim.builds import PRESENT, Build, newer_build
from sim.cluster import Cluster, ConnectionLost, Machine
from sim.engine import FOREVER
from sim.events import EVERYTHING, Keep
from sim.scenario import Plan, Scenario, bound, choose_plan
from sim.world import World

MEAN_PAUSE_S = 0.8  # between two changes of a machine's build
STOP_PATIENCE_S = 12.0
ASK_PATIENCE_S = 15.0
WORKS = "what is newer works once all have it"


def choose_mixed_plan(world: World) -> Plan:
    plan = choose_plan(world.rng("plan"))
    return replace(plan, losses=False, nodes=max(2, plan.nodes), safety_s=max(plan.safety_s, 15.0))


class Upgrade(Scenario):
    flags = " --mixed"

    def __init__(self, world: World, keep: Keep = EVERYTHING) -> None:
        super().__init__(world, choose_mixed_plan(world), keep)
        self._rng = world.rng("builds")
        machines = list(self.cluster.machines.values())
        self._keeper = self._rng.choice(machines)  # has the former build until all others have the newer one
        judge = self.cluster.has_reason

        def has_reason(machine: Machine, error: BaseException) -> bool:
            return self._is_outdated(machine, error) or judge(machine, error)

        self.cluster.has_reason = has_reason
        self._notes = Notes(self.cluster, self.invariants.state)

    @staticmethod
    def prepare() -> None:
        newer_build()

    def newest(self) -> Build:
        return newer_build()

    async def run(self) -> None:
        await self.start()
        self.workload.begin()
        self.repeater.begin()
        self.faults.begin()
        self._notes.begin()
        end = self.world.loop.time() + self.plan.safety_s
        while self.world.loop.time() < end - self.plan.safety_s / 3:
            await self._change_some_build()
        for machine in self._others():
            await self._give(machine, newer_build())
        await self._give(self._keeper, newer_build())
        await asyncio.sleep(max(1.0, end - self.world.loop.time()))
        self.faults.end()
        await self.workload.end()
        await self.repeater.end()
        await self._notes.end()
        await self.until_at_rest()
        await self._all_is_newer()
        await self.until_at_rest()
        await self.check_answers()

    # --- builds -------------------------------------------------------------------------------------------

    def _others(self) -> list[Machine]:
        return [machine for machine in self.cluster.machines.values() if machine is not self._keeper]

    async def _change_some_build(self) -> None:
        await asyncio.sleep(self._rng.expovariate(1 / MEAN_PAUSE_S))
        if (leader := self.cluster.leader()) and leader.run:
            self.world.count(f"builds: the {leader.run.build.name} one leads")
        machine = self._rng.choice(self._others())
        keeper = self.invariants.state.nodes.get(NodeId(self._keeper.name))
        if keeper is None or keeper.level > PRESENT.level:
            return  # nobody would hold the level down
        await self._give(machine, newer_build() if machine.build is PRESENT else PRESENT)

    async def _give(self, machine: Machine, build: Build) -> None:
        """As somebody who upgrades does it: end the process, and start the other build on its directory."""
        if machine.build is build and (machine.run is None or machine.run.build is build):
            return
        self.world.count(f"builds: {'upgraded' if build is not PRESENT else 'rolled back'}")
        machine.build = build
        if machine.run is not None and self._rng.random() < 0.6:
            machine.stop()
            gone = machine.run
            for _ in range(int(STOP_PATIENCE_S / 0.1)):
                if machine.run is not gone:
                    break
                await asyncio.sleep(0.1)
        if machine.run is not None and machine.run.build is not build:
            machine.kill()
        if machine.run is None and machine.runs:
            self.world.after(self._rng.uniform(20, 800), machine.boot)

    def _is_outdated(self, machine: Machine, error: BaseException) -> bool:
        """Only where an operator's removal of a node has let the cluster rise early."""
        if not isinstance(error, Outdated | Unreadable) or machine.run is None or machine.run.build is not PRESENT:
            return False
        if self.invariants.state.level == PRESENT.level:
            return False
        self.world.count("ended: outdated")
        machine.build = newer_build()
        self.world.after(500, machine.boot)
        return True

    # --- in the end ---------------------------------------------------------------------------------------

    async def _all_is_newer(self) -> None:
        newer = newer_build()
        levels = {m.name: m.node._source.level for m in self.cluster.machines.values() if m.node}
        if set(levels.values()) != {newer.level}:
            self.world.fail("the level rises once all have the newer build", f"at rest they are at {levels}")
        mottos = {node.id: node.motto for node in self.invariants.state.nodes.values()}
        if set(mottos.values()) != {"newer"}:
            self.world.fail("nodes say what is newer once the level has risen", f"at rest they have said {mottos}")
        for number, machine in enumerate(self.cluster.machines.values()):
            async with bound(self.world, ASK_PATIENCE_S, WORKS, lambda: "no answer"):
                await self._notes.say(machine, f"last{number}")
        self.world.count("builds: risen")


class Notes:
    """A client that asks for what only the newer build knows. `reference` is the state that all nodes come to."""

    def __init__(self, cluster: Cluster, reference) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self._reference = reference
        self._rng: random.Random = self.world.rng("notes")
        self._over = False
        self._runner: asyncio.Task | None = None
        self._made = 0

    def begin(self) -> None:
        self._runner = self.world.spawn(self._keep_asking(), name="notes")

    async def end(self) -> None:
        self._over = True
        if self._runner is not None:
            await self._runner

    async def _keep_asking(self) -> None:
        while not self._over:
            await asyncio.sleep(self._rng.expovariate(1 / 0.7))
            machine = self._rng.choice(list(self.cluster.machines.values()))
            self._made += 1
            name, risen = f"note{self._made}", self._reference.level == newer_build().level
            try:
                async with asyncio.timeout(8.0):
                    await self._ask(machine, name)
            except TooNew as error:
                if risen:
                    self.world.fail(WORKS, f"{machine.name} refused {name}: {error.detail}")
                self.world.count("builds: refused what is newer")
            except (OrionError, ConnectionLost, TimeoutError):
                continue

    async def _ask(self, machine: Machine, name: str) -> None:
        newer = machine.run is not None and machine.run.build is not PRESENT
        request = TaskRequest(image=FOREVER, name=name, memory=0, cpu=0.0, env={"NOTE": f"of {name}"})
        if self._rng.random() < 0.5:
            await machine.ask(
                lambda s: s.create_task(request, idempotency_key="", timeout_s=4.0, wait_running_s=0.0)
            )
        else:
            jobs = sorted(self._reference.jobs)
            label = f"note-{self._rng.choice(jobs) if jobs else name}"
            await machine.ask(lambda s: s.label_node(machine.name, {label: "hello"}, timeout_s=4.0))
        if newer:
            self.world.count("builds: took what is newer")
            if self._reference.level < newer_build().level:
                self.world.fail("what is newer is refused until all have it", f"{machine.name} took {name}")

    async def say(self, machine: Machine, name: str) -> None:
        """At rest, on a machine with the newer build."""
        request = TaskRequest(image=FOREVER, name=name, memory=0, cpu=0.0, env={"NOTE": f"of {name}"})
        await machine.ask(lambda s: s.create_task(request, idempotency_key="", timeout_s=4.0, wait_running_s=0.0))
        if self._reference.jobs[name].job.note != f"of {name}":
            self.world.fail(WORKS, f"the note of {name} is lost")
        await machine.ask(lambda s: s.label_node(machine.name, {f"note-{name}": "hello"}, timeout_s=4.0))
        if self._reference.jobs[name].job.note != "hello":
            self.world.fail(WORKS, f"the note of {name} is not changed")
