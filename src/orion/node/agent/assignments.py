"""Where a node's agent learns its work: from the state of this node while it follows the cluster's log, else, on a
worker, as a stream from a voter, and from another voter when that one dies.
"""

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncGenerator, Callable

from msgspec.structs import replace

from orion.model.claims import ClaimedVolume
from orion.model.errors import OrionError, Unavailable
from orion.model.health import UnhealthyAction
from orion.model.ids import AllocationId, JobName, NodeId, RaftId
from orion.model.levels import FIRST
from orion.model.network import DEFAULT_NUMBER, ClusterNetwork, NamedNetwork, NetworkPeer
from orion.model.node import Node, NodeStatus, address_parts
from orion.node.agent.assignment_stream import (
    Assignment,
    AssignmentReceiver,
    AssignmentSender,
    AssignmentSet,
    WatchAssignments,
)
from orion.node.consensus.driver import RaftDriver
from orion.node.routing.forward import Forward
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import ALIVE, SIGN_OF_LIFE_S, NotUnderstood, SignOfLife
from orion.node.runtime.deadline import deadline
from orion.ports.peers import Principal
from orion.state.tables.claims import Claims
from orion.state.tables.configs import Configs
from orion.state.tables.networks import Networks
from orion.state.tables.reconnect import may_return
from orion.state.tables.subnets import Subnets, fits
from orion.state.tables.volumes import Volumes
from orion.state.view import View

log = logging.getLogger(__name__)

# Of one node's work: installs, work index, facts epoch, level, the network's subnets and its range.
Version = tuple[int, int, int, int, int, object]

LEADERLESS_LOOKS = 2  # so many signs of life without a leader: an election takes less, what is shown may be old
NO_VOTER_AGAIN_S = 0.25
REFUSED_AGAIN_S = 2.0  # what does not pass by itself
WARN_EVERY_S = 10.0
CONFIRM_TIMEOUT_S = 3.0


def assignments_of(
    view: View, index: int, node: NodeId, raft: RaftId, network: ClusterNetwork | None = None
) -> AssignmentSet:
    """All that state says to one node's agent. `network`: as `network_of` gives it."""
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
        drains=_drains(view, assigned),
        network=networks_on(network, node),
        claims=_claims(view, node),
        may_return=_may_return(view, known, assigned) if known.status is NodeStatus.DOWN else (),
    )


def _may_return(view: View, down: Node, assigned: tuple[Assignment, ...]) -> tuple[AllocationId, ...]:
    held = ((each.allocation, view.job_record(each.allocation.job)) for each in assigned)
    return tuple(
        allocation.id
        for allocation, record in held
        if record is not None and may_return(record, allocation, down.changed_at_ms)
    )


def _claims(view: View, node: NodeId) -> tuple[ClaimedVolume, ...]:
    rows = view.of(Volumes).rows  # none is removed while there is a claim to it
    return tuple(ClaimedVolume(each, rows[each.volume]) for each in view.of(Claims).of_node(node))


def network_of(view: View) -> ClusterNetwork | None:
    """The cluster's networks, all of them; None where there is none."""
    addresses = view.of(Configs).network
    if addresses is None:
        return None
    peers: dict[int, list[NetworkPeer]] = {}
    for row in view.of(Subnets).rows.values():
        if fits(row, addresses) and (node := view.node(row.node)) is not None:
            underlay = address_parts(node.peer_address)[0]
            peers.setdefault(row.network, []).append(NetworkPeer(row.node, row.first, underlay))
    named = sorted(view.of(Networks).rows.values(), key=lambda row: row.number)
    return ClusterNetwork(
        addresses,
        tuple(peers.get(DEFAULT_NUMBER, ())),
        tuple(
            NamedNetwork(row.name, row.number, row.internal, tuple(peers[row.number]))
            for row in named
            if row.number in peers
        ),
    )


def networks_on(network: ClusterNetwork | None, node: NodeId) -> ClusterNetwork | None:
    """Returns what a node is told: of networks that were made by name, those that it has a part in."""
    if network is None or not network.named:
        return network
    mine = tuple(each for each in network.named if any(peer.node == node for peer in each.peers))
    return network if mine == network.named else replace(network, named=mine)


def _kept(view: View, assigned: tuple[Assignment, ...]) -> tuple[AllocationId, ...]:
    """Those of stopped jobs; and of the others the newest that were replaced, as many as the setting says."""
    unwanted = [a.allocation for a in assigned if not a.allocation.wanted]
    left: dict[tuple[JobName, int], int] = {}
    kept = []
    for allocation in sorted(unwanted, key=lambda a: (-a.created_at_ms, a.id)) if unwanted else ():
        job = view.job(allocation.job)
        if job is None or job.stopping:
            continue
        slot = (allocation.job, allocation.index)
        left[slot] = left[slot] - 1 if slot in left else view.of(Configs).kept_logs - 1
        if job.stopped or left[slot] >= 0:
            kept.append(allocation.id)
    return tuple(kept)


def _drains(view: View, assigned: tuple[Assignment, ...]) -> tuple[AllocationId, ...]:
    """Nobody takes over from a task whose job ends as a whole. Of wanted ones it is those that a failed check may
    end: each node decides that by itself.
    """
    return tuple(each.allocation.id for each in assigned if _is_taken_over(view, each))


def _is_taken_over(view: View, each: Assignment) -> bool:
    allocation, check = each.allocation, each.spec.health
    if allocation.terminal or (job := view.job(allocation.job)) is None or not job.wanted:
        return False
    if not allocation.wanted:
        return job.count > 0
    return job.count > 1 and check is not None and check.action is not UnhealthyAction.NONE


def same_assignments(one: AssignmentSet, other: AssignmentSet) -> bool:
    """Equal but for the index."""
    return _told(one) == _told(other)


def _told(work: AssignmentSet) -> tuple[object, ...]:
    told = work.registered, work.assigned, work.neighbours, work.kept, work.drains, work.level
    return *told, work.network, work.claims, work.may_return


class AssignmentWatcher:
    """Runs for the node's life; `latest` is None until the cluster has said something, and then `heard` is set."""

    def __init__(
        self, *, me: NodeId, raft: RaftId, driver: RaftDriver, forward: Forward, registry: Registry
    ) -> None:
        self._me = me
        self._raft = raft
        self._driver = driver
        self._forward = forward
        self._fresh = False
        self._warned_at_s = -math.inf
        self.latest: AssignmentSet | None = None
        self.heard = asyncio.Event()
        self.changed = asyncio.Event()
        self.on_change: list[Callable[[], None]] = []  # for others than the agent
        self.network_changed = asyncio.Event()
        self._network: tuple[object, ClusterNetwork | None] = (None, None)  # as of what, and what it was then
        registry.answer_stream(WatchAssignments, self.serve)

    async def run(self) -> None:
        while True:
            if self._driver.is_member:
                await self._follow_state()
            else:
                await self._follow_a_voter()

    @property
    def level(self) -> int:
        """The cluster's level, as far as this node knows: never above it."""
        return max(self._driver.view.level, self.latest.level if self.latest is not None else FIRST)

    def _offer(self, work: AssignmentSet) -> None:
        """Never go back: another voter may be behind the one before."""
        if self.latest is None or work.index >= self.latest.index:
            before, self.latest = self.latest, work
            self.heard.set()
            if before is None or not same_assignments(before, work):
                self.changed.set()
                for told in self.on_change:
                    told()
            if before is None or (before.registered, before.network) != (work.registered, work.network):
                self.network_changed.set()

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
            self._offer(
                assignments_of(driver.view, driver.applied_index, self._me, self._raft, self._cluster_network())
            )
            await self._until_past(version, self._me)

    async def _follow_a_voter(self) -> None:
        again_s, request = NO_VOTER_AGAIN_S, WatchAssignments(self._me, self._raft)
        try:
            async with contextlib.aclosing(self._forward.from_voters(request, _receiver)) as sets:
                async for work in sets:
                    if self._driver.is_member:
                        return
                    if not isinstance(work, SignOfLife):
                        self._offer(work)
        except OrionError as error:
            log.debug("the work stream ended: %s", error.detail)
            if not _passes(error):
                self._warn(error)
                again_s = REFUSED_AGAIN_S
        if not self._driver.is_member:
            await asyncio.sleep(again_s)

    def _warn(self, error: OrionError) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._warned_at_s >= WARN_EVERY_S:
            self._warned_at_s = now
            log.warning("this node does not get its work, so it may start and stop nothing: %s", error.detail)

    async def serve(self, request: WatchAssignments, _: Principal) -> AsyncGenerator[bytes | SignOfLife, None]:
        """A voter's side of the stream. Raises Unavailable when this node does not follow the log itself."""
        driver = self._driver
        async with deadline(CONFIRM_TIMEOUT_S, "no quorum answers"):
            await driver.read_barrier()
        sender = AssignmentSender()
        looks = 0  # in a row, without a leader
        while driver.is_member:
            version = self._version(request.node)
            for chunk in sender.chunks(
                assignments_of(
                    driver.view, driver.applied_index, request.node, request.raft_id, self._cluster_network()
                )
            ):
                yield chunk
                await asyncio.sleep(0)  # heartbeats go out between
            while not await self._is_past(version, request.node):
                looks = 0 if driver.standing.leader else looks + 1
                if looks == LEADERLESS_LOOKS:
                    raise Unavailable("this voter is cut off from its leader")
                yield ALIVE
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

    def _cluster_network(self) -> ClusterNetwork | None:
        """Worked out once for all nodes that are told, and for all their work."""
        view = self._driver.view
        tables = view.of(Subnets).version, view.of(Networks).version
        as_of = self._driver.installs, view.facts_epoch, tables, view.of(Configs).network
        if self._network[0] != as_of:
            self._network = as_of, network_of(view)
        return self._network[1]

    def _version(self, node: NodeId) -> Version:
        view = self._driver.view
        network = view.of(Subnets).version, view.of(Configs).network
        return self._driver.installs, view.work_index(node), view.facts_epoch, view.level, *network


def _receiver(address: str) -> Callable[[bytes], AssignmentSet | SignOfLife]:
    receiver = AssignmentReceiver(address)
    return lambda item: receiver.take(item) or ALIVE


def _passes(error: OrionError) -> bool:
    """Returns whether it is the way of nodes that come and go: another voter will do."""
    return isinstance(error, Unavailable) and not isinstance(error, NotUnderstood)
