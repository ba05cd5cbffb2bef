"""Commands that make networks and remove them.

A network's number follows from the entry that made it, so that none is given again soon: a machine that was away
may still have what had it.
"""

from orion.model.counts import several
from orion.model.errors import Conflict, NotFound, OrionError, Refused
from orion.model.levels import since
from orion.model.network import DEFAULT, MAX_NETWORKS, MAX_NUMBER, NETWORK_NAME, Network
from orion.state.core.command import Command, command, once_about
from orion.state.core.faults import MAX_WORD, first, key_fault, longer
from orion.state.core.step import Step
from orion.state.records import Tables
from orion.state.tables.answers import Answers
from orion.state.tables.job_configs import specs_of
from orion.state.tables.networks import Networks
from orion.state.tables.subnets import Subnets, tasks_on


@since(2, words="several networks")
class CreateNetwork(Command, frozen=True, array_like=True, tag=49):
    """Refused (Conflict) when the name is taken."""

    name: str
    internal: bool
    idempotency_key: str
    since: int


@since(2)
class RemoveNetwork(Command, frozen=True, array_like=True, tag=50):
    """Refused (Conflict) while a job names it, in any version that is kept, or tasks have addresses of it. NotFound
    when there is none.
    """

    name: str
    idempotency_key: str
    since: int


def _fault(change: CreateNetwork | RemoveNetwork) -> str:
    return first((longer("name", len(change.name), MAX_WORD), key_fault(change.idempotency_key)))


def _name(change: CreateNetwork | RemoveNetwork) -> str:
    return change.name


@command(CreateNetwork, fault=_fault, once=once_about(Answers, "create network", _name))
def create_network(state: Tables, step: Step, create: CreateNetwork) -> str | OrionError:
    name, networks = create.name, state.of(Networks)
    if not NETWORK_NAME.fullmatch(name):
        return Refused(
            f"{name[:80]!r} is no network's name: that has up to 63 small letters, digits, '-' between them"
        )
    if networks.number(name) is not None:
        return Conflict(f"a network {name} is there already; choose another name: orion network ls")
    if len(networks) >= MAX_NETWORKS:
        return Refused(f"there are {MAX_NETWORKS:,} networks, the most there can be: remove some first")
    networks.put(Network(name, _free_number(networks, step.index), create.internal, step.at_ms))
    step.tell("NetworkCreated", name, f"network {name} created{', without a way out' if create.internal else ''}")
    return name


def _free_number(networks: Networks, index: int) -> int:
    taken = {row.number for row in networks.rows.values()}
    number = index % MAX_NUMBER + 1
    while number in taken:
        number = number % MAX_NUMBER + 1
    return number


@command(RemoveNetwork, fault=_fault, once=once_about(Answers, "remove network", _name))
def remove_network(state: Tables, step: Step, remove: RemoveNetwork) -> str | OrionError:
    name, networks = remove.name, state.of(Networks)
    row = networks.get(name)
    if name == DEFAULT:
        return Conflict("the default network goes with the range of addresses: orion config put orion/network off")
    if row is None:
        return NotFound(f"there is no network {name}; orion network ls lists them")
    users = [job for job in state.jobs if any(name in spec.networks for spec in specs_of(state, job))]
    if users:
        more = f" and {len(users) - 3:,} more" if len(users) > 3 else ""
        return Conflict(
            f"network {name} is named by {', '.join(users[:3])}{more}, now or in a version that is kept: remove or"
            " redeploy what is on it first"
        )
    if left := tasks_on(state, row.number):
        return Conflict(f"{several(left, 'task')} on network {name} have not ended yet: try again once they have")
    subnets = state.of(Subnets)
    for key in subnets.of_network(row.number):
        subnets.drop(key)
    networks.drop(name)
    step.tell("NetworkRemoved", name, f"network {name} was removed")
    return name


TABLES = ()
COMMANDS = (create_network, remove_network)
