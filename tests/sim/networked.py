"""The cluster's own network under the same faults: a client that switches it, and what must hold of it.

An address is never given to two tasks, is always of the subnet that the task's node has, and no two subnets share
an address. At rest each node that can take part has a subnet, and nobody has one of a network that is not there;
each machine's kernel, engine and firewall are as the state says, its containers have the addresses of their tasks,
and its names those of the ready ones. Before, no machine that keeps up gives by name what was not ready for a
second.
"""

import asyncio
from collections import deque

from orion.model.dns import DOMAIN, Code, Question, Type
from orion.model.errors import OrionError
from orion.model.network import FIRST_HOST, LAST_HOST, OVERLAY_KIND, OVERLAY_LABEL, SUBNET_SIZE, address_text
from orion.model.settings import NETWORK
from orion.reconcile.local_network import DEVICE
from orion.state.tables import State
from orion.state.tables.configs import Configs
from orion.state.tables.subnets import Subnets
from sim.cluster import Cluster, ConnectionLost, Machine
from sim.engine import SimEngine
from sim.world import World

FRESH_NAMES = "names give what was ready within the last second"
LATE_MS = 1_000
SHARE = 0.35  # of the seeds have it
LABEL = (OVERLAY_LABEL, OVERLAY_KIND)
# Few subnets, many, of other addresses, and none.
VALUES = ("10.200.0.0/22", "10.200.0.0/16", "172.16.0.0/12", "off")


def takes_part(world: World, number: int) -> bool:
    """Returns whether the machine of that number can: in most seeds with a network all of them."""
    rng = world.rng("networked", number)
    return is_networked(world) and rng.random() < 0.9


def is_networked(world: World) -> bool:
    return world.rng("networked").random() < SHARE


class NetworkClient:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._world: World = cluster.world
        self.over = False

    async def run(self) -> None:
        rng = self._world.rng("network client")
        while not self.over:
            machine = rng.choice(list(self._cluster.machines.values()))
            value = rng.choice(VALUES).encode()
            try:
                async with asyncio.timeout(10.0):
                    await machine.ask(
                        lambda s, value=value: s.configs.put(
                            NETWORK, value, if_version=None, idempotency_key="", timeout_s=2.0
                        )
                    )
            except (OrionError, ConnectionLost, TimeoutError):
                self._world.count("client: network failed")
                await asyncio.sleep(rng.expovariate(1 / 0.5))
            else:
                self._world.count("client: network ok")
                await asyncio.sleep(rng.expovariate(1 / 4.0))


def check_network(world: World, state: State) -> None:
    """Of every committed state."""
    rows = _subnets(state)
    firsts = [row.first for row in rows.values()]
    if len(set(firsts)) != len(firsts) or any(first % SUBNET_SIZE for first in firsts):
        world.fail("subnets are apart", f"{rows}")
    if strangers := [name for name in rows if name not in state.nodes]:
        world.fail("a subnet goes with its node", f"{strangers} of {list(state.nodes)}")
    given: dict[int, object] = {}
    for allocation in state.allocations.values():
        if not allocation.ip or allocation.terminal:
            continue
        world.count("address in use")
        other = given.setdefault(allocation.ip, allocation)
        if other is not allocation:
            world.fail("an address once", f"{other} and {allocation}")
        row = rows.get(allocation.node)
        if row is None or not FIRST_HOST <= allocation.ip - row.first <= LAST_HOST:
            world.fail("an address of its node's subnet", f"{allocation}: {row}")


def network_unrest(cluster: Cluster, state: State) -> str:
    engines = (_machine_unrest(cluster, state, engine) for engine in cluster.engines.values())
    machines = (_names_unrest(machine, state) for machine in cluster.machines.values())
    return _subnets_unrest(state) or next(filter(None, (*engines, *machines)), "")


def _names_unrest(machine: Machine, state: State) -> str:
    """Nobody is dead: all that are ready can be reached."""
    if machine.run is None or machine.run.names is None or _of(state, Configs).network is None:
        return ""
    for job in state.jobs:
        found, meant = named(machine, job), ready(state, job)
        if found != meant:
            return f"{machine.name} gives {found} for {job}, of which {meant} are ready"
    return ""


def named(machine: Machine, job: str) -> set[int] | None:
    """The addresses that a machine gives for a job; None where it gives no answer."""
    answer = machine.run.names.resolve(Question(f"{job}.{DOMAIN}", Type.A), "10.200.1.2")
    if answer.code is Code.SERVFAIL:
        return None
    return {int.from_bytes(address) for address in answer.addresses}


def ready(state: State, job: str) -> set[int]:
    record = state.jobs[job]
    return {
        each.ip
        for index in range(len(record.slots))
        for each in record.history(index)
        if each.ip and each.wanted and not each.terminal and each.ready_since_ms(record.spec(each.job_version))
    }


class NameWatch:
    """What was ready when, and what machines say of it meanwhile."""

    def __init__(self, cluster: Cluster, world: World) -> None:
        self._cluster = cluster
        self._world = world
        self._rng = world.rng("name watch")
        self._last_ms: dict[int, int] = {}  # of an address: when it was last seen ready
        self._indexes: deque[tuple[int, int]] = deque()  # entries of the last second

    def look(self, state: State) -> None:
        """After each entry."""
        now_ms = self._world.now_ms
        self._indexes.append((now_ms, state.index))
        while self._indexes[0][0] < now_ms - LATE_MS and len(self._indexes) > 1:
            self._indexes.popleft()
        for job in state.jobs:
            self._last_ms.update(dict.fromkeys(ready(state, job), now_ms))
        if state.jobs and self._rng.random() < 0.05:
            self._ask(self._rng.choice(list(state.jobs)), now_ms)

    def _ask(self, job: str, now_ms: int) -> None:
        for machine in self._cluster.up():
            node = machine.run.node
            if machine.run.names is None or not node.driver.is_member:
                continue
            if node.driver.applied_index < self._indexes[0][1]:
                continue  # it does not keep up, as far as it can know
            self._world.count("name looked up")
            stale = [ip for ip in named(machine, job) or () if self._last_ms.get(ip, 0) < now_ms - LATE_MS]
            if stale:
                self._world.fail(FRESH_NAMES, f"{machine.name}, {job}: {stale}")


def _machine_unrest(cluster: Cluster, state: State, engine: SimEngine) -> str:
    """Of the nodes that share it one at most takes part."""
    rows = _subnets(state)
    lives = [m for m in cluster.machines.values() if m.engine is engine and m.run is not None]
    mine = [m.config.node for m in lives if m.config.node in rows]
    device = engine.kernel.devices.get(DEVICE)
    owners = [name for name in (m.config.node for m in lives) if device and device.found.alias.endswith(f" {name}")]
    if _of(state, Configs).network is None:
        used = any(a.ip and not a.terminal for a in state.allocations.values())
        return f"{engine.id} still has {device.found}" if owners and not used else ""
    for name in mine:
        if device is None:
            return f"{engine.id} of {name} has no device"
        peers = {f"{address_text(row.first)}/24" for node, row in rows.items() if node != name}
        routed = {route.subnet for route in device.routes}
        if owners == [name] and routed != peers:
            return f"{engine.id} of {name} routes {sorted(routed)}, and the others have {sorted(peers)}"
        if engine.firewall.applied is None or not engine.firewall.whole:
            return f"{engine.id} of {name} has no firewall"
    for held in engine.running():
        allocation = state.allocations.get(held.shown.labels.allocation)
        if allocation is None or allocation.terminal:
            continue
        wanted = address_text(allocation.ip) if allocation.ip else ""
        found = held.attach.address if held.attach else ""
        if found and wanted != found:  # one that was made while the network was off has none
            return f"{held.name} has the address {found!r}, and its task {wanted!r}"
    return ""


def _subnets_unrest(state: State) -> str:
    rows, addresses = _subnets(state), _of(state, Configs).network
    for name, row in rows.items():
        used = any(a.ip and a.node == name and not a.terminal for a in state.allocations.values())
        if (addresses is None or row.first not in addresses) and not used:
            return f"{name} has a subnet of another network: {row}, {addresses}"
    if addresses is None:
        return ""
    most = len(addresses.subnets) - 1
    engines = {state.nodes[name].engine for name in rows}
    for node in state.nodes.values():
        if LABEL in node.own_labels and node.engine and node.engine not in engines and len(rows) < most:
            return f"{node.id} has no subnet of {addresses}"
    return ""


def _subnets(state: State):
    """Of the default network, by node."""
    return {row.node: row for row in _of(state, Subnets).rows.values() if not row.network}


def _of(state: State, kind: type):
    """By name: where two builds are in one cluster, the state may be of the other's classes."""
    return next(table for each, table in state.tables.items() if each.__name__ == kind.__name__)
