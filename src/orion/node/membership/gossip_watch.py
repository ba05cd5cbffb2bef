"""The watch on gossip: its events update the directory, are logged in plain lines, and give the consensus core
hints.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from orion.model.errors import Unavailable
from orion.model.ids import NodeId, RaftId
from orion.model.membership import PRESENT, MemberState
from orion.model.recovery import is_newer
from orion.node.consensus.driver import RaftDriver
from orion.node.membership.directory import Directory, Seen
from orion.node.membership.liveness import AGAIN_S
from orion.ports.membership import MemberEvent, MemberEventKind, Membership
from orion.ports.peers import Peers, PortProbe
from orion.process.loglines import LogThrottle

log = logging.getLogger(__name__)

LEADER_PROBES = 3  # a leader taken for dead by mistake costs an election that nobody wins
STRANGER_QUIET_S = 3_600.0  # between two lines about the same stranger
MAX_STRANGERS = 64  # with a line in that time
GREETING_S = 2.0

_WORDS = {
    MemberEventKind.JOINED: "%s seen by gossip (at %s)",
    MemberEventKind.SUSPECT: "%s suspect: it does not answer probes (gossip at %s)",
    MemberEventKind.RECOVERED: "%s alive again (gossip at %s)",
    MemberEventKind.DEAD: "%s given up by gossip (at %s)",  # no verdict: that is the leader's
    MemberEventKind.LEFT: "%s left (gossip at %s)",
}


class GossipWatch:
    def __init__(
        self,
        *,
        me: NodeId,
        membership: Membership,
        peers: Peers,
        directory: Directory,
        driver: RaftDriver,
        name_contested: Callable[[str], None],
    ) -> None:
        self._me = me
        self._membership = membership
        self._peers = peers
        self._directory = directory
        self._driver = driver
        self._name_contested = name_contested
        self._changed = asyncio.Event()
        self._astray: dict[NodeId, str] = {}  # peer addresses of registered nodes that are of another cluster now
        self._went_astray = asyncio.Event()
        self._strangers = LogThrottle(STRANGER_QUIET_S, MAX_STRANGERS)
        directory.on_stranger = self._tell_stranger

    async def changed(self) -> None:
        """Returns at the next gossip event after this call."""
        await self._changed.wait()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(), name="gossip-events")
            group.create_task(self._watch_the_leader(), name="gossip-leader")
            group.create_task(self._greet_the_astray(), name="gossip-astray")

    async def _follow(self) -> None:
        events = self._membership.events()
        self._look()
        async for event in events:
            self._tell(event)
            self._look()

    def _look(self) -> None:
        self._directory.update(self._membership.members())
        self._changed.set()
        self._changed = asyncio.Event()
        self._driver.watch.nudge()

    def _tell(self, event: MemberEvent) -> None:
        member = event.member
        if event.kind is MemberEventKind.CONFLICT and member is not None:
            words = "two nodes call themselves %s: the one at %s is ignored; give it another --id"
            if member.node == self._me:
                words = "another node calls itself %s as this one does, at %s: gossip lets in only one of them"
                self._name_contested(event.other_address)
            log.error(words, member.node, event.other_address)
        elif event.kind in _WORDS and member is not None:
            log.info(_WORDS[event.kind], member.node, member.gossip_address)

    def _tell_stranger(self, seen: Seen) -> None:
        """Logs a member of another cluster or recovery, each once an hour: a person may have meant it to be in this
        one.
        """
        node, metadata, here = seen.member.node, seen.metadata, self._directory
        mark = node, metadata.cluster, metadata.recovery
        if seen.member.state not in PRESENT:
            return
        if not self._strangers.is_due(mark, asyncio.get_running_loop().time()):
            return
        if metadata.cluster != here.cluster:
            log.error(
                "%s (at %s) is of another cluster than this node's data directory: to join it, stop this node, "
                "move that directory away and start it again with --join",
                node,
                metadata.peer_address,
            )
            known = self._driver.view.node(node)
            if known is not None and known.peer_address == metadata.peer_address:
                self._astray[node] = metadata.peer_address
                self._went_astray.set()
        elif not is_newer(here.recovery, metadata.recovery):
            log.error(
                "%s (at %s) was recovered apart from this node: they are two clusters now. Stop one of them, move "
                "its data directory away and start it again with --join",
                node,
                metadata.peer_address,
            )

    async def _greet_the_astray(self) -> None:
        """Says hello to registered nodes that lost their disk and began a cluster of their own: they end when a
        node of their former cluster does so (node.py). Raft dials such a node only while it has a vote.
        """
        while True:
            await self._went_astray.wait()
            self._went_astray.clear()
            while self._astray:
                _, address = self._astray.popitem()
                with contextlib.suppress(Unavailable):  # each hangs up on the other
                    await self._peers.who(address, timeout_s=GREETING_S)

    async def _watch_the_leader(self) -> None:
        """Tells the core that the leader is dead once there are two proofs, so that it need not wait for its
        election timeout: gossip does not call the leader alive, and its host refuses connections or is silent.
        Gossip alone may still show a former run.
        """
        while True:
            leader = self._leader()
            if leader is None or leader.member.state is MemberState.ALIVE:
                await self._changed.wait()
                continue
            if await self._is_gone(leader.metadata.peer_address):
                self._driver.peer_dead(leader.metadata.raft_id)  # by now another may lead
            await asyncio.sleep(AGAIN_S)

    async def _is_gone(self, address: str) -> bool:
        """Returns True when the leader's host refuses connections, or is silent while no Raft message of it comes
        either. A firewall may drop new connections alone.
        """
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        answer = await self._peers.probe(address, tries=LEADER_PROBES)
        if answer is PortProbe.SILENT:
            return self._driver.leader_unheard_ms > (loop.time() - began_s) * 1000
        return answer is PortProbe.REFUSED

    def _leader(self) -> Seen | None:
        standing = self._driver.standing
        if not standing.leader or self._driver.is_leader:
            return None
        return self._directory.seen_raft(RaftId(standing.leader))
