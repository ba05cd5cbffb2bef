"""The cluster's own network under the same faults: a client that switches it, and what must hold of it.

An address is never given to two tasks, is always of the subnet that the task's node has, and no two subnets share
an address. At rest each node that can take part has a subnet, and nobody has one of a network that is not there.
"""

import asyncio

from orion.model.errors import OrionError
from orion.model.network import FIRST_HOST, LAST_HOST, OVERLAY_KIND, OVERLAY_LABEL, SUBNET_SIZE
from orion.model.settings import NETWORK
from orion.state.tables import State
from orion.state.tables.configs import Configs
from orion.state.tables.subnets import Subnets
from sim.cluster import Cluster, ConnectionLost
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


def network_unrest(state: State) -> str:
    rows, addresses = _subnets(state), _of(state, Configs).network
    for name, row in rows.items():
        used = any(a.ip and a.node == name and not a.terminal for a in state.allocations.values())
        if (addresses is None or row.first not in addresses) and not used:
            return f"{name} has a subnet of another network: {row}, {addresses}"
    if addresses is None:
        return ""
    most = len(addresses.subnets) - 1
    for node in state.nodes.values():
        if LABEL in node.own_labels and node.id not in rows and len(rows) < most:
            return f"{node.id} has no subnet of {addresses}"
    return ""


def _subnets(state: State):
    return _of(state, Subnets).rows


def _of(state: State, kind: type):
    """By name: where two builds are in one cluster, the state may be of the other's classes."""
    return next(table for each, table in state.tables.items() if each.__name__ == kind.__name__)
