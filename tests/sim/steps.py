"""Deployments whose leader dies at each of their steps: before the step is on its disk, when it is, once it is
committed, and when it has been carried out. Other faults go on beside.
"""

import random

from msgspec.structs import replace

from orion.raft.messages import EntryKind
from sim.builds import PRESENT
from sim.cluster import Machine
from sim.events import EVERYTHING, FAULT, Keep
from sim.image import Write
from sim.scenario import Plan, Scenario, choose_plan
from sim.simlog import SimLog
from sim.world import World

STEPS = (
    "PutJob",
    "SetJobCount",
    "RollBackJob",
    "RestartJob",
    "PromoteJob",
    "StepDeployment",
    "TurnDeployment",
    "EndDeployment",
    "MoveTasks",
)
POINTS = ("before Write", "Write written", "Write synced", "committed", "carried out")
AT_DISK = POINTS[:3]
DEPLOYERS = 4
MEAN_PAUSE_MS = 3_000  # between two other faults: deployments are to get on
SHARE = 0.12  # of the moments at which one may die
CARRIED_OUT_MS = 30.0  # at most after it was committed


def choose_steps_plan(world: World) -> Plan:
    rng = world.rng("steps plan")
    return replace(
        choose_plan(world.rng("plan")),
        losses=False,
        nodes=(nodes := rng.choice((3, 3, 3, 5))),
        engines=nodes,
        late=0,
        safety_s=rng.uniform(10, 25),
    )


class Steps(Scenario):
    flags = " --steps"

    def __init__(self, world: World, keep: Keep = EVERYTHING) -> None:
        super().__init__(world, choose_steps_plan(world), keep)
        self.workload.deployers = DEPLOYERS
        self.faults.mean_pause_ms = MEAN_PAUSE_MS
        self._points = FaultPoints(self, keep)


class FaultPoints:
    """Kills who leads at some of the moments."""

    def __init__(self, scenario: Scenario, keep: Keep) -> None:
        self._cluster = scenario.cluster
        self._kit = scenario.faults.kit
        self._keep = keep
        self._rng: random.Random = scenario.world.rng("fault points")
        self._number = 0
        self._beside = scenario.cluster.at_boundary
        scenario.cluster.at_boundary = self._at_boundary
        scenario.invariants.on_commit = self._on_commit

    def _at_boundary(self, log: SimLog, point: str) -> None:
        self._beside(log, point)
        machine = self._cluster.leader()
        if point in AT_DISK and machine is not None and machine.name == log.process.name and log.process.alive:
            for step in _steps_of(log):
                if self._dies(step, point, machine):
                    break

    def _on_commit(self, machine: Machine, command: object) -> None:
        step = type(command).__name__
        if step not in STEPS or machine is not self._cluster.leader():
            return
        world = self._cluster.world
        world.after(0.0, self._dies, step, "committed", machine)
        world.after(self._rng.uniform(0.0, CARRIED_OUT_MS), self._dies, step, "carried out", machine)

    def _dies(self, step: str, point: str, machine: Machine) -> bool:
        """Draws whether it does."""
        key, self._number = f"{FAULT}:step:{self._number}", self._number + 1
        rng = self._cluster.world.rng("strike", key)
        if self._kit.over or rng.random() >= SHARE or not machine.up or not self._keep.takes(key):
            return False
        self._kit.did(f"{point}: {step}", machine.name, key)
        machine.kill()
        self._kit.down_for_a_while(machine, rng)
        return True


def _steps_of(log: SimLog) -> list[str]:
    entries = log.writing.entries if isinstance(log.writing, Write) else ()
    commands = [PRESENT.decode_command(e.data) for e in entries if e.kind == EntryKind.NORMAL and e.data]
    return [name for each in commands if (name := type(each).__name__) in STEPS]
