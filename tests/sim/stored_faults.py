"""Faults of a storage system, and those of machines beside which its volumes are to stay whole. What takes a
machine's disk takes its power too: containers do not outlive either.
"""

import asyncio

from orion.model.errors import OrionError
from orion.model.ids import NodeId
from orion.node.node import Node
from orion.node.routing.plugin_calls import CallDone
from orion.node.rpc.request import CallRequest
from sim import faults_disk, faults_network, faults_outside, faults_process
from sim.cluster import Machine
from sim.fault_kit import Fault, Kit
from sim.loop import ProcessState
from sim.stored_machine import StoredMachine


def stored(machine: Machine) -> StoredMachine:
    assert isinstance(machine.array_part, StoredMachine)
    return machine.array_part


def _any(kit: Kit) -> StoredMachine:
    return stored(kit.rng.choice(list(kit.cluster.machines.values())))


def plugin_restarts(kit: Kit) -> None:
    host = _any(kit)
    newer = kit.rng.random() < 0.5
    kit.did("plugin restarts", f"{host.name}{', newer' if newer else ''}")
    host.plugin.restart(kit.rng.uniform(20, 2_000), newer=newer)


def plugin_is_away(kit: Kit) -> None:
    host = _any(kit)
    kit.did("plugin is away", host.name)
    host.plugin.restart(kit.rng.choice((3_000.0, 10_000.0, 60_000.0)))


def controllers_are_away(kit: Kit) -> None:
    kit.did("all controllers are away")
    for machine in kit.cluster.machines.values():
        if stored(machine).plugin.features.controller:
            stored(machine).plugin.restart(kit.rng.choice((3_000.0, 10_000.0, 60_000.0)))


def plugin_is_slow(kit: Kit) -> None:
    host = _any(kit)
    kit.did("plugin is slow", host.name)
    host.plugin.slowness = kit.rng.choice((5.0, 50.0))
    kit.heal_after(500, 10_000, setattr, host.plugin, "slowness", 1.0)


def plugin_fails(kit: Kit) -> None:
    host = _any(kit)
    kit.did("plugin fails", host.name)
    host.plugin.rate = kit.rng.choice((0.2, 0.5, 0.9))
    kit.heal_after(500, 15_000, setattr, host.plugin, "rate", host.plugin.usual_rate)


def late_copy(kit: Kit) -> None:
    """What a leader has once asked of a controller's node comes there again, as from one who was stalled."""
    through, host = kit.one(), _any(kit)
    if through is None or through.run is None or through.node is None or not host.rules.asked:
        return
    request = kit.rng.choice(list(host.rules.asked))
    kit.did("late copy of a call", f"{request} to {host.name}")
    through.run.process.spawn(_ask_again(kit, through.node, NodeId(host.name), request), name="late-copy")


async def _ask_again(kit: Kit, node: Node, of: NodeId, request: CallRequest[CallDone]) -> None:
    try:
        await node.forward.ask_node(of, request, timeout_s=5.0)
    except OrionError as error:
        kit.world.trace("faults", f"late copy: {error.detail}")


def mount_is_in_use(kit: Kit) -> None:
    host = _any(kit)
    if paths := sorted(host.mounts.table):
        path = kit.rng.choice(paths)
        kit.did("mount in use", path)
        host.mounts.busy[path] = None
        kit.heal_after(100, 8_000, host.mounts.busy.pop, path, None)


def crash_in_a_call(kit: Kit) -> None:
    """The machine's node dies, or the machine, at one of the next calls of the plugin or writes of a record."""
    host = _any(kit)
    host.crash_in = kit.rng.randint(1, 25)
    host.crash_key = kit.key


def long_pause(kit: Kit) -> None:
    """As after SIGSTOP, or of a machine that is frozen and moved: what it knew is long over when it goes on."""
    machine = kit.leader_or_any(0.4)
    if machine is not None and machine.run is not None:
        process = machine.run.process
        if process.state is ProcessState.RUNNING:
            kit.did("long pause", machine.name)
            process.stall()
            kit.heal_after(6_000, 40_000, process.resume)


def long_cut(kit: Kit) -> None:
    """One machine is alone for longer than its tasks may go on."""
    machine = kit.leader_or_any(0.3)
    if machine is not None:
        others = [host for host in kit.hosts() if host != machine.host]
        kit.did("cut off for long", machine.name)
        kit.cluster.network.cut(faults_network._between([machine.host], others))
        kit.heal_after(8_000, 40_000, kit.cluster.network.cut, set())


def down_for_long(kit: Kit) -> None:
    if machine := kit.leader_or_any(0.3):
        power = kit.rng.random() < 0.5
        kit.did("down for long", f"{machine.name}{', without power' if power else ''}")
        machine.kill(power=power)
        kit.heal_after(10_000, 45_000, machine.boot)


def keeper_is_deaf(kit: Kit) -> None:
    host = _any(kit)
    kit.did("keeper can't be told", host.name)
    host.keeper.deaf = True
    kit.heal_after(500, 8_000, setattr, host.keeper, "deaf", False)


def engine_ends_with_its_containers(kit: Kit) -> None:
    host = _any(kit)
    if not host.engine.down:
        kit.did("engine ends with its containers", host.name)
        host.engine.go_down(containers_die=True)
        kit.heal_after(200, 5_000, host.engine.come_up)


def remove_for_good(kit: Kit) -> None:
    """An operator says that a node never returns, and sees to it that its machine is off."""
    machine = kit.one()
    if machine is None or len(kit.cluster.machines) < 3 or machine.name in kit.recovery.removed:
        return
    kit.did("node removed, its machine off", machine.name)
    machine.kill(power=True)
    kit.world.spawn(_removed(kit, machine), name="remove-node")


async def _removed(kit: Kit, machine: Machine) -> None:
    await asyncio.sleep(0)
    await faults_outside._remove(kit, machine)


STORAGE: tuple[Fault, ...] = (
    plugin_restarts,
    plugin_is_away,
    controllers_are_away,
    plugin_is_slow,
    plugin_fails,
    mount_is_in_use,
    late_copy,
    late_copy,
    crash_in_a_call,
    keeper_is_deaf,
)
OTHERS: tuple[Fault, ...] = (
    *faults_network.FAULTS,
    long_pause,
    long_cut,
    down_for_long,
    long_pause,
    long_cut,
    down_for_long,
    faults_process.kill,
    faults_process.kill_leader,
    faults_process.lose_power,
    faults_process.crash_at_boundary,
    faults_process.stall,
    faults_process.stall_leader,
    faults_process.planned_stop,
    faults_process.transfer_leader,
    faults_process.clock_drifts,
    faults_process.wall_clock_jumps,
    faults_disk.slow_disk,
    faults_disk.fsync_hangs,
    faults_disk.write_fails,
    faults_disk.disk_full,
    faults_outside.engine_flaky,
    faults_outside.container_dies,
    faults_outside.lose_gossip_events,
    faults_outside.drain,
    faults_outside.drain,
    engine_ends_with_its_containers,
    remove_for_good,
)
