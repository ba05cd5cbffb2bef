"""Faults of processes and machines: killed, stalled, without power, stopped, with clocks that are wrong."""

from orion.model.errors import OrionError
from sim.cluster import ConnectionLost, Machine
from sim.fault_kit import Armed, Fault, Kit
from sim.loop import ProcessState
from sim.simlog import SimLog

BOUNDARIES = (
    "before Write",
    "Write written",
    "Write written",
    "Write synced",
    "before SaveSnapshot",
    "SaveSnapshot staging",
    "SaveSnapshot written",
    "SaveSnapshot synced",
    "load synced",
)
# Written once by a new node, and once more when it has become a member.
IDENTITY_BOUNDARIES = ("before SetIdentity", "SetIdentity written", "SetIdentity synced")


def kill(kit: Kit) -> None:
    if machine := kit.one():
        kit.did("kill -9", machine.name)
        machine.kill()
        kit.down_for_a_while(machine)


def kill_leader(kit: Kit) -> None:
    if machine := kit.cluster.leader():
        kit.did("kill -9 of the leader", machine.name)
        machine.kill()
        kit.down_for_a_while(machine)


def lose_power(kit: Kit) -> None:
    """Of one machine, or of all at once."""
    everywhere = kit.rng.random() < 0.1
    victims = kit.cluster.up() if everywhere else [m for m in (kit.one(),) if m]
    for machine in victims:
        kit.did("power lost", machine.name)
        machine.kill(power=True)
        _engine_without_power(machine)
        kit.down_for_a_while(machine)
    if everywhere and len(victims) == len(kit.cluster.machines):
        kit.cluster.on_outage()


def _engine_without_power(machine: Machine) -> None:
    for held in machine.engine.running():
        machine.engine.end(held, 137, "")
    machine.engine.remembers.clear()


def crash_at_boundary(kit: Kit) -> None:
    if machine := kit.leader_or_any(0.5):
        point = kit.rng.choice(BOUNDARIES)
        kit.armed[machine.name] = Armed(point, kit.key, kit.rng)
        if point.startswith("load"):
            machine.kill()
            kit.down_for_a_while(machine)


def at_boundary(kit: Kit, log: SimLog, point: str) -> None:
    """A log is about to do its I/O, or has done it: the machine dies if that is due."""
    name = log.process.name
    armed = kit.armed.get(name)
    if armed is None or armed.point != point or armed.rng.random() < 0.3:
        return
    machine = kit.cluster.machines[name]
    if armed.torn and not kit.recovery.can_lose(machine):
        return
    del kit.armed[name]
    power = armed.torn or armed.rng.random() < (0.8 if "written" in point else 0.5)
    kit.did(f"crash at {point}", f"{machine.name}{' without power' if power else ''}", armed.key)
    if machine.kill(power=power, torn=armed.torn):
        kit.did("torn write", machine.name, armed.key)
    kit.down_for_a_while(machine, armed.rng)


def stall(kit: Kit) -> None:
    _stall(kit, kit.one(), "process stalled")


def stall_leader(kit: Kit) -> None:
    _stall(kit, kit.cluster.leader(), "leader stalled")


def _stall(kit: Kit, machine: Machine | None, what: str) -> None:
    if machine is None or machine.run is None:
        return
    process = machine.run.process
    if process.state is ProcessState.RUNNING:
        kit.did(what, machine.name)
        process.stall()
        kit.heal_after(100, 4_000, process.resume)


def planned_stop(kit: Kit) -> None:
    machine = kit.leader_or_any(0.4)
    if machine is not None and machine.run is not None:
        kit.did("planned stop", machine.name)
        machine.stop()
        kit.heal_after(1_000, 8_000, machine.boot)


def transfer_leader(kit: Kit) -> None:
    if machine := kit.one():
        kit.did("leader transfer", machine.name)
        kit.world.spawn(_transfer(kit, machine), name="transfer")


async def _transfer(kit: Kit, machine: Machine) -> None:
    try:
        await machine.ask(lambda service: service.transfer_leader("", timeout_s=3.0))
    except (OrionError, ConnectionLost) as error:
        kit.world.trace("faults", f"leader transfer: {type(error).__name__}")


def long_death(kit: Kit) -> None:
    """Down for longer than a dead voter is waited for: another takes its place, and it comes back to that."""
    if machine := kit.leader_or_any(0.5):
        kit.did("down past the grace", machine.name)
        machine.kill()
        grace_ms = kit.cluster.tuning.dead_voter_grace_ms
        kit.heal_after(grace_ms + 1_500, grace_ms + 6_000, machine.boot)


def clock_drifts(kit: Kit) -> None:
    machine = kit.rng.choice(list(kit.cluster.machines.values()))
    rate = kit.rng.choice((0.95, 0.999, 1.001, 1.05))
    kit.did("clock drifts", f"{machine.name} by {rate}")
    machine.clock.drift(rate)
    kit.heal_after(2_000, 10_000, machine.clock.drift, 1.0)


def wall_clock_jumps(kit: Kit) -> None:
    machine = kit.rng.choice(list(kit.cluster.machines.values()))
    ahead_ms = kit.rng.choice((-1_500_000_000_000, -86_400_000, -1_000, 1_000, 86_400_000, 315_360_000_000))
    kit.did("wall clock jumps", f"{machine.name} by {ahead_ms} ms")
    machine.clock.set_wall(ahead_ms)
    kit.heal_after(500, 10_000, machine.clock.set_wall, 0)


FAULTS: tuple[Fault, ...] = (
    kill,
    kill_leader,
    lose_power,
    crash_at_boundary,
    stall,
    stall_leader,
    planned_stop,
    transfer_leader,
    long_death,
    clock_drifts,
    wall_clock_jumps,
)
