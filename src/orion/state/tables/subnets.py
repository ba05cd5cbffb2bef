"""The cluster's own network: which node has which part of its addresses, and which task which of them.

A node has its subnet until it is removed, not only until it is down, so that its tasks keep their addresses when
it comes back. An address is free again once its allocation has ended, and is then given last.
"""

from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import replace

from orion.model.ids import NodeId
from orion.model.job import TaskSpec
from orion.model.levels import since
from orion.model.network import FIRST_HOST, LAST_HOST, SUBNET_SIZE, AddressRange, Subnet, subnet_text
from orion.model.node import Node
from orion.model.settings import NETWORK, network
from orion.state.core.command import Command, command
from orion.state.core.faults import first, outside
from orion.state.core.frames import Rows
from orion.state.core.step import Step, tasks_text
from orion.state.core.table import KeyedTable, TableSet
from orion.state.records import NodeRecord, Tables
from orion.state.tables.configs import REFUSALS, Configs
from orion.state.tables.nodes import node_fault

MAX_RELEASED = 500
_INSTEAD = "only the engine's own network reaches them"


@since(2, words="the cluster's own network")
class SubnetsFrame(Rows, frozen=True, array_like=True, tag=16):
    """In the order in which they were given out."""

    rows: list[Subnet]


class Subnets(KeyedTable[NodeId, Subnet]):
    """`version` grows when a node gets a subnet or loses it, and is compared for equality alone."""

    rows_frame = SubnetsFrame

    def __init__(self, state: TableSet) -> None:
        super().__init__(state)
        self.version = 0

    @staticmethod
    def key(row: Subnet) -> NodeId:
        return row.node

    @staticmethod
    def can_be(row: Subnet) -> bool:
        return row.is_sound

    def put(self, row: Subnet) -> None:
        former = self.get(row.node)
        super().put(row)
        if former is None or former.first != row.first:
            self.version += 1

    def drop(self, key: NodeId) -> None:
        super().drop(key)
        self.version += 1


@since(2)
class LeaseSubnet(Command, frozen=True, array_like=True, tag=41):
    """The node is to have a subnet of the network that the setting asks for: the first that is free."""

    node: NodeId


@since(2)
class ReleaseSubnets(Command, frozen=True, array_like=True, tag=42):
    """The nodes need their subnets no more. One whose active allocations have addresses of it keeps it."""

    nodes: tuple[NodeId, ...]


def _lease_fault(lease: LeaseSubnet) -> str:
    return node_fault(lease.node)


def _release_fault(release: ReleaseSubnets) -> str:
    return first((outside("nodes", len(release.nodes), MAX_RELEASED), *map(node_fault, release.nodes)))


@command(LeaseSubnet, fault=_lease_fault)
def lease_subnet(state: Tables, step: Step, lease: LeaseSubnet) -> None:
    subnets, addresses = state.of(Subnets), state.of(Configs).network
    if addresses is None or lease.node not in state.nodes or holder_beside(state.nodes, subnets, lease.node):
        return
    chosen = free_subnet(addresses, subnets.rows.values())
    if chosen is None:
        step.tell("NetworkFull", lease.node, f"{lease.node} has no subnet: none is left of {addresses}")
        return
    subnets.put(Subnet(lease.node, chosen))
    step.tell("SubnetLeased", lease.node, f"{lease.node} has {subnet_text(chosen)} of the cluster's network")


def holder_beside(nodes: Mapping[NodeId, Node], subnets: Subnets, node: NodeId) -> NodeId | None:
    """Returns the node that has a subnet, of those that share the engine of this one, it among them: a machine is
    in the network once. None where there is none.
    """
    if subnets.get(node) is not None:
        return node
    engine = nodes[node].engine
    return next((each for each in subnets.rows if engine and nodes[each].engine == engine), None)


def free_subnet(addresses: AddressRange, rows: Iterable[Subnet]) -> int | None:
    """Returns the first address of the first free subnet; None when all are given out. The range's first subnet is
    left out: its .0 is the range's own.
    """
    held = {row.first for row in rows}
    return next((each for each in addresses.subnets[1:] if each not in held), None)


@command(ReleaseSubnets, fault=_release_fault)
def release_subnets(state: Tables, step: Step, release: ReleaseSubnets) -> None:
    subnets = state.of(Subnets)
    for node in release.nodes:
        record, row = state.records.get(node), subnets.get(node)
        if row is None or (record is not None and addresses_in_use(state, record)):
            continue
        subnets.drop(node)
        step.tell("SubnetReleased", node, f"{node} has no subnet of the cluster's network any more")


def addresses_in_use(state: Tables, record: NodeRecord) -> set[int]:
    """Returns those of the node's active allocations."""
    held = (state.allocations[identity] for identity in record.holdings.ids())
    return {allocation.ip for allocation in held if allocation.ip and not allocation.terminal}


class AddressGiver:
    """Gives addresses to the tasks of one step, each node's in turn."""

    def __init__(self, state: Tables) -> None:
        self._state = state
        self._subnets = state.of(Subnets)
        self._nodes: dict[NodeId, _Node] = {}

    def give(self, record: NodeRecord) -> int:
        """Returns an address that no active allocation has; 0 where the node has no subnet, or none of it left."""
        name = record.node.id
        node = self._nodes.get(name)
        if node is None:
            row = self._subnets.get(name)
            used = addresses_in_use(self._state, record) if row is not None else set[int]()
            node = self._nodes[name] = _Node(row, used)
        return node.give()

    def settle(self, step: Step) -> None:
        """Notes where the search goes on, and says which nodes had no address left."""
        for node in self._nodes.values():
            if node.row is None:
                continue
            if node.row != self._subnets.get(node.row.node):
                self._subnets.put(node.row)
            if node.missed:
                name = node.row.node
                step.tell(
                    "NetworkFull", name, f"{name} has no address left for {tasks_text(node.missed)}: {_INSTEAD}"
                )


class _Node:
    def __init__(self, row: Subnet | None, used: set[int]) -> None:
        self.row = row
        self.missed = 0
        self._used = used

    def give(self) -> int:
        if self.row is None:
            return 0
        for host in _hosts_from(self.row.next_host):
            address = self.row.first + host
            if address not in self._used:
                self._used.add(address)
                after = host + 1 if host < LAST_HOST else FIRST_HOST
                self.row = replace(self.row, next_host=after)
                return address
        self.missed += 1
        return 0


def _hosts_from(host: int) -> Iterator[int]:
    yield from range(host, LAST_HOST + 1)
    yield from range(FIRST_HOST, host)


def address_giver(state: Tables, spec: TaskSpec) -> AddressGiver | None:
    """Returns it for tasks that are on the cluster's network; None when there is none, or they are on another."""
    if not len(state.of(Subnets)) or state.of(Configs).network is None or not spec.on_cluster_network:
        return None
    return AddressGiver(state)


def _range_fault(state: TableSet, value: bytes) -> str:
    """The range stays as it is while nodes have subnets of it: addresses of two would be in the network."""
    addresses = network(value)
    others = [row for row in state.of(Subnets).rows.values() if not fits(row, addresses)]
    if addresses is None or not others:
        return ""
    nodes = ", ".join(row.node for row in others[:3]) + (", …" if others[3:] else "")
    return (
        f"tasks on {nodes} have addresses of another range, as {subnet_text(others[0].first)}: switch the network"
        f" off first ('orion config put {NETWORK} off'), and restart them"
    )


REFUSALS[NETWORK] = _range_fault


def drop_subnet(state: Tables, node: NodeId) -> None:
    """The node is forgotten."""
    subnets = state.of(Subnets)
    if subnets.get(node) is not None:
        subnets.drop(node)


def fits(row: Subnet, addresses: AddressRange | None) -> bool:
    """Returns whether the subnet is one of the network that is asked for."""
    return addresses is not None and row.first in addresses and row.first + SUBNET_SIZE - 1 in addresses


TABLES = (Subnets,)
COMMANDS = (lease_subnet, release_subnets)
