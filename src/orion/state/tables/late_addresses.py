"""Addresses for tasks that were placed when there were none, and don't start without."""

from typing import Protocol, TypeVar

from msgspec.structs import replace

from orion.model.allocation import Allocation
from orion.model.firewall import MAX_NETWORKS
from orion.model.ids import AllocationId
from orion.model.job import TaskSpec
from orion.model.levels import since
from orion.state import mutations
from orion.state.core.command import Command, command
from orion.state.core.faults import MAX_ID, first, outside
from orion.state.core.step import Step
from orion.state.core.table import Table
from orion.state.records import Tables
from orion.state.tables.configs import Configs
from orion.state.tables.networks import Networks
from orion.state.tables.subnets import Subnets, address_giver, free_subnet

MAX_GIVEN = 500

_Table = TypeVar("_Table", bound=Table)


@since(2)
class GiveAddresses(Command, frozen=True, array_like=True, tag=51):
    """Give these the addresses that they lack, as far as there are some. One that has a container keeps what it
    has.
    """

    allocations: tuple[AllocationId, ...]


def _fault(give: GiveAddresses) -> str:
    ids = (outside("allocation", identity, MAX_ID) for identity in give.allocations)
    return first((outside("allocations", len(give.allocations), MAX_GIVEN), *ids))


class _Tabled(Protocol):
    """A state, or a view of one."""

    def of(self, table: type[_Table]) -> _Table: ...


def lacks_addresses(allocation: Allocation, spec: TaskSpec) -> bool:
    """Returns whether it has no address that it can't start without, and has not started."""
    waits = not allocation.terminal and not allocation.status.container
    return waits and spec.needs_addresses and len(allocation.addresses) < len(spec.network_names)


def can_be_given(state: _Tabled, allocation: Allocation, spec: TaskSpec) -> bool:
    """Returns whether its node has, or can have, a subnet of each network where it has no address. A subnet that is
    full is found full when it is asked.
    """
    subnets, addresses = state.of(Subnets), state.of(Configs).network
    mine = subnets.of_node(allocation.node)
    if addresses is None or not mine:
        return False
    having = {row.network for row in mine.values() if any(address in row for address in allocation.addresses)}
    missing = set(state.of(Networks).numbers(spec)) - having
    new = missing - mine.keys()
    if new and (len(mine) + len(new) > MAX_NETWORKS or free_subnet(addresses, subnets) is None):
        return False
    return bool(missing)


@command(GiveAddresses, fault=_fault)
def give_addresses(state: Tables, step: Step, give: GiveAddresses) -> None:
    for identity in give.allocations:
        allocation = state.allocations.get(identity)
        record = state.jobs.get(allocation.job) if allocation is not None else None
        if allocation is None or record is None or allocation.node not in state.records:
            continue
        spec = record.spec(allocation.job_version)
        giver = address_giver(state, step, spec) if lacks_addresses(allocation, spec) else None
        if giver is None:
            continue
        had = (allocation.ip, *allocation.more_ips)
        given = giver.give(state.records[allocation.node])
        giver.settle()
        now = tuple((had[at] if at < len(had) else 0) or new for at, new in enumerate(given))
        if now != had:
            mutations.store(state, record, allocation, replace(allocation, ip=now[0], more_ips=now[1:]))
            state.records[allocation.node].work_index = state.index


TABLES = ()
COMMANDS = (give_addresses,)
