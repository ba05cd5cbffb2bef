"""A scenario: whole clusters whose jobs have volumes of a storage system, while machines, networks, plugins and the
storage system's answers fail. What must hold of volumes is in storage_rules.py; of claims, here.
"""

import asyncio
import random
from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from orion.model.claims import Claim, ClaimPhase
from orion.model.volumes import Volume
from orion.node.routing.plugin_calls import PublishVolume, UnpublishVolume
from orion.state.tables import State
from orion.state.tables.claims import Claims
from orion.state.tables.volumes import Volumes
from sim.cluster import Machine
from sim.csi_plugin import SOCKET, Features
from sim.disk_array import DiskArray, Stored
from sim.events import EVERYTHING, Keep
from sim.scenario import Plan, Scenario, bound, choose_plan
from sim.storage_rules import StorageRules
from sim.stored_faults import OTHERS, STORAGE
from sim.stored_machine import StoredMachine
from sim.stored_workload import StoredWorkload
from sim.world import World

WRITE_EVERY_S = 0.15
MADE_BOUND_S = 60.0
CLAIMED = "a volume is where there is a claim"
PUBLISHED = "a published claim is so at the storage system"

_ASKED = {ClaimPhase.PUBLISHING: PublishVolume, ClaimPhase.UNPUBLISHING: UnpublishVolume}
_HAS = (ClaimPhase.PUBLISHED, ClaimPhase.RELEASING)


class StoragePlan(msgspec.Struct, frozen=True):
    """`controllers`: on so many machines. `rate`: of calls that go wrong, whatever else."""

    controllers: int
    rate: float
    lenient: bool
    stages: bool
    deadline_s: float


def choose_storage(rng: random.Random, machines: int) -> StoragePlan:
    return StoragePlan(
        controllers=rng.choice((1, 2, machines, machines)),
        rate=rng.choice((0.0, 0.03, 0.1, 0.3)),
        lenient=rng.random() < 0.6,
        stages=rng.random() < 0.8,
        deadline_s=rng.choice((3.0, 8.0, 20.0)),
    )


def choose_stored_plan(world: World) -> Plan:
    """Elections take twice as long as usual: nothing here is about those, and a seed costs half."""
    rng = world.rng("stored plan")
    plan = choose_plan(world.rng("plan"))
    return replace(
        plan,
        losses=False,
        nodes=(nodes := rng.choice((2, 3, 3, 3, 3, 4, 5))),
        engines=nodes,
        late=0,
        safety_s=rng.uniform(20, 50),
        tuning=replace(plan.tuning, heartbeat_ms=200, election_ms=1_000),
    )


class StoredScenario(Scenario):
    flags = " --stored"

    def __init__(self, world: World, keep: Keep = EVERYTHING) -> None:
        plan = choose_stored_plan(world)
        super().__init__(world, plan if keep.safety_s is None else replace(plan, safety_s=keep.safety_s), keep)
        self.storage = choose_storage(world.rng("storage plan"), self.plan.nodes)
        self.array = DiskArray(world.rng("array"), lenient=self.storage.lenient)
        self.rules = StorageRules(world, self.array)
        self.hosts: dict[str, StoredMachine] = {}
        for number, machine in enumerate(self.cluster.machines.values()):
            self._equip(machine, controller=number < self.storage.controllers)
        self.claim_rules = ClaimRules(self)
        self.workload = StoredWorkload(self.cluster)
        self.invariants.on_leader = lambda _: None
        self.gate._workload = self.workload
        rng = world.rng("stored faults")
        self.faults._kinds = [
            *rng.sample(OTHERS, rng.randint(2, 8)),
            *rng.sample(STORAGE, rng.randint(0, 4)),
        ]
        self.faults.mean_pause_ms = rng.choice((700, 2_000, 5_000))

    def _equip(self, machine: Machine, *, controller: bool) -> None:
        part = Features(controller=controller, stages=self.storage.stages)
        machine.config = replace(machine.config, csi_sockets=(SOCKET,))
        host = machine.array_part = self.hosts[machine.name] = StoredMachine(machine, self.array, self.rules, part)
        host.plugin.deadline_s = self.storage.deadline_s
        host.plugin.usual_rate = self.storage.rate
        host.plugin.at_point = host.files.at_point = lambda point: self._at_point(machine, host, point)

    def _at_point(self, machine: Machine, host: StoredMachine, point: str) -> None:
        if host.crash_in <= 0 or self.faults.kit.over:
            return
        host.crash_in -= 1
        if host.crash_in:
            return
        rng = self.world.rng("crash", host.crash_key)
        power = rng.random() < 0.4
        self.faults.kit.did("crash in storage", f"{machine.name} {point}", host.crash_key)
        self.world.count(f"crash at {point}")
        machine.kill(power=power)
        self.faults.kit.down_for_a_while(machine, rng)

    async def run(self) -> None:
        self.world.trace("storage plan", str(msgspec.structs.asdict(self.storage)))
        self.world.spawn(self._write(), name="writers")
        await self.start()
        self.workload.begin()
        async with bound(self.world, MADE_BOUND_S, "volumes are made", lambda: "not all are"):
            await self.workload.made.wait()
        for host in self.hosts.values():
            host.plugin.rate = host.plugin.usual_rate
        self.faults.begin()
        await asyncio.sleep(self.plan.safety_s)
        self.faults.end()
        await self.workload.end()
        await self.until_at_rest()
        await self.check_answers()

    async def _write(self) -> None:
        while True:
            await asyncio.sleep(WRITE_EVERY_S)
            self.rules.write()

    # --- rest ---------------------------------------------------------------------------------------------

    async def until_at_rest(self) -> None:
        for host in self.hosts.values():
            host.calm()
        await super().until_at_rest()
        for volume in self.array.volumes:
            self.rules.check_content(volume)

    def _unrest(self) -> str:
        return super()._unrest() or self.claim_rules.unrest()


class ClaimRules:
    """Claims against the array: after each entry, and at each change there."""

    def __init__(self, scenario: StoredScenario) -> None:
        self._world = scenario.world
        self._array = scenario.array
        self._hosts = scenario.hosts
        self._rules = scenario.rules
        self._invariants = scenario.invariants
        scenario.invariants.on_commit = lambda *_: self.look()
        scenario.rules.on_publish = self._on_publish
        scenario.rules.on_unpublish = self._on_unpublish

    @property
    def _state(self) -> State:
        return self._invariants.state

    def _claims(self) -> Iterator[tuple[Claim, Volume]]:
        volumes = self._state.of(Volumes).rows
        for claim in self._state.of(Claims).rows.values():
            yield claim, volumes[claim.volume]

    def _claim(self, volume: str, node: str) -> Claim | None:
        return next((claim for claim, row in self._claims() if (row.data, claim.known_as) == (volume, node)), None)

    def look(self) -> None:
        for claim, volume in self._claims():
            if (ask := _ASKED.get(claim.phase)) is not None:
                request = ask(claim.volume, claim.node, claim.as_of)
                if request not in self._rules.asked:
                    self._rules.asked.append(request)
            stored = self._array.volumes.get(volume.data)
            if claim.phase in _HAS and (stored is None or claim.known_as not in stored.nodes):
                self._world.fail(PUBLISHED, f"{claim} of {volume.data}, which is {stored}")
        for stored in self._array.volumes.values():
            for node in stored.nodes:
                if self._claim(stored.id, node) is None:
                    self._world.fail(CLAIMED, f"{stored.id} is published to {node}, which has no claim to it")

    def _on_publish(self, volume: Stored, node: str) -> None:
        """Late, it may be UNPUBLISHING: the array keeps that call waiting until this one is done."""
        claim = self._claim(volume.id, node)
        if claim is None or claim.phase is ClaimPhase.RELEASING:
            self._world.fail(CLAIMED, f"{volume.id} is to be published to {node}, whose claim is {claim}")

    def _on_unpublish(self, volume: Stored, node: str) -> None:
        claim = self._claim(volume.id, node)
        if claim is None or claim.phase is not ClaimPhase.UNPUBLISHING:
            self._world.fail(CLAIMED, f"{volume.id} is to be taken from {node}, whose claim is {claim}")

    def unrest(self) -> str:
        """Says what is left of claims, mounts and publications that nobody needs."""
        kept = set()
        for claim, volume in self._claims():
            if claim.phase is not ClaimPhase.PUBLISHED:
                return f"{claim}"
            if not self._is_needed(claim):
                return f"nobody needs {claim}"
            kept.add((volume.data, claim.known_as))
        return self._left(kept)

    def _is_needed(self, claim: Claim) -> bool:
        return any(
            not each.terminal
            and each.node == claim.node
            and claim.volume in self._state.jobs[each.job].spec(each.job_version).volume_names(each.index)
            for each in self._state.allocations.values()
        )

    def _left(self, kept: set[tuple[str, str]]) -> str:
        for host in self._hosts.values():
            mine = {volume for volume, node in kept if node == host.plugin.known_as}
            if reason := self._rules.left_on(host, mine):
                return reason
        for stored in self._array.volumes.values():
            if extra := [node for node in stored.nodes if (stored.id, node) not in kept]:
                return f"{stored.id} is published to {extra}"
        return ""
