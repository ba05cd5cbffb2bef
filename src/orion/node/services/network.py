"""The cluster's own network as people see it. How each node's part is, that node says."""

import asyncio
from collections.abc import Callable
from typing import ClassVar

import msgspec

from orion.model.api.network import NetworkNodeView, NetworkView
from orion.model.ids import NodeId
from orion.model.network import subnet_text
from orion.node.consensus.driver import RaftDriver
from orion.node.membership.directory import Directory
from orion.node.network.node_network import NodeNetwork
from orion.node.routing.forward import Forward
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import CallRequest, Place
from orion.node.services.one_node import answer_or_why
from orion.node.views import render
from orion.ports.peers import Principal
from orion.state.tables.configs import Configs
from orion.state.tables.subnets import Subnets

NODE_TIMEOUT_S = 2.0
AT_ONCE = 32  # nodes that are asked at the same time


class NetworkRow(msgspec.Struct, frozen=True, array_like=True):
    node: NodeId
    subnet: int  # its first address; 0: none
    addresses: int


class NetworkRows(msgspec.Struct, frozen=True, array_like=True):
    range: str
    rows: tuple[NetworkRow, ...]


class AskNetwork(CallRequest[NetworkRows], frozen=True, tag=46):
    """The network as whoever follows the log knows it."""


class NetworkStatus(msgspec.Struct, frozen=True, array_like=True):
    up: bool
    reason: str


class AskNetworkStatus(CallRequest[NetworkStatus], frozen=True, tag=47):
    """How a node's part of the network is."""

    at: ClassVar = Place.NODE


class Networks:
    """`also` says what else is not as it should be: ports that can't be opened, peers that are not reached."""

    def __init__(
        self,
        *,
        me: NodeId,
        driver: RaftDriver,
        directory: Directory,
        forward: Forward,
        registry: Registry,
        network: NodeNetwork,
        also: Callable[[], str] = lambda: "",
    ) -> None:
        self._me = me
        self._driver = driver
        self._directory = directory
        self._forward = forward
        self._network = network
        self._also = also
        registry.answer_call(AskNetwork, self._answer_rows)
        registry.answer_call(AskNetworkStatus, self._answer_status)

    async def get(self, *, timeout_s: float) -> NetworkView:
        """As service.Service has it."""
        known = await self._forward.ask(AskNetwork())
        within_s, turn = min(NODE_TIMEOUT_S, timeout_s / 2), asyncio.Semaphore(AT_ONCE)

        async def look(row: NetworkRow) -> NetworkNodeView:
            async with turn:
                status = (
                    await self._status(row.node, within_s) if known.range else NetworkStatus(up=False, reason="")
                )
            subnet = subnet_text(row.subnet) if row.subnet else ""
            return NetworkNodeView(row.node, subnet, row.addresses, status.up, status.reason)

        return NetworkView(known.range, list(await asyncio.gather(*map(look, known.rows))))

    async def _status(self, node: NodeId, within_s: float) -> NetworkStatus:
        gone = render.why_gone(
            self._driver.view.node(node), self._directory.seen(node), led=bool(self._driver.standing.leader)
        )
        if gone and node != self._me:
            return NetworkStatus(up=False, reason=gone)
        found = await answer_or_why(self._forward, node, AskNetworkStatus(), within_s)
        return NetworkStatus(up=False, reason=found) if isinstance(found, str) else found

    # --- nodes ask ----------------------------------------------------------------------------------------

    async def _answer_rows(self, _request: AskNetwork, _: Principal) -> NetworkRows:
        view = self._driver.view
        addresses, subnets = view.of(Configs).network, view.of(Subnets)
        rows = []
        for node in sorted(view.nodes(), key=lambda node: node.id):
            row = subnets.default(node.id)
            used = sum(bool(each.ip) for each in view.allocations_of_node(node.id) if not each.terminal)
            rows.append(NetworkRow(node.id, row.first if row is not None else 0, used))
        return NetworkRows(str(addresses) if addresses is not None else "", tuple(rows))

    async def _answer_status(self, _request: AskNetworkStatus, _: Principal) -> NetworkStatus:
        return NetworkStatus(self._network.local is not None, self._network.why or self._also())
