"""The cluster's networks: which node has which part of their addresses, and which task which of them.

A node has its subnet of the default network until it is removed, not only until it is down, so that its tasks keep
their addresses when it comes back. One of another network it has from the first task there on, until it has been
without one for a while. An address is free again once its allocation has ended, and is then given last.
"""

from collections.abc import Collection, Iterator, Mapping

from msgspec.structs import replace

from orion.model.counts import several
from orion.model.firewall import MAX_NETWORKS
from orion.model.ids import NodeId
from orion.model.job import TaskSpec
from orion.model.levels import since
from orion.model.network import (
    DEFAULT,
    DEFAULT_NUMBER,
    FIRST_HOST,
    LAST_HOST,
    MAX_NUMBER,
    SUBNET_SIZE,
    AddressRange,
    Subnet,
    subnet_text,
)
from orion.model.node import Node
from orion.model.settings import NETWORK, network
from orion.state.core.command import Command, command
from orion.state.core.faults import first, node_fault, outside
from orion.state.core.frames import Rows
from orion.state.core.step import Step
from orion.state.core.table import KeyedTable, TableSet
from orion.state.records import NodeRecord, Tables
from orion.state.tables.configs import REFUSALS, Configs
from orion.state.tables.networks import Networks

MAX_RELEASED = 500
_INSTEAD = "only the engine's own network reaches them"

Key = tuple[NodeId, int]  # a node, and a network by its number


@since(2, words="the cluster's own network")
class SubnetsFrame(Rows, frozen=True, array_like=True, tag=16):
    """In the order in which they were given out."""

    rows: list[Subnet]


class _ByNode:
    """An index: each node's rows, by network."""

    def __init__(self) -> None:
        self.rows: dict[NodeId, dict[int, Subnet]] = {}

    def add(self, _key: Key, row: Subnet) -> None:
        self.rows.setdefault(row.node, {})[row.network] = row

    def remove(self, _key: Key, row: Subnet) -> None:
        mine = self.rows[row.node]
        del mine[row.network]
        if not mine:
            del self.rows[row.node]

    def replace(self, key: Key, _former: Subnet, row: Subnet) -> None:
        self.add(key, row)

    def clear(self) -> None:
        self.rows.clear()

    def content(self) -> object:
        return self.rows


class _ByAddress:
    """An index: the key of each row by its first address."""

    def __init__(self) -> None:
        self.keys: dict[int, Key] = {}

    def add(self, key: Key, row: Subnet) -> None:
        self.keys[row.first] = key

    def remove(self, _key: Key, row: Subnet) -> None:
        del self.keys[row.first]

    def replace(self, key: Key, former: Subnet, row: Subnet) -> None:
        self.remove(key, former)
        self.add(key, row)

    def clear(self) -> None:
        self.keys.clear()

    def content(self) -> object:
        return self.keys


class Subnets(KeyedTable[Key, Subnet]):
    """`version` grows when a node gets a subnet or loses it, and is compared for equality alone."""

    rows_frame = SubnetsFrame

    def __init__(self, state: TableSet) -> None:
        self._by_node, self._by_address = _ByNode(), _ByAddress()
        super().__init__(state, self._by_node, self._by_address)
        self.version = 0

    @staticmethod
    def key(row: Subnet) -> Key:
        return row.node, row.network

    @staticmethod
    def can_be(row: Subnet) -> bool:
        return row.is_sound

    def put(self, row: Subnet) -> None:
        former = self.get(self.key(row))
        super().put(row)
        if former is None or former.first != row.first:
            self.version += 1

    def drop(self, key: Key) -> None:
        super().drop(key)
        self.version += 1

    def of_node(self, node: NodeId) -> Mapping[int, Subnet]:
        """Returns those of a node, by network."""
        return self._by_node.rows.get(node, {})

    def default(self, node: NodeId) -> Subnet | None:
        return self.get((node, DEFAULT_NUMBER))

    def holders(self) -> Collection[NodeId]:
        """Returns the nodes that have any. Each has one of the default network, for as long as another."""
        return self._by_node.rows.keys()

    def of_network(self, number: int) -> list[Key]:
        return [key for key in self.rows if key[1] == number]

    def at(self, address: int) -> Subnet | None:
        """Returns the one that has the address."""
        key = self._by_address.keys.get(address - address % SUBNET_SIZE)
        return self.rows[key] if key is not None else None

    def is_free(self, first_address: int) -> bool:
        return first_address not in self._by_address.keys


@since(2)
class LeaseSubnet(Command, frozen=True, array_like=True, tag=41):
    """The node is to have a subnet of the default network that the setting asks for: the first that is free."""

    node: NodeId


@since(2)
class ReleaseSubnets(Command, frozen=True, array_like=True, tag=42):
    """These are needed no more. One of which active allocations have addresses is kept, and one of the default
    network while the node has others.
    """

    subnets: tuple[Key, ...]


def _lease_fault(lease: LeaseSubnet) -> str:
    return node_fault(lease.node)


def _release_fault(release: ReleaseSubnets) -> str:
    faults = (node_fault(node) or outside("network", number, MAX_NUMBER) for node, number in release.subnets)
    return first((outside("subnets", len(release.subnets), MAX_RELEASED), *faults))


@command(LeaseSubnet, fault=_lease_fault)
def lease_subnet(state: Tables, step: Step, lease: LeaseSubnet) -> None:
    subnets, addresses = state.of(Subnets), state.of(Configs).network
    if addresses is None or lease.node not in state.nodes or holder_beside(state.nodes, subnets, lease.node):
        return
    _lease(state, step, lease.node, DEFAULT, DEFAULT_NUMBER)


def _lease(state: Tables, step: Step, node: NodeId, name: str, number: int) -> Subnet | None:
    """Returns None, and says so, when none is left."""
    subnets, addresses = state.of(Subnets), state.of(Configs).network
    chosen = free_subnet(addresses, subnets) if addresses is not None else None
    if chosen is None:
        step.tell("NetworkFull", node, f"{node} has no subnet of {_network(name)}: none is left of {addresses}")
        return None
    row = Subnet(node, chosen, network=number)
    subnets.put(row)
    step.tell("SubnetLeased", node, f"{node} has {subnet_text(chosen)} of {_network(name)}")
    return row


def _network(name: str) -> str:
    return "the cluster's network" if name == DEFAULT else f"network {name}"


def holder_beside(nodes: Mapping[NodeId, Node], subnets: Subnets, node: NodeId) -> NodeId | None:
    """Returns the node that has a subnet, of those that share the engine of this one, it among them: a machine is
    in the network once. None where there is none.
    """
    if subnets.default(node) is not None:
        return node
    engine = nodes[node].engine
    return next((each for each in subnets.holders() if engine and nodes[each].engine == engine), None)


def free_subnet(addresses: AddressRange, subnets: Subnets) -> int | None:
    """Returns the first address of the first free subnet; None when all are given out. The range's first subnet is
    left out: its .0 is the range's own.
    """
    return next((each for each in addresses.subnets[1:] if subnets.is_free(each)), None)


@command(ReleaseSubnets, fault=_release_fault)
def release_subnets(state: Tables, step: Step, release: ReleaseSubnets) -> None:
    subnets = state.of(Subnets)
    for key in sorted(release.subnets, key=lambda key: key[1] == DEFAULT_NUMBER):
        node, number = key
        record, row = state.records.get(node), subnets.get(key)
        if row is None or (number == DEFAULT_NUMBER and len(subnets.of_node(node)) > 1):
            continue
        if record is not None and any(address in row for address in addresses_in_use(state, record)):
            continue
        subnets.drop(key)
        step.tell("SubnetReleased", node, f"{node} has {subnet_text(row.first)} no more")


def addresses_in_use(state: Tables, record: NodeRecord) -> set[int]:
    """Returns those of the node's active allocations."""
    held = (state.allocations[identity] for identity in record.holdings.ids())
    return {address for allocation in held if not allocation.terminal for address in allocation.addresses}


def tasks_on(state: Tables, number: int) -> int:
    """Returns how many active allocations have addresses of a network."""
    subnets = state.of(Subnets)
    rows = [subnets.rows[key] for key in subnets.of_network(number)]
    used = ((row, addresses_in_use(state, state.records[row.node])) for row in rows if row.node in state.records)
    return sum(address in row for row, addresses in used for address in addresses)


class AddressGiver:
    """Gives addresses to the tasks of one step, each node's in turn. `names`: of the networks that they are on."""

    def __init__(self, state: Tables, step: Step, names: tuple[str, ...]) -> None:
        networks = state.of(Networks)
        self._state = state
        self._step = step
        self._names = names
        self._numbers = [networks.number(name) for name in names]
        self._used: dict[NodeId, set[int]] = {}
        self._parts: dict[tuple[NodeId, int], _Part] = {}

    def give(self, record: NodeRecord) -> tuple[int, ...]:
        """Returns an address on each network that no active allocation has; 0 where the node has no subnet, or none
        of it left.
        """
        return tuple(
            self._part(record, name, number).give() if number is not None else 0
            for name, number in zip(self._names, self._numbers, strict=True)
        )

    def _part(self, record: NodeRecord, name: str, number: int) -> "_Part":
        node = record.node.id
        part = self._parts.get((node, number))
        if part is None:
            row = self._row(node, name, number)
            if row is not None and node not in self._used:
                self._used[node] = addresses_in_use(self._state, record)
            part = self._parts[node, number] = _Part(row, self._used.get(node, set()))
        return part

    def _row(self, node: NodeId, name: str, number: int) -> Subnet | None:
        """A node that takes part has a subnet of a further network from the first task there on."""
        subnets = self._state.of(Subnets)
        mine = subnets.of_node(node)
        if number in mine or not mine:
            return mine.get(number)
        if len(mine) >= MAX_NETWORKS:
            text = f"{node} has no subnet of {_network(name)}: it is on {MAX_NETWORKS} networks, the most"
            self._step.tell("NetworkFull", node, text)
            return None
        return _lease(self._state, self._step, node, name, number)

    def settle(self) -> None:
        """Notes where the search goes on, and says which nodes had no address left."""
        subnets = self._state.of(Subnets)
        for (node, number), part in self._parts.items():
            if part.row is None:
                continue
            if part.row != subnets.get((node, number)):
                subnets.put(part.row)
            if part.missed:
                rest = f": {_INSTEAD}" if number == DEFAULT_NUMBER else f" in {subnet_text(part.row.first)}"
                text = f"{node} has no address left for {several(part.missed, 'task')}{rest}"
                self._step.tell("NetworkFull", node, text)


class _Part:
    """A node's part of one network. `used` are all addresses that the node's tasks have."""

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


def address_giver(state: Tables, step: Step, spec: TaskSpec) -> AddressGiver | None:
    """Returns it for tasks that are on the cluster's networks; None when there are none, or they are on another."""
    names = spec.network_names
    if not names or not len(state.of(Subnets)) or state.of(Configs).network is None:
        return None
    return AddressGiver(state, step, names)


def _range_fault(state: TableSet, value: bytes) -> str:
    """The range stays as it is while nodes have subnets of it: addresses of two would be in the network."""
    addresses = network(value)
    others = [row for row in state.of(Subnets).rows.values() if not fits(row, addresses)]
    if addresses is None or not others:
        return ""
    nodes = list(dict.fromkeys(row.node for row in others))
    shown = ", ".join(nodes[:3]) + (", …" if nodes[3:] else "")
    return (
        f"tasks on {shown} have addresses of another range, as {subnet_text(others[0].first)}: switch the network"
        f" off first ('orion config put {NETWORK} off'), and restart them"
    )


REFUSALS[NETWORK] = _range_fault


def drop_subnets(state: Tables, node: NodeId) -> None:
    """The node is forgotten."""
    subnets = state.of(Subnets)
    for number in list(subnets.of_node(node)):
        subnets.drop((node, number))


def fits(row: Subnet, addresses: AddressRange | None) -> bool:
    """Returns whether the subnet is one of the network that is asked for."""
    return addresses is not None and row.first in addresses and row.first + SUBNET_SIZE - 1 in addresses


TABLES = (Subnets,)
COMMANDS = (lease_subnet, release_subnets)
