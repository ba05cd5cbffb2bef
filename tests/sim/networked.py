"""The cluster's networks under the same faults: clients that switch them, make and remove them, and what must hold.

An address is never given to two tasks, is always of a subnet that the task's node has, on a network of its job's,
and no two subnets share an address. At rest each node that can take part has a subnet, and nobody has one of a
network that is not there; each machine's kernel, engine and firewall are as the state says, its containers have the
addresses of their tasks and routes to their networks, and its names those of the ready ones. Before, no machine
that keeps up gives by name what was not ready for a second, nor anybody an address on a network that is not his.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable

from orion.model.api.network import NetworkRequest
from orion.model.dns import DOMAIN, Answer, Code, Question, Type
from orion.model.errors import OrionError
from orion.model.network import (
    DEFAULT,
    FIRST_HOST,
    LAST_HOST,
    OVERLAY_KIND,
    OVERLAY_LABEL,
    SUBNET_SIZE,
    address_text,
)
from orion.model.settings import NETWORK
from orion.node.services.service import Service
from orion.reconcile.container_routes import WAY_OUT
from orion.reconcile.local_network import DEVICE, device_name, engine_name
from orion.state.tables import State
from orion.state.tables.configs import Configs
from orion.state.tables.late_addresses import can_be_given, lacks_addresses
from orion.state.tables.networks import Networks
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
NAMES = ("red", "blue")
OWN_NETWORKS = "names give addresses on networks of who asks"


def takes_part(world: World, number: int) -> bool:
    """Returns whether the machine of that number can: in most seeds with a network all of them."""
    rng = world.rng("networked", number)
    return is_networked(world) and rng.random() < 0.9


def is_networked(world: World) -> bool:
    return world.rng("networked").random() < SHARE


def networks_of_a_job(rng: random.Random) -> list[str]:
    """Those that a client asks for; one that is not there has the job refused."""
    return rng.choice(([], [], ["red"], ["blue"], ["red", "blue"], ["blue", "default"]))


class NetworkClient:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._world: World = cluster.world
        self.over = False

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._switch())
            group.create_task(self._make_and_remove())

    async def _switch(self) -> None:
        rng = self._world.rng("network client")
        while not self.over:
            machine = rng.choice(list(self._cluster.machines.values()))
            value = rng.choice(VALUES).encode()
            done = await self._ask(
                machine,
                lambda s, value=value: s.configs.put(
                    NETWORK, value, if_version=None, idempotency_key="", timeout_s=2.0
                ),
            )
            self._world.count(f"client: network {'ok' if done else 'failed'}")
            await asyncio.sleep(rng.expovariate(1 / (4.0 if done else 0.5)))

    async def _make_and_remove(self) -> None:
        rng = self._world.rng("named networks")
        while not self.over:
            machine = rng.choice(list(self._cluster.machines.values()))
            done = await self._ask(machine, self._named(rng))
            self._world.count(f"client: named network {'ok' if done else 'failed'}")
            await asyncio.sleep(rng.expovariate(1 / 1.0))

    @staticmethod
    async def _ask(machine: Machine, question: Callable[[Service], Awaitable[object]]) -> bool:
        try:
            async with asyncio.timeout(10.0):
                await machine.ask(question)
        except (OrionError, ConnectionLost, TimeoutError):
            return False
        return True

    @staticmethod
    def _named(rng: random.Random) -> Callable[[Service], Awaitable[object]]:
        name = rng.choice(NAMES)
        if rng.random() < 0.25:
            return lambda s: s.networks.remove(name, idempotency_key="", timeout_s=2.0)
        asked = NetworkRequest(name, rng.random() < 0.5)
        return lambda s: s.networks.create(asked, idempotency_key="", timeout_s=2.0)


def check_network(world: World, state: State) -> None:
    """Of every committed state."""
    rows = _of(state, Subnets).rows
    numbers = {row.number for row in _of(state, Networks).rows.values()} | {0}
    firsts = [row.first for row in rows.values()]
    if len(set(firsts)) != len(firsts) or any(first % SUBNET_SIZE for first in firsts):
        world.fail("subnets are apart", f"{rows}")
    if strangers := [key for key in rows if key[0] not in state.nodes or key[1] not in numbers]:
        world.fail("a subnet goes with its node and its network", f"{strangers} of {list(state.nodes)}, {numbers}")
    given: dict[int, object] = {}
    for allocation in state.allocations.values():
        if not allocation.addresses or allocation.terminal:
            continue
        given_out = (allocation.ip, *allocation.more_ips)
        for address, network in zip(given_out, networks_of(state, allocation), strict=False):
            if not address:
                continue
            world.count("address in use" if address == allocation.ip else "further address in use")
            other = given.setdefault(address, allocation)
            if other is not allocation:
                world.fail("an address once", f"{other} and {allocation}")
            row = _subnet_of(state, address)
            if row is None or row.node != allocation.node or not FIRST_HOST <= address - row.first <= LAST_HOST:
                world.fail("an address of its node's subnet", f"{allocation}: {row}")
            elif row.network != network:
                world.fail("an address of its job's networks", f"{allocation}: {row}, {network}")


def networks_of(state: State, allocation) -> list[int | None]:
    """The numbers of those that a task's job names, in the version that it is run by; None for one that is gone."""
    spec = state.jobs[allocation.job].spec(allocation.job_version)
    rows = _of(state, Networks).rows
    return [0 if name == DEFAULT else rows[name].number if name in rows else None for name in spec.network_names]


def lacks_network(state: State, allocation) -> bool:
    """Returns whether a task can't start, because a network that it names has no address for it."""
    spec = state.jobs[allocation.job].spec(allocation.job_version)
    if not spec.needs_addresses:
        return False
    view = _Tabled(state)
    off = view.of(Configs).network is None
    return off or (lacks_addresses(allocation, spec) and not can_be_given(view, allocation, spec))


class _Tabled:
    """A state whose tables are found by name."""

    def __init__(self, state: State) -> None:
        self._state = state

    def of(self, kind: type):
        return _of(self._state, kind)


def _subnet_of(state: State, address: int):
    return next((row for row in _of(state, Subnets).rows.values() if 0 <= address - row.first < SUBNET_SIZE), None)


def network_unrest(cluster: Cluster, state: State) -> str:
    engines = (_machine_unrest(cluster, state, engine) for engine in cluster.engines.values())
    machines = (_names_unrest(machine, state) for machine in naming(cluster, state))
    return _subnets_unrest(state) or next(filter(None, (*engines, *machines)), "")


def naming(cluster: Cluster, state: State) -> list[Machine]:
    """Those that give names."""
    if _of(state, Configs).network is None:
        return []
    return [each for each in cluster.machines.values() if each.run is not None and each.run.names is not None]


def seen_networks(machine: Machine) -> list[int]:
    """In the order in which a machine itself sees them."""
    return [part.number for part in machine.run.node.network.networks.parts]


def _names_unrest(machine: Machine, state: State) -> str:
    """Nobody is dead: all that are ready can be reached."""
    seen = seen_networks(machine)
    aliases = {each.name for record in state.jobs.values() for each in record.job.task.aliases}
    for job in state.jobs:
        found, meant = named(machine, job), ready_by_network(state, job)
        first = next((each for each in seen if each in meant), None)
        if first is None and job in aliases:
            continue  # another's name here (aliased.py)
        if found != (meant[first] if first is not None else set()):
            return f"{machine.name} gives {found} for {job}, of which {meant} are ready"
    return ""


def ready_by_network(state: State, job: str) -> dict[int, set[int]]:
    """With a place for each network that the job is on."""
    spec, rows = state.jobs[job].job.task, _of(state, Networks).rows
    names = spec.network_names if state.jobs[job].job.kind != "cron" else ()
    found: dict[int, set[int]] = {0 if name == DEFAULT else rows[name].number: set() for name in names}
    for address in ready(state, job):
        found.setdefault(_subnet_of(state, address).network, set()).add(address)
    return found


def named(machine: Machine, job: str) -> set[int] | None:
    """The addresses that a machine gives for a job; None where it gives no answer."""
    answer = machine.run.names.resolve(Question(f"{job}.{DOMAIN}", Type.A), _gateway(machine))
    if answer.code is Code.SERVFAIL:
        return None
    return {int.from_bytes(address) for address in answer.addresses}


def _seen_from(machine: Machine, job: str, client: int) -> set[int]:
    answer = machine.run.names.resolve(Question(f"{job}.{DOMAIN}", Type.A), address_text(client))
    return {int.from_bytes(address) for address in answer.addresses} if isinstance(answer, Answer) else set()


def _gateway(machine: Machine) -> str:
    """An address of the machine's own, from which all of its networks are seen."""
    parts = machine.run.node.network.networks.parts
    return parts[0].engine.gateway if parts else "10.200.1.1"


def ready(state: State, job: str) -> set[int]:
    """All addresses of those of its tasks that are ready."""
    record = state.jobs[job]
    return {
        address
        for index in range(len(record.slots))
        for each in record.history(index)
        if each.wanted and not each.terminal and each.ready_since_ms(record.spec(each.job_version))
        for address in each.addresses
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
            self._ask_from_containers(machine, job)

    def _ask_from_containers(self, machine: Machine, job: str) -> None:
        """As the node's own state has it, which may be older than what is committed."""
        mine = machine.run.node.driver.state
        held = [each for each in mine.allocations.values() if each.node == machine.config.node and each.addresses]
        for each in held[:4]:
            if each.terminal:
                continue
            self._world.count("name looked up by a container")
            own = {_subnet_of(mine, address).network for address in each.addresses}
            others = [ip for ip in _seen_from(machine, job, each.ip) if _subnet_of(mine, ip) is not None]
            foreign = [ip for ip in others if _subnet_of(mine, ip).network not in own]
            if foreign:
                self._world.fail(OWN_NETWORKS, f"{machine.name}, {job} for {each}: {foreign}")


def _machine_unrest(cluster: Cluster, state: State, engine: SimEngine) -> str:
    """Of the nodes that share it one at most takes part."""
    rows = _subnets(state)
    lives = [m for m in cluster.machines.values() if m.engine is engine and m.run is not None]
    mine = [m.config.node for m in lives if m.config.node in rows]
    device = engine.kernel.devices.get(DEVICE)
    owners = [name for name in (m.config.node for m in lives) if device and device.found.alias.endswith(f" {name}")]
    if _of(state, Configs).network is None:
        used = any(a.addresses and not a.terminal for a in state.allocations.values())
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
        if owners == [name] and (reason := _further_unrest(state, engine, name, device.found.alias)):
            return reason
    for held in engine.running():
        allocation = state.allocations.get(held.shown.labels.allocation)
        if allocation is None or allocation.terminal:
            continue
        wanted = [address_text(address) for address in allocation.addresses]
        found = [address for _, address in held.attach.places] if held.attach else []
        if found and wanted != found:  # one that was made while the network was off has none
            return f"{held.name} has the addresses {found}, and its task {wanted}"
        there = {route.subnet for route in engine.kernel.containers[held.shown.pid]}
        meant = _routed(state, allocation) if allocation.more_ips else set()
        if found and owners == [allocation.node] and there != meant:
            return f"{held.name} has routes to {sorted(there)}, and its networks are {sorted(meant)}"
    return ""


def _further_unrest(state: State, engine: SimEngine, node: str, alias: str) -> str:
    """A machine has the networks of which its node has a subnet, and no others."""
    rows = _of(state, Subnets).rows
    numbers = {number for name, number in rows if name == node}
    mine = {name: device for name, device in engine.kernel.devices.items() if device.found.alias == alias}
    if set(mine) != {device_name(number) for number in numbers}:
        return f"{engine.id} of {node} has {sorted(mine)}, and is on the networks {sorted(numbers)}"
    if set(engine.networks) != {engine_name(number) for number in numbers}:
        return f"{engine.id} of {node} has {sorted(engine.networks)}, and is on the networks {sorted(numbers)}"
    for number in numbers:
        peers = {f"{address_text(row.first)}/24" for (name, n), row in rows.items() if n == number and name != node}
        routed = {route.subnet for route in mine[device_name(number)].routes}
        if routed != peers:
            return f"{engine.id} of {node} routes {sorted(routed)}, and of {number} there are {sorted(peers)}"
    return ""


def _routed(state: State, allocation) -> set[str]:
    """The subnets that a container on several networks has routes to."""
    own = {_subnet_of(state, address).network for address in allocation.addresses}
    rows = _of(state, Subnets).rows.values()
    return {f"{address_text(r.first)}/24" for r in rows if r.network in own and r.node != allocation.node} | {
        WAY_OUT
    }


def _subnets_unrest(state: State) -> str:
    rows, addresses = _subnets(state), _of(state, Configs).network
    for name, row in rows.items():
        used = any(a.addresses and a.node == name and not a.terminal for a in state.allocations.values())
        if (addresses is None or row.first not in addresses) and not used:
            return f"{name} has a subnet of another network: {row}, {addresses}"
    if addresses is None:
        return ""
    most, given = len(addresses.subnets) - 1, len(_of(state, Subnets).rows)  # of all networks together
    engines = {state.nodes[name].engine for name in rows}
    for node in state.nodes.values():
        if LABEL in node.own_labels and node.engine and node.engine not in engines and given < most:
            return f"{node.id} has no subnet of {addresses}"
    return ""


def _subnets(state: State):
    """Of the default network, by node."""
    return {row.node: row for row in _of(state, Subnets).rows.values() if not row.network}


def rows_of(state: State, kind: type):
    return _of(state, kind).rows


def _of(state: State, kind: type):
    """By name: where two builds are in one cluster, the state may be of the other's classes."""
    return next(table for each, table in state.tables.items() if each.__name__ == kind.__name__)
