"""Raft as people are shown it, and who is to lead."""

import logging
from collections.abc import Callable, Sequence
from typing import ClassVar

from orion.model.api.cluster import RaftView
from orion.model.errors import Conflict, NotTaken, OrionError, Unavailable
from orion.model.ids import NodeId, RaftId
from orion.node.consensus.driver import RaftDriver
from orion.node.membership.directory import Directory
from orion.node.membership.quorum_watch import QuorumWatch
from orion.node.routing.forward import Forward
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import CallRequest, Place
from orion.node.runtime.deadline import deadline
from orion.node.services.nodes import unknown_node
from orion.node.views import render
from orion.ports.peers import Principal

log = logging.getLogger(__name__)

LEADERS_WORD_S = 1.0  # what it says of the others is worth no longer a wait
TRANSFER_S = 5.0
TRANSFER_ELSEWHERE_S = 6.0  # whoever leads answers with its own words at its deadline


class AskRaft(CallRequest[RaftView], frozen=True, tag=6):
    pass


class AskTransfer(CallRequest[RaftView], frozen=True, tag=7):
    """Hand leadership to this voter, or to the most up-to-date one when empty."""

    at: ClassVar = Place.LEADER

    to: str
    forwarded: bool = False


class Raft:
    """Each method as service.Service has it. `outlook`: what the leader will do about who votes, in sentences."""

    def __init__(
        self,
        *,
        me: NodeId,
        driver: RaftDriver,
        directory: Directory,
        forward: Forward,
        registry: Registry,
        quorum: QuorumWatch,
        outlook: Callable[[], Sequence[str]],
    ) -> None:
        self._me = me
        self._driver = driver
        self._directory = directory
        self._forward = forward
        self._quorum = quorum
        self._outlook = outlook
        registry.answer_call(AskRaft, self._answer_raft)
        registry.answer_call(AskTransfer, self._answer_transfer)

    async def get(self) -> RaftView:
        """As this node sees it, and of the others what the leader says, where that can be asked."""
        driver = self._driver
        if not driver.is_member:
            return await self._forward.ask(AskRaft())
        mine = self._seen_from_here()
        leader = driver.standing.leader
        node = None if driver.is_leader or not leader else self._directory.node_of_raft(RaftId(leader))
        if node is None:
            return mine
        try:
            leaders = await self._forward.ask_node(node, AskRaft(), timeout_s=LEADERS_WORD_S)
        except OrionError as error:
            log.debug("the leader does not say how the others are: %s", error.detail)
            return mine
        return render.with_leaders_view(mine, leaders)

    async def transfer_leader(self, to: str, *, timeout_s: float) -> RaftView:
        async with deadline(timeout_s, "leadership was not handed over"):
            return await self._transfer(AskTransfer(to))

    # --- nodes ask ----------------------------------------------------------------------------------------

    async def _answer_raft(self, _: AskRaft, __: Principal) -> RaftView:
        return self._seen_from_here()

    def _seen_from_here(self) -> RaftView:
        return render.raft(self._driver, self._directory, self._outlook())

    async def _answer_transfer(self, request: AskTransfer, _: Principal) -> RaftView:
        return await self._transfer(request)

    async def _transfer(self, request: AskTransfer) -> RaftView:
        driver = self._driver
        if not driver.is_leader:
            try:
                return await self._forward.ask_leader(request, timeout_s=TRANSFER_ELSEWHERE_S)
            except NotTaken:
                raise Unavailable(self._quorum.missing() or "there is no leader to hand over from") from None
        target, me = RaftId(0), driver.raft.status().id
        if not any(v != me for v in driver.raft.conf.voters):
            raise Conflict(f"{self._me} is the only voter: there is nobody to hand leadership to")
        if request.to:
            node = driver.view.node(NodeId(request.to))
            if node is None:
                raise unknown_node(request.to)
            target = node.raft_id
            if target not in driver.raft.conf.voters:
                raise Conflict(f"{request.to} does not vote, so it can't lead; 'orion raft' shows the voters")
        async with deadline(TRANSFER_S, "leadership was not handed over"):
            if target != me:
                await driver.hand_over(target)
            while not driver.standing.leader:
                await driver.watch.changed()
        return render.raft(driver, self._directory)
