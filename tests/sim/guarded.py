"""Who may reach jobs, under the same faults: a task starts behind its guard, and at rest each machine guards its
tasks as the state says.
"""

import random
from collections.abc import Callable

from orion.model.network import address_text
from orion.state.tables import State
from sim.cluster import Cluster, Machine
from sim.engine import Held
from sim.loop import Process
from sim.world import World

GUARDED_FIRST = "a task starts behind its guard"
GUARDS_AT_REST = "a machine guards its tasks as the state says"
_NAMES = ("j0", "j1", "j2", "none")


def job_allow_from(rng: random.Random) -> list[str]:
    """Whom a job that a client asks for allows; empty in half of them: everybody."""
    return rng.sample(_NAMES, rng.choice((0, 0, 1, 2)))


class GuardedStarts:
    """`state`: the newest that is committed. What is not wanted there any more has no guard to wait for."""

    def __init__(self, world: World, demand: Callable[[bool, str, Callable[[], str]], None], state: State) -> None:
        self._world = world
        self._demand = demand
        self._state = state

    def on_engine_start(self, machine: Machine, process: Process, held: Held) -> None:
        """Others may have taken the kernel's rules away meanwhile: what counts is what was put there last."""
        labels = held.shown.labels
        found = next((a for a in self._state.allocations.values() if a.id == labels.allocation), None)
        if found is None or found.terminal or not found.wanted or not found.addresses or not process.alive:
            return
        if not self._state.jobs[found.job].spec(found.job_version).allow_from:
            return
        self._world.count("guarded start")
        applied = machine.engine.guard.applied
        guarded = {address for each in applied.guards for address in each.addresses} if applied else set()
        self._demand(
            guarded.issuperset(found.addresses),
            GUARDED_FIRST,
            lambda: f"{process.name} starts {found}; {sorted(map(address_text, guarded))} are guarded",
        )


def guard_unrest(world: World, cluster: Cluster, state: State) -> str:
    """Of machines that have a part in the network."""
    held: dict[str, set[int]] = {}
    guarded: dict[str, dict[int, tuple[str, ...]]] = {}
    for allocation in state.allocations.values():
        if allocation.terminal or not allocation.addresses:
            continue
        held.setdefault(allocation.job, set()).update(allocation.addresses)
        spec = state.jobs[allocation.job].spec(allocation.job_version)
        if spec.allow_from:
            allowed = (allocation.job, *spec.allow_from)
            guarded.setdefault(allocation.node, {}).update(dict.fromkeys(allocation.addresses, allowed))
    for machine in cluster.machines.values():
        mine = guarded.get(machine.config.node, {})
        meant = {
            address: set[int]().union(*(held.get(job, ()) for job in allowed)) for address, allowed in mine.items()
        }
        if reason := _unrest(machine, meant):
            return reason
        if meant and machine.run is not None:
            world.count("guarded at rest")
    return ""


def _unrest(machine: Machine, meant: dict[int, set[int]]) -> str:
    run = machine.run
    if run is None or not run.node.network.networks.parts:
        return ""
    kernel = machine.engine.guard
    if not kernel.whole:
        return f"{machine.name} lacks a part of its guards"
    guards = kernel.applied.guards if kernel.applied else ()
    found = {address: set(each.sources) for each in guards for address in each.addresses}
    return f"{GUARDS_AT_REST}: {machine.name} has {_text(found)}, not {_text(meant)}" if found != meant else ""


def _text(guards: dict[int, set[int]]) -> dict[str, list[str]]:
    return {address_text(address): sorted(map(address_text, sources)) for address, sources in guards.items()}
