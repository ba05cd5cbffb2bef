"""Nodes as the API asks for them."""

import logging
from collections.abc import Callable, Mapping
from typing import ClassVar

import msgspec

from orion.model.api.nodes import NodeView
from orion.model.errors import Conflict, Invalid, NotFound, Refused, Unavailable
from orion.model.ids import NODE_ID, NodeId, RaftId
from orion.model.labels import changes_errors
from orion.node.consensus.driver import RaftDriver
from orion.node.membership.directory import Directory
from orion.node.routing.changes import Changes
from orion.node.routing.forward import Forward
from orion.node.rpc.reads import ALL, Epoch, Listing, Page, Read
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import CallRequest, ListRequest, Place
from orion.node.services.freshness import Freshness
from orion.node.views import render
from orion.ports.peers import Principal
from orion.state.tables.node_changes import DrainNode, RemoveNode
from orion.state.tables.node_labels import LabelNode

log = logging.getLogger(__name__)


class AskNodes(ListRequest, frozen=True, tag=4):
    read: Read
    page: Page = ALL


class AskNode(CallRequest[tuple[NodeView, int]], frozen=True, tag=5):
    node: str
    read: Read


class AskRaftId(CallRequest[RaftId], frozen=True, tag=21):
    """The data directory that the node of this name has, by the applied state; 0 when state knows no such node."""

    node: NodeId

    def fault(self) -> str:
        return "" if NODE_ID.fullmatch(self.node) else "not a node's name"


class Stopping(msgspec.Struct, frozen=True, array_like=True):
    """The node stops now."""


class StopNode(CallRequest[Stopping], frozen=True, tag=22):
    """A planned stop of the node that is asked, which is this one."""

    at: ClassVar = Place.NODE

    node: NodeId


class Nodes:
    """Each method as service.Service has it."""

    def __init__(
        self,
        *,
        me: NodeId,
        driver: RaftDriver,
        directory: Directory,
        forward: Forward,
        registry: Registry,
        changes: Changes,
        freshness: Freshness,
        on_stop_asked: Callable[[], None],
    ) -> None:
        self._me = me
        self._driver = driver
        self._directory = directory
        self._forward = forward
        self._changes = changes
        self._freshness = freshness
        self._on_stop_asked = on_stop_asked
        registry.answer_list(AskNodes, self._answer_nodes)
        registry.answer_call(AskNode, self._answer_node)
        registry.answer_call(AskRaftId, self._answer_raft_id)
        registry.answer_call(StopNode, self._answer_stop)

    async def find(self, read: Read, page: Page = ALL) -> Listing:
        return await self._forward.ask(AskNodes(read, page))

    async def get(self, node: str, read: Read) -> tuple[NodeView, int]:
        return await self._forward.ask(AskNode(node, read))

    async def drain(self, node: str, *, draining: bool, timeout_s: float) -> NodeView:
        _require_name(node)
        await self._changes.make(
            lambda at_ms, key, since: DrainNode(at_ms, NodeId(node), draining, key, since), timeout_s
        )
        return await self._after_a_write(node, timeout_s)

    async def label(self, node: str, labels: Mapping[str, str | None], *, timeout_s: float) -> NodeView:
        if wrong := changes_errors(labels):
            raise Invalid(wrong)
        _require_name(node)
        pairs = tuple(sorted(labels.items()))
        await self._changes.make(
            lambda at_ms, key, since: LabelNode(at_ms, NodeId(node), pairs, key, since), timeout_s
        )
        return await self._after_a_write(node, timeout_s)

    async def stop(self, node: str, *, timeout_s: float) -> NodeView:
        view, _ = await self.get(node, Read(timeout_s=timeout_s))
        if view.tasks:
            raise Conflict(f"{node} still has tasks ({view.tasks}); move them first: orion drain {node} --stop")
        if view.status in ("left", "dead"):
            raise Conflict(f"{node} does not run: it is {view.status}")
        await self._forward.ask_node(NodeId(node), StopNode(NodeId(node)), timeout_s=timeout_s)
        return view

    async def remove(self, node: str, *, timeout_s: float) -> None:
        try:
            await self.get(node, Read(timeout_s=timeout_s))
            raft = await self.raft_id(NodeId(node))
        except Unavailable as error:
            raise type(error)(f"{error.detail}; nothing was changed") from None
        await self._changes.make(
            lambda at_ms, key, since: RemoveNode(at_ms, NodeId(node), raft, key, since), timeout_s
        )

    async def raft_id(self, node: NodeId) -> RaftId:
        """Which of those that have had the name has it now, as far as is known here; else 0."""
        return self._raft_id(node) if self._driver.is_member else await self._forward.ask(AskRaftId(node))

    async def _after_a_write(self, node: str, timeout_s: float) -> NodeView:
        view, _ = await self.get(node, self._changes.read_after(timeout_s))
        return view

    # --- nodes ask ----------------------------------------------------------------------------------------

    async def _answer_nodes(self, request: AskNodes, _: Principal) -> Listing:
        driver, directory = self._driver, self._directory

        def epoch() -> Epoch:
            return directory.version, driver.standing.leader

        return await self._freshness.listing(
            request.read, ("nodes", request.page), lambda: render.nodes(driver, directory, request.page), epoch
        )

    async def _answer_node(self, request: AskNode, _: Principal) -> tuple[NodeView, int]:
        await self._freshness.reached(request.read)
        view = render.node(self._driver, self._directory, request.node)
        if view is None:
            raise unknown_node(request.node)
        return view, self._driver.applied_index

    async def _answer_raft_id(self, request: AskRaftId, _: Principal) -> RaftId:
        return self._raft_id(request.node)

    def _raft_id(self, node: NodeId) -> RaftId:
        known = self._driver.view.node(node)
        return known.raft_id if known else RaftId(0)

    async def _answer_stop(self, request: StopNode, _: Principal) -> Stopping:
        if request.node != self._me:
            raise Refused(f"this is {self._me}, not {request.node}; nothing was stopped")
        log.info("a user asked for this stop")
        self._on_stop_asked()
        return Stopping()


def _require_name(node: str) -> None:
    """Raises NotFound for a name that no node has or will have: nothing that a refusal must be remembered for."""
    if not NODE_ID.fullmatch(node):
        raise unknown_node(node)


def unknown_node(node: str) -> NotFound:
    return NotFound(f"there is no node {node}; 'orion nodes' lists them")
