"""A duty: has each node that can take part in the cluster's own network have a subnet of it."""

import asyncio

from orion.model.ids import AllocationId, NodeId
from orion.model.network import DEFAULT_NUMBER, OVERLAY_KIND, OVERLAY_LABEL, Subnet
from orion.model.node import Node
from orion.node.consensus.driver import RaftDriver
from orion.node.leader.proposer import Proposer
from orion.ports.clock import Clock
from orion.state.tables.configs import Configs
from orion.state.tables.late_addresses import MAX_GIVEN, GiveAddresses, can_be_given, lacks_addresses
from orion.state.tables.subnets import (
    MAX_RELEASED,
    Key,
    LeaseSubnet,
    ReleaseSubnets,
    Subnets,
    fits,
    free_subnet,
    holder_beside,
)
from orion.state.view import View

AGAIN_S = 30.0  # what is in use now may be free then
IDLE_LOOK_MS = 10_000
IDLE_MS = 60_000  # without a task, until a node's part of a network that was made by name is taken back


class SubnetLeases:
    name = "subnets"

    def __init__(self, *, clock: Clock, driver: RaftDriver, proposer: Proposer) -> None:
        self._clock = clock
        self._driver = driver
        self._proposer = proposer
        self._idle: dict[Key, int] = {}  # since when nothing of it is used, as far as this leader has seen

    async def run(self, _term: int, /) -> None:
        """A subnet that is not of the network any more is asked back as long as tasks have addresses of it."""
        self._idle = {}
        seen: object = None
        foreign = False
        idle_at_ms = self._clock.now_ms()
        while True:
            view = self._driver.view
            looked = self._driver.installs, view.facts_epoch, view.of(Subnets).version, view.of(Configs).network
            if looked != seen:
                foreign = bool(not_of_the_network(view))
            if foreign:
                await self._release(strangers(view))
            if self._clock.now_ms() >= idle_at_ms:
                idle_at_ms = self._clock.now_ms() + IDLE_LOOK_MS
                await self._release(self._long_idle(view))
                await self._give(waiting_for_addresses(view))
            if looked != seen:
                seen = looked
                if await self._lease(view):
                    seen = None
                    continue
            try:
                async with asyncio.timeout(AGAIN_S):
                    await self._driver.watch.changed()
            except TimeoutError:
                continue

    async def _release(self, found: list[Key]) -> None:
        if found:
            await self._proposer.propose(ReleaseSubnets(self._clock.wall_ms(), tuple(found[:MAX_RELEASED])))

    async def _give(self, found: list[AllocationId]) -> None:
        if found:
            await self._proposer.propose(GiveAddresses(self._clock.wall_ms(), tuple(found[:MAX_GIVEN])))

    def _long_idle(self, view: View) -> list[Key]:
        now_ms = self._clock.now_ms()
        self._idle = {key: self._idle.get(key, now_ms) for key in idle(view)}
        return [key for key, since_ms in self._idle.items() if now_ms - since_ms >= IDLE_MS]

    async def _lease(self, view: View) -> bool:
        """Returns whether there may be more to lease."""
        node = next_without(view)
        if node is None:
            return False
        await self._proposer.propose(LeaseSubnet(self._clock.wall_ms(), node))
        return True


def strangers(view: View) -> list[Key]:
    """Returns the subnets that are not of the network that is asked for, and that their nodes need no more."""
    return _unused(view, not_of_the_network(view))


def idle(view: View) -> list[Key]:
    """Returns the subnets of networks that were made by name, of which no task has an address."""
    return _unused(view, [row for row in view.of(Subnets).rows.values() if row.network != DEFAULT_NUMBER])


def waiting_for_addresses(view: View) -> list[AllocationId]:
    """Returns tasks that lack addresses which could be given now."""
    if view.of(Configs).network is None:
        return []
    jobs = (job for name in view.job_names() if (job := view.job(name)) is not None and job.task.needs_addresses)
    held = (each for job in jobs for each in view.allocations_of_job(job.name))
    known = ((each, spec) for each in held if (spec := view.spec(each.job, each.job_version)) is not None)
    return [each.id for each, spec in known if lacks_addresses(each, spec) and can_be_given(view, each, spec)]


def not_of_the_network(view: View) -> list[Subnet]:
    """Returns the subnets that are not of the network that is asked for."""
    addresses = view.of(Configs).network
    return [row for row in view.of(Subnets).rows.values() if not fits(row, addresses)]


def _unused(view: View, rows: list[Subnet]) -> list[Key]:
    used = {node: _addresses(view, node) for node in dict.fromkeys(row.node for row in rows)}
    return [Subnets.key(row) for row in rows if not any(address in row for address in used[row.node])]


def _addresses(view: View, node: NodeId) -> list[int]:
    return [ip for each in view.allocations_of_node(node) if not each.terminal for ip in each.addresses]


def next_without(view: View) -> NodeId | None:
    """Returns the first node that can have a subnet, and has none."""
    addresses, subnets = view.of(Configs).network, view.of(Subnets)
    if addresses is None or free_subnet(addresses, subnets) is None:
        return None
    nodes = {node.id: node for node in view.nodes()}
    waiting = (name for name, node in nodes.items() if takes_part(node))
    return next((name for name in waiting if holder_beside(nodes, subnets, name) is None), None)


def takes_part(node: Node) -> bool:
    """Before it has said which engine it has, it may share that with one that has a subnet."""
    return bool(node.engine) and (OVERLAY_LABEL, OVERLAY_KIND) in node.own_labels
