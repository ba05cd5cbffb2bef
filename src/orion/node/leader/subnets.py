"""A duty: has each node that can take part in the cluster's own network have a subnet of it."""

import asyncio

from orion.model.ids import NodeId
from orion.model.network import OVERLAY_KIND, OVERLAY_LABEL
from orion.model.node import Node
from orion.node.consensus.driver import RaftDriver
from orion.node.leader.proposer import Proposer
from orion.ports.clock import Clock
from orion.state.tables.configs import Configs
from orion.state.tables.subnets import (
    MAX_RELEASED,
    LeaseSubnet,
    ReleaseSubnets,
    Subnets,
    fits,
    free_subnet,
    holder_beside,
)
from orion.state.view import View

AGAIN_S = 30.0  # what is in use now may be free then


class SubnetLeases:
    name = "subnets"

    def __init__(self, *, clock: Clock, driver: RaftDriver, proposer: Proposer) -> None:
        self._clock = clock
        self._driver = driver
        self._proposer = proposer

    async def run(self, _term: int, /) -> None:
        """A subnet that is not of the network any more is asked back as long as tasks have addresses of it."""
        seen: object = None
        foreign = False
        while True:
            view = self._driver.view
            looked = self._driver.installs, view.facts_epoch, view.of(Subnets).version, view.of(Configs).network
            if looked != seen:
                foreign = bool(not_of_the_network(view))
            if foreign:
                await self._release(view)
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

    async def _release(self, view: View) -> None:
        if found := strangers(view):
            await self._proposer.propose(ReleaseSubnets(self._clock.wall_ms(), tuple(found[:MAX_RELEASED])))

    async def _lease(self, view: View) -> bool:
        """Returns whether there may be more to lease."""
        node = next_without(view)
        if node is None:
            return False
        await self._proposer.propose(LeaseSubnet(self._clock.wall_ms(), node))
        return True


def strangers(view: View) -> list[NodeId]:
    """Returns the nodes whose subnets are not of the network that is asked for, and that need them no more."""
    return [node for node in not_of_the_network(view) if not _has_addresses(view, node)]


def not_of_the_network(view: View) -> list[NodeId]:
    """Returns the nodes whose subnets are not of the network that is asked for."""
    addresses = view.of(Configs).network
    return [row.node for row in view.of(Subnets).rows.values() if not fits(row, addresses)]


def _has_addresses(view: View, node: NodeId) -> bool:
    return any(each.ip and not each.terminal for each in view.allocations_of_node(node))


def next_without(view: View) -> NodeId | None:
    """Returns the first node that can have a subnet, and has none."""
    addresses, subnets = view.of(Configs).network, view.of(Subnets)
    if addresses is None or free_subnet(addresses, subnets.rows.values()) is None:
        return None
    nodes = {node.id: node for node in view.nodes()}
    waiting = (name for name, node in nodes.items() if takes_part(node))
    return next((name for name in waiting if holder_beside(nodes, subnets, name) is None), None)


def takes_part(node: Node) -> bool:
    """Before it has said which engine it has, it may share that with one that has a subnet."""
    return bool(node.engine) and (OVERLAY_LABEL, OVERLAY_KIND) in node.own_labels
