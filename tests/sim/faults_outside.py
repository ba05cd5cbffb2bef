"""Faults outside of Raft: engines, gossip, and operators who change their minds."""

import asyncio

from orion.model.errors import Conflict, NotFound, OrionError
from orion.model.job import DYNAMIC_PORTS
from orion.model.node import NodeStatus
from sim.cluster import ConnectionLost, Machine
from sim.engine import SimEngine
from sim.fault_kit import Fault, Kit

REMOVE_PATIENCE_S = 15.0


def engine_down(kit: Kit) -> None:
    engine = _engine(kit)
    if not engine.down:
        kit.did("engine down", engine.id)
        engine.go_down(containers_die=kit.rng.random() < 0.4)
        back = engine.come_up_after_leftovers if kit.rng.random() < 0.5 else engine.come_up
        kit.heal_after(200, 5_000, back)


def engine_flaky(kit: Kit) -> None:
    engine = _engine(kit)
    kit.did("engine flaky", engine.id)
    engine.faults, engine.slowness = kit.rng.choice((0.1, 0.5)), kit.rng.choice((1.0, 5.0))
    kit.heal_after(500, 5_000, calm_engine, engine)


def registry_refuses(kit: Kit) -> None:
    """For long enough that all tries of a bounded number would be used up."""
    engine = _engine(kit)
    kit.did("registry refuses", engine.id)
    engine.registry_refuses = kit.rng.choice(
        ("unauthorized", "denied", "toomanyrequests", "503 Service Unavailable")
    )
    engine.images.clear()  # and somebody has pruned them
    kit.heal_after(500, 20_000, setattr, engine, "registry_refuses", "")


def ports_are_taken(kit: Kit) -> None:
    """One of three ports that Orion may choose: other programs of the machine have them."""
    engine = _engine(kit)
    kit.did("ports taken by other programs", engine.id)
    third = kit.rng.randrange(3)
    engine.ports_of_others = range(DYNAMIC_PORTS.start + third, DYNAMIC_PORTS.stop, 3)
    kit.heal_after(500, 8_000, setattr, engine, "ports_of_others", range(0))


def container_dies(kit: Kit) -> None:
    engine = _engine(kit)
    running = engine.running()
    if running:
        held = kit.rng.choice(running)
        kit.did("container dies", held.name)
        engine.end(held, 137, "")


def task_falls_ill(kit: Kit) -> None:
    """It runs on, and does not work any more; a new start may help, or time."""
    engine = _engine(kit)
    running = engine.running()
    if running:
        held = kit.rng.choice(running)
        kit.did("task ill", held.name)
        engine.ill.add(held.shown.id)
        kit.heal_after(500, 20_000, engine.ill.discard, held.shown.id)


def _engine(kit: Kit) -> SimEngine:
    return kit.rng.choice(list(kit.cluster.engines.values()))


def calm_engine(engine: SimEngine) -> None:
    engine.faults, engine.slowness, engine.registry_refuses = 0.0, 1.0, ""
    engine.ports_of_others = range(0)
    engine.ill.clear()


def lose_gossip_events(kit: Kit) -> None:
    kit.did("gossip events lost")
    kit.cluster.gossip.lose_events = 0.3
    kit.heal_after(500, 5_000, setattr, kit.cluster.gossip, "lose_events", 0.0)


# --- operators ---------------------------------------------------------------------------------------------


def drain(kit: Kit) -> None:
    """An operator drains a node, and thinks better of it later."""
    if machine := kit.one():
        kit.did("node drained", machine.name)
        kit.drained[machine.name] = None
        kit.world.spawn(_set_draining(kit, machine, draining=True), name="drain")
        kit.heal_after(1_000, 8_000, _undrain, kit, machine)


def _undrain(kit: Kit, machine: Machine) -> None:
    kit.world.spawn(_set_draining(kit, machine, draining=False), name="undrain")


async def _set_draining(kit: Kit, machine: Machine, *, draining: bool) -> None:
    """Until it is done, whichever node takes the word."""
    rng = kit.world.rng("operator", machine.name, kit.world.now_ms)
    while not (draining and kit.over):
        through = rng.choice(list(kit.cluster.machines.values()))
        try:
            await through.ask(lambda s: s.drain(machine.name, draining=draining, timeout_s=2.0))
        except (OrionError, ConnectionLost):
            await asyncio.sleep(0.5)
        else:
            return


async def keep_undrained(kit: Kit, machine: Machine) -> None:
    """A drain that was not answered may yet come true: look again before believing that it did not."""
    while True:
        await _set_draining(kit, machine, draining=False)
        await asyncio.sleep(3.0)


def remove_node(kit: Kit) -> None:
    """A machine dies, an operator takes its node out, and it comes back all the same."""
    machine = kit.one()
    if machine is None or len(kit.cluster.machines) < 2 or machine.name in kit.recovery.removed:
        return
    kit.did("node removed while it is down", machine.name)
    machine.kill()
    kit.world.spawn(_remove(kit, machine), name="remove-node")


async def _remove(kit: Kit, machine: Machine) -> None:
    """Once it is called down, whichever node takes the word; an answer that does not come leaves it open."""
    rng = kit.world.rng("operator", machine.name, kit.world.now_ms)
    runs, end_s = machine.runs, kit.world.loop.time() + REMOVE_PATIENCE_S
    while not kit.over and machine.runs == runs and kit.world.loop.time() < end_s:
        await asyncio.sleep(0.5)
        leader = kit.cluster.leader()
        node = leader.run.node.driver.state.nodes.get(machine.config.node) if leader is not None else None
        if node is None or node.status is not NodeStatus.DOWN:
            continue
        kit.recovery.removed[machine.name] = None
        through = rng.choice(list(kit.cluster.machines.values()))
        try:
            await through.ask(lambda s: s.remove_node(machine.name, timeout_s=2.0))
        except (Conflict, NotFound):
            break
        except (OrionError, ConnectionLost):
            continue
        kit.world.count("node removed")
        break
    await asyncio.sleep(rng.uniform(0.1, 4.0))
    machine.boot()


FAULTS: tuple[Fault, ...] = (
    engine_down,
    engine_flaky,
    registry_refuses,
    ports_are_taken,
    container_dies,
    task_falls_ill,
    lose_gossip_events,
    drain,
    remove_node,
)
