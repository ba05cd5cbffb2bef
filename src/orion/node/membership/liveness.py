"""Probes of the peer ports of nodes that gossip does not call alive: the second proof of death, or of life."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import msgspec

from orion.model.errors import Unavailable
from orion.model.ids import NodeId, RaftId
from orion.model.membership import MemberState
from orion.model.node import Node, NodeStatus
from orion.model.recovery import belong_together
from orion.node.membership.directory import Directory
from orion.ports.peers import Peers, PortProbe
from orion.reconcile.nodes import Proof, Sighting
from orion.state.view import View

AGAIN_S = 0.1
ANSWERED_AGAIN_S = 0.5  # between two probes of a node that answers while gossip does not find it
LOOK_AGAIN_S = 0.5
PROBE_TRIES = 6  # a network that is gone for half a second is no death
PROBE_DEAD_S = 0.3  # of a node that gossip has given up: gossip has waited before
ANSWER_TIMEOUT_S = 2.0  # a busy process needs less


class LivenessDoubt(msgspec.Struct, frozen=True):
    """A node that state calls ready and gossip does not call alive. `state` is gossip's, None when it shows
    none.
    """

    node: NodeId
    raft_id: RaftId
    address: str
    state: MemberState | None


class Liveness:
    """A duty of the leader: asks at each such node's peer port, again and again while it is one. Calls `changed` at
    every new answer.
    """

    name = "liveness"

    def __init__(
        self,
        *,
        me: NodeId,
        peers: Peers,
        directory: Directory,
        view: Callable[[], View],
        gossip_changed: Callable[[], Awaitable[None]],
        hears: Callable[[RaftId], bool],
        hears_others: Callable[[RaftId], bool],
        changed: Callable[[], None],
    ) -> None:
        """`hears` returns True when a Raft message of that member has come lately. `hears_others` returns True when
        this node hears a quorum, and one member besides that one, so that the silence is not its own.
        """
        self._me = me
        self._peers = peers
        self._directory = directory
        self._view = view
        self._gossip_changed = gossip_changed
        self._hears = hears
        self._hears_others = hears_others
        self._changed = changed
        self._asked: set[NodeId] = set()
        self._probing: dict[NodeId, tuple[asyncio.Timeout, float]] = {}  # and when each may end
        self._proofs: dict[NodeId, Proof] = {}
        self.version = 0  # the number of changed proofs

    def proof(self, node: NodeId) -> Proof | None:
        """Returns the proof about a node; None when it is not in doubt, or while its first probe goes on."""
        return self._proofs.get(node)

    def in_doubt(self) -> Iterable[NodeId]:
        """Returns the nodes for which there is a proof."""
        return self._proofs.keys()

    async def run(self, _term: int, /) -> None:
        self._proofs.clear()
        self._asked.clear()
        async with asyncio.TaskGroup() as group:
            while True:
                self._hasten()
                for node in self._view().nodes():
                    if node.id not in self._asked and self._doubt(node):
                        group.create_task(self._ask(node.id), name=f"suspect-{node.id}")
                        self._asked.add(node.id)
                await self._something_changed()

    async def _something_changed(self) -> None:
        try:
            async with asyncio.timeout(LOOK_AGAIN_S):  # a status in state changes without gossip
                await self._gossip_changed()
        except TimeoutError:
            return

    async def _ask(self, node: NodeId) -> None:
        try:
            while doubt := self._doubt(self._view().node(node)):
                proof = await self._prove(doubt)
                now = self._doubt(self._view().node(node))
                if now is not None and now.raft_id == doubt.raft_id:
                    self._note(node, proof)
                slowly = proof is Proof.ANSWERS and doubt.state is not MemberState.SUSPECT
                await asyncio.sleep(ANSWERED_AGAIN_S if slowly else AGAIN_S)
        finally:
            self._asked.discard(node)
            self._note(node, None)

    async def _prove(self, doubt: LivenessDoubt) -> Proof:
        """Probes a node once. Raft messages that come from it count more than a new connection without an answer,
        which a firewall may have dropped.
        """
        probe = await self._probe(doubt)
        if probe is PortProbe.REFUSED:
            return Proof.REFUSED
        if self._hears(doubt.raft_id):
            return Proof.ANSWERS
        if probe is PortProbe.SILENT:
            return Proof.SILENT
        if probe is PortProbe.ACCEPTED and await self._answers(doubt):
            return Proof.ANSWERS
        return Proof.MUTE

    async def _probe(self, doubt: LivenessDoubt) -> PortProbe:
        """Probes the node's port. Returns SILENT only when others were heard after the silence and this node still
        does not answer. Otherwise it may be the leader that was cut off, and its wrong verdict would be committed
        as soon as it is back.
        """
        answer = await self._probe_long_enough(doubt)
        if answer is not PortProbe.SILENT:
            return answer
        if not self._hears_others(doubt.raft_id):
            return PortProbe.UNCLEAR
        return await self._peers.probe(doubt.address, tries=1)

    async def _probe_long_enough(self, doubt: LivenessDoubt) -> PortProbe:
        """Probes the node's port, for PROBE_DEAD_S at most when gossip has given the node up or does so
        meanwhile.
        """
        enough_s = asyncio.get_running_loop().time() + PROBE_DEAD_S
        try:
            async with asyncio.timeout_at(enough_s if doubt.state is MemberState.DEAD else None) as scope:
                self._probing[doubt.node] = scope, enough_s
                return await self._peers.probe(doubt.address, tries=PROBE_TRIES)
        except TimeoutError:
            return PortProbe.UNCLEAR
        finally:
            del self._probing[doubt.node]

    def _hasten(self) -> None:
        now_s = asyncio.get_running_loop().time()
        for node, (scope, enough_s) in self._probing.items():
            doubt = self._doubt(self._view().node(node))
            if doubt is not None and doubt.state is MemberState.DEAD and not scope.expired():
                scope.reschedule(max(now_s, enough_s))

    async def _answers(self, doubt: LivenessDoubt) -> bool:
        """Returns True when the process that answers is this very member, of this cluster and recovery."""
        try:
            who = await self._peers.who(doubt.address, timeout_s=ANSWER_TIMEOUT_S)
        except Unavailable:
            return False
        here = self._directory
        ours = belong_together(here.cluster, here.recovery, who.cluster, who.recovery)
        return ours and (who.node, who.raft_id) == (doubt.node, doubt.raft_id)

    def _doubt(self, node: Node | None) -> LivenessDoubt | None:
        if node is None or node.id == self._me or node.status is not NodeStatus.READY:
            return None
        seen = self._directory.seen(node.id)
        if seen is None or Sighting(seen.member.state, seen.metadata.raft_id).shows_end_of_other(node.raft_id):
            return LivenessDoubt(node.id, node.raft_id, node.peer_address, None)
        if seen.member.state is MemberState.ALIVE or seen.metadata.raft_id != node.raft_id:
            return None
        return LivenessDoubt(node.id, node.raft_id, seen.metadata.peer_address, seen.member.state)

    def _note(self, node: NodeId, proof: Proof | None) -> None:
        if proof is self._proofs.get(node):
            return
        if proof is None:
            del self._proofs[node]
        else:
            self._proofs[node] = proof
        self.version += 1
        self._changed()
