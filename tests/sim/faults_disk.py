"""Faults of disks: slow, full, failing, rotten, torn, lost. Those that cost a node its data strike only where the
rest still holds everything (Recovery.can_lose): what two such losses at once take away, nobody can keep.
"""

from sim.cluster import Machine
from sim.disk import EIO, ENOSPC
from sim.fault_kit import Armed, Fault, Kit
from sim.faults_process import IDENTITY_BOUNDARIES


def slow_disk(kit: Kit) -> None:
    if machine := kit.one():
        kit.did("slow disk", machine.name)
        machine.disk.slowness = kit.rng.choice((5.0, 30.0, 100.0))
        kit.heal_after(500, 4_000, machine.disk.heal)


def fsync_hangs(kit: Kit) -> None:
    """An fsync takes seconds, as on a disk that retries inside, or behind somebody else's writes."""
    if machine := kit.leader_or_any(0.5):
        kit.did("fsync takes seconds", machine.name)
        machine.disk.hang_ms = kit.rng.uniform(1_000, 5_000)
        kit.heal_after(500, 6_000, machine.disk.heal)


def write_fails(kit: Kit) -> None:
    if machine := kit.leader_or_any(0.5):
        kit.did("EIO on write", machine.name)
        machine.disk.write_error = EIO
        kit.heal_after(50, 2_500, machine.disk.heal)


def fsync_fails(kit: Kit) -> None:
    """In half of the cases power is lost after it, and what the medium then has comes to light."""
    if machine := kit.leader_or_any(0.5):
        kit.did("EIO on fsync", machine.name)
        machine.disk.fsync_error = EIO
        kit.heal_after(50, 2_500, machine.disk.heal)
        if kit.rng.random() < 0.5:
            kit.world.after(kit.rng.uniform(10, 400), _power_off, machine)
            kit.down_for_a_while(machine)


def _power_off(machine: Machine) -> None:
    machine.kill(power=True)


def disk_full(kit: Kit) -> None:
    if machine := kit.leader_or_any(0.5):
        kit.did("disk full", machine.name)
        machine.disk.write_error = ENOSPC
        kit.heal_after(500, 6_000, machine.disk.heal)


def bit_flips(kit: Kit) -> None:
    """Found at the next start; half the time that is now."""
    machine = kit.loser()
    if machine is None:
        return
    where = machine.disk.flip_bit(kit.rng)
    if where:
        kit.did("bit flip", f"{machine.name} {where}")
        if kit.rng.random() < 0.7:
            machine.kill(power=kit.rng.random() < 0.5)
            kit.down_for_a_while(machine)


def torn_write(kit: Kit) -> None:
    """Power is lost in the middle of a transaction, on a drive that writes in an order of its own."""
    if machine := kit.loser():
        kit.armed[machine.name] = Armed("Write written", kit.key, kit.rng, torn=True)


def wipe(kit: Kit) -> None:
    """A machine loses its disk and comes back under its name as a new member."""
    machine = kit.loser()
    if machine is not None:
        kit.did("disk wiped", machine.name)
        machine.kill()
        kit.recovery.wipe(machine)
        if kit.rng.random() < 0.3:
            kit.armed[machine.name] = Armed(kit.rng.choice(IDENTITY_BOUNDARIES), kit.key, kit.rng)
        kit.down_for_a_while(machine)


FAULTS: tuple[Fault, ...] = (
    slow_disk,
    fsync_hangs,
    write_fails,
    fsync_fails,
    disk_full,
    bit_flips,
    torn_write,
    wipe,
)
