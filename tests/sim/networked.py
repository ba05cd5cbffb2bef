"""The cluster's own network under the same faults: a client that switches it, and what must hold of it.

An address is never given to two tasks, is always of the subnet that the task's node has, and no two subnets share
an address. At rest each node that can take part has a subnet, and nobody has one of a network that is not there;
each machine's kernel, engine and firewall are as the state says, and its containers have the addresses of their
tasks.
"""

import asyncio

from orion.model.errors import OrionError
from orion.model.network import FIRST_HOST, LAST_HOST, OVERLAY_KIND, OVERLAY_LABEL, SUBNET_SIZE, address_text
from orion.model.settings import NETWORK
from orion.reconcile.local_network import DEVICE
from orion.state.tables import State
from orion.state.tables.configs import Configs
from orion.state.tables.subnets import Subnets
from sim.cluster import Cluster, ConnectionLost
from sim.engine import SimEngine
from sim.world import World

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
    return _subnets_unrest(state) or next(
        (reason for engine in cluster.engines.values() if (reason := _machine_unrest(cluster, state, engine))), ""
    )


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
    return _of(state, Subnets).rows


def _of(state: State, kind: type):
    """By name: where two builds are in one cluster, the state may be of the other's classes."""
    return next(table for each, table in state.tables.items() if each.__name__ == kind.__name__)
