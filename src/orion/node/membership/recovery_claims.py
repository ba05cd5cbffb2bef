"""Claims that the cluster was recovered from a lost quorum without this node. Any program that reaches a gossip or
peer port can make one, and a node that believes it ends, or joins the recovered cluster. So a claim is believed
only when the peer port of the node that it names confirms it, and never while a quorum of this node's own recovery
is heard.
"""

import asyncio
import logging
from collections.abc import Callable

import msgspec

from orion.model.errors import OrionError, Unavailable
from orion.model.ids import NodeId
from orion.model.membership import PRESENT
from orion.model.recovery import is_newer
from orion.node.consensus.driver import RaftDriver
from orion.node.consensus.position import AskPosition
from orion.node.membership.directory import Directory, Seen
from orion.node.rpc import ask
from orion.ports.clock import Clock
from orion.ports.peers import Peers
from orion.process.loglines import LogThrottle

log = logging.getLogger(__name__)

MAX_CLAIMS = 16
LOOK_EVERY_S = 0.5
ASK_AGAIN_S = 0.2  # a claim that is repeated is not checked more often
ASK_TIMEOUT_S = 1.0
MAX_ASKED = 8
SAME_AGAIN_MS = 3_000  # before a decided claim is looked at again, however often it is made
MAX_DECIDED = 64
# The time without a quorum before a claim is believed; an election takes less. A worker whose cluster was recovered
# has to join it before the new leader, which has never seen it, calls it dead (UNSEEN_GRACE_MS).
PATIENCE_MS = 3_000
QUIET_S = 3_600.0  # between two lines about the same claim
MAX_TOLD = 16


class Claim(msgspec.Struct, frozen=True):
    node: NodeId
    recovery: int
    address: str  # a peer port


class RecoveryClaims:
    """Decides claims. Calls `believed` with the node that has gone through the recovery, and the recovery's
    number.
    """

    def __init__(
        self,
        *,
        me: NodeId,
        clock: Clock,
        driver: RaftDriver,
        directory: Directory,
        peers: Peers,
        believed: Callable[[NodeId, int], None],
    ) -> None:
        self._me = me
        self._clock = clock
        self._driver = driver
        self._directory = directory
        self._peers = peers
        self._believed = believed
        self._claims: dict[NodeId, Claim] = {}
        self._decided_ms: dict[Claim, int] = {}  # the oldest first
        self._came = asyncio.Event()
        self._told = LogThrottle(QUIET_S, MAX_TOLD)
        self._heard_one = False  # True once a quorum was heard in this process
        self._unheard_since_ms: int | None = None

    def hear_gossip(self, seen: Seen) -> None:
        """Takes the claim of a member in gossip. The dead and those that left make none any more."""
        if seen.member.state in PRESENT:
            self._hear(Claim(seen.member.node, seen.metadata.recovery, seen.metadata.peer_address))

    def hear_hello(self, node: NodeId, recovery: int) -> None:
        """Takes the claim of a peer that says hello. It is checked at the address that this node knows for that
        name.
        """
        if (address := self._directory.address_of_node(node)) is not None:
            self._hear(Claim(node, recovery, address))

    def _hear(self, claim: Claim) -> None:
        decided_ms = self._decided_ms.get(claim)
        if claim.node == self._me:
            return
        if decided_ms is not None and self._clock.now_ms() - decided_ms < SAME_AGAIN_MS:
            return
        if claim.node in self._claims or len(self._claims) < MAX_CLAIMS:
            self._claims[claim.node] = claim
            self._came.set()

    def _decide(self, claim: Claim) -> None:
        """Ends a claim that is not believed, for SAME_AGAIN_MS."""
        self._claims.pop(claim.node, None)
        self._decided_ms.pop(claim, None)
        self._decided_ms[claim] = self._clock.now_ms()
        if len(self._decided_ms) > MAX_DECIDED:
            del self._decided_ms[next(iter(self._decided_ms))]

    async def run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._came.wait()
            except TimeoutError:
                pass
            self._came.clear()
            self._note(heard=self._follows_a_leader())
            if self._claims:
                await self._look()
                await asyncio.sleep(ASK_AGAIN_S)
                if self._claims:
                    self._came.set()

    async def _look(self) -> None:
        """Decides the claims that can be decided now. The others stay for the next look."""
        self._note(heard=self._follows_a_leader() or await self._others_have_a_leader())
        for claim in list(self._claims.values()):
            if self._unheard_since_ms is None:
                self._decide(claim)
                self._tell_refused(claim)
            elif not await self._is_confirmed(claim):
                self._decide(claim)
                self._tell_unconfirmed(claim)
            elif self._follows_a_leader():
                self._note(heard=True)  # while it was asked
            elif self._has_waited(claim):
                self._claims.clear()
                self._believed(claim.node, claim.recovery)
                return

    # --- a quorum -----------------------------------------------------------------------------------------

    def _follows_a_leader(self) -> bool:
        """Returns True when a leader is heard. It has a quorum: without one it steps down, and followers forget
        it.
        """
        return self._driver.is_member and bool(self._driver.standing.leader)

    async def _others_have_a_leader(self) -> bool:
        """Returns True when a voter of this cluster and recovery says that it has a leader."""
        found = self._directory.voters(given_up=True)
        voters = [seen for seen in found if seen.member.node != self._me][:MAX_ASKED]
        answers = await asyncio.gather(*(self._has_a_leader(seen.metadata.peer_address) for seen in voters))
        return any(answers)

    async def _has_a_leader(self, address: str) -> bool:
        try:
            return (await ask.call(self._peers, address, AskPosition(), timeout_s=ASK_TIMEOUT_S)).led
        except OrionError:
            return False

    def _note(self, *, heard: bool) -> None:
        if heard:
            self._heard_one, self._unheard_since_ms = True, None
        elif self._unheard_since_ms is None:
            self._unheard_since_ms = self._clock.now_ms()

    # --- a claim ------------------------------------------------------------------------------------------

    async def _is_confirmed(self, claim: Claim) -> bool:
        try:
            who = await self._peers.who(claim.address, timeout_s=ASK_TIMEOUT_S)
        except Unavailable:
            return False
        here = self._directory
        said = (who.node, who.cluster, who.recovery) == (claim.node, here.cluster, claim.recovery)
        return said and is_newer(claim.recovery, here.recovery)

    def _has_waited(self, claim: Claim) -> bool:
        """Returns True once a quorum was missing for long enough; a shorter time may be one between two leaders. A
        member that starts and meets a claim from a node that it knows does not wait, or two members that the
        recovery left behind would elect one of themselves.
        """
        known = self._driver.view.node(claim.node)
        at_its_place = known is not None and known.peer_address == claim.address
        if self._driver.is_member and not self._heard_one and at_its_place:
            return True
        since_ms = self._unheard_since_ms
        return since_ms is not None and self._clock.now_ms() - since_ms >= PATIENCE_MS

    def _tell_refused(self, claim: Claim) -> None:
        if self._told.is_due(claim, asyncio.get_running_loop().time()):
            log.error(
                "%s (at %s) says that the cluster was recovered from a lost quorum without this node. That is not "
                "believed, for a majority of this one is heard. If it was, they are two clusters now: stop %s, "
                "move its data directory away and start it again with --join",
                claim.node,
                claim.address,
                claim.node,
            )

    def _tell_unconfirmed(self, claim: Claim) -> None:
        if self._told.is_due(claim, asyncio.get_running_loop().time()):
            log.warning(
                "%s is said to have gone through a recovery of the cluster without this node, and its peer port "
                "(%s) does not confirm it: not believed",
                claim.node,
                claim.address,
            )
