"""Where a node's agent learns its work: from the state of this node while it follows the cluster's log, else, on a
worker, as a stream from a voter, and from another voter when that one dies.
"""

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncGenerator

from orion.model.errors import OrionError, Unavailable
from orion.model.ids import AllocationId, NodeId, RaftId
from orion.model.levels import FIRST
from orion.model.node import NodeStatus
from orion.node.consensus.driver import RaftDriver
from orion.node.membership.directory import Directory
from orion.node.rpc.chunks import AssignmentReceiver, AssignmentSender
from orion.node.rpc.requests import (
    Assignment,
    AssignmentSet,
    Confirm,
    Confirmed,
    NotUnderstood,
    WatchAssignments,
    encode_request,
)
from orion.node.runtime.deadline import deadline
from orion.ports.peers import Peers
from orion.state.view import View

log = logging.getLogger(__name__)

Version = tuple[int, int, int]  # of one node's work: installs, work index, facts epoch

SIGN_OF_LIFE_S = 1.0  # a voter sends an empty item this often when there is nothing new
LEADERLESS_LOOKS = 2  # so many signs of life without a leader: an election takes less, what is shown may be old
STREAM_SILENCE_S = 3.0  # so this long a silence means that it is gone
NO_VOTER_AGAIN_S = 0.25
REFUSED_AGAIN_S = 2.0  # what does not pass by itself
WARN_EVERY_S = 10.0
CONFIRM_TIMEOUT_S = 3.0


def assignments_of(view: View, index: int, node: NodeId, raft: RaftId) -> AssignmentSet:
    """All that state says to one node's agent."""
    known = view.node(node)
    if known is None or known.raft_id != raft:
        return AssignmentSet(index, view.cluster, registered=False, assigned=(), neighbours=(), level=view.level)
    assigned = tuple(
        Assignment(a, spec)
        for a in view.allocations_of_node(node)
        if (spec := view.spec(a.job, a.job_version)) is not None
    )
    neighbours = tuple(
        other.id
        for other in view.nodes()
        if other.engine == known.engine and other.id != node and other.status is not NodeStatus.DOWN
    )
    return AssignmentSet(
        index,
        view.cluster,
        registered=True,
        assigned=assigned,
        neighbours=neighbours,
        node=known,
        kept=_kept(view, assigned),
        level=view.level,
    )


def _kept(view: View, assigned: tuple[Assignment, ...]) -> tuple[AllocationId, ...]:
    unwanted = [a.allocation for a in assigned if not a.allocation.wanted]
    return tuple(
        a.id for a in unwanted if (job := view.job(a.job)) is not None and job.stopped and not job.stopping
    )


def confirmed(view: View, request: Confirm) -> Confirmed:
    """The answer to Confirm from applied state; the caller has made sure that it is fresh."""
    wanted = tuple(
        a
        for a in request.allocations
        if (found := view.allocation(a)) is not None and found.wanted and not found.terminal
    )
    gone = tuple(n for n in request.nodes if (known := view.node(n)) is None or known.status is NodeStatus.DOWN)
    return Confirmed(wanted, gone)


def same_assignments(one: AssignmentSet, other: AssignmentSet) -> bool:
    """Equal but for the index."""
    return (one.registered, one.assigned, one.neighbours, one.kept) == (
        other.registered,
        other.assigned,
        other.neighbours,
        other.kept,
    )


class AssignmentWatcher:
    """Runs for the node's life; `latest` is None until the cluster has said something."""

    def __init__(self, *, me: NodeId, raft: RaftId, driver: RaftDriver, directory: Directory, peers: Peers) -> None:
        self._me = me
        self._raft = raft
        self._driver = driver
        self._directory = directory
        self._peers = peers
        self._fresh = False
        self._warned_at_s = -math.inf
        self.latest: AssignmentSet | None = None
        self.changed = asyncio.Event()

    async def run(self) -> None:
        while True:
            if self._driver.is_member:
                await self._follow_state()
            else:
                await self._follow_a_voter()

    @property
    def level(self) -> int:
        """The cluster's level, as far as this node knows: never above it."""
        return self.latest.level if self.latest is not None else FIRST

    def _offer(self, work: AssignmentSet) -> None:
        """Never go back: another voter may be behind the one before."""
        if self.latest is None or work.index >= self.latest.index:
            before, self.latest = self.latest, work
            if before is None or not same_assignments(before, work):
                self.changed.set()

    async def _follow_state(self) -> None:
        driver = self._driver
        while driver.is_member and not self._fresh:
            # After a restart the log replays the past; acting on it could start what has long been stopped.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CONFIRM_TIMEOUT_S):
                    await driver.read_barrier()
                self._fresh = True
        while driver.is_member:
            version = self._version(self._me)
            self._offer(assignments_of(driver.view, driver.applied_index, self._me, self._raft))
            await self._until_past(version, self._me)

    async def _follow_a_voter(self) -> None:
        again_s = NO_VOTER_AGAIN_S
        for seen in self._directory.voters(given_up=True):
            if seen.member.node != self._me and not await self._follow(seen.facts.peer_address):
                again_s = REFUSED_AGAIN_S
            if self._driver.is_member:
                return
        await asyncio.sleep(again_s)

    async def _follow(self, address: str) -> bool:
        """Until the stream ends. False: it did so for a reason that does not pass by itself."""
        stream = self._peers.stream(address, encode_request(WatchAssignments(self._me, self._raft)))
        receiver = AssignmentReceiver(address)
        try:
            while not self._driver.is_member:
                async with asyncio.timeout(STREAM_SILENCE_S):
                    item = await anext(stream, None)
                if item is None:
                    break
                if item and (work := receiver.take(item)) is not None:
                    self._offer(work)
        except (OrionError, TimeoutError) as error:
            log.debug("the work stream from %s ended: %s", address, error)
            if isinstance(error, OrionError) and not _passes(error):
                self._warn(address, error)
                return False
        finally:
            await stream.aclose()
        return True

    def _warn(self, address: str, error: OrionError) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._warned_at_s >= WARN_EVERY_S:
            self._warned_at_s = now
            words = "this node does not get its work from %s, so it may start and stop nothing: %s"
            log.warning(words, address, error.detail)

    async def serve(self, request: WatchAssignments) -> AsyncGenerator[bytes, None]:
        """A voter's side of the stream. Raises Unavailable when this node does not follow the log itself."""
        driver = self._driver
        async with deadline(CONFIRM_TIMEOUT_S, "no quorum answers"):
            await driver.read_barrier()
        sender = AssignmentSender()
        looks = 0  # in a row, without a leader
        while driver.is_member:
            version = self._version(request.node)
            for chunk in sender.chunks(
                assignments_of(driver.view, driver.applied_index, request.node, request.raft_id)
            ):
                yield chunk
                await asyncio.sleep(0)  # heartbeats go out between
            while not await self._is_past(version, request.node):
                looks = 0 if driver.standing.leader else looks + 1
                if looks == LEADERLESS_LOOKS:
                    raise Unavailable("this voter is cut off from its leader")
                yield b""
        raise Unavailable("this node is no longer a Raft member")

    async def _until_past(self, version: Version, node: NodeId) -> None:
        """Returns when the node's work may be another than at `version`. Cheap for a voter that serves hundreds."""
        while self._version(node) == version and self._driver.is_member:
            await self._driver.watch.changed()

    async def _is_past(self, version: Version, node: NodeId) -> bool:
        """False after SIGN_OF_LIFE_S without a change."""
        try:
            async with asyncio.timeout(SIGN_OF_LIFE_S):
                await self._until_past(version, node)
        except TimeoutError:
            return False
        return True

    def _version(self, node: NodeId) -> Version:
        view = self._driver.view
        return self._driver.installs, view.work_index(node), view.facts_epoch


def _passes(error: OrionError) -> bool:
    """Whether it is the way of nodes that come and go: another voter will do."""
    return isinstance(error, Unavailable) and not isinstance(error, NotUnderstood)
