"""A duty: says which nodes are ready, left or down, by what gossip and their peer ports tell of them."""

from orion.model.ids import NodeId, RaftId
from orion.model.membership import MemberState
from orion.model.node import Node, NodeStatus
from orion.node.consensus.driver import RaftDriver
from orion.node.leader.cluster_watch import ClusterWatch
from orion.node.leader.proposer import Proposer
from orion.node.membership.directory import Directory
from orion.node.membership.liveness import Liveness
from orion.ports.clock import Clock
from orion.reconcile.nodes import Sighting, Verdict, verdicts
from orion.state.tables.node_status import SetNodeStatus


class NodeHealth:
    """A new leader starts all graces anew."""

    name = "node-health"

    def __init__(
        self,
        *,
        stop_grace_ms: int,
        clock: Clock,
        driver: RaftDriver,
        directory: Directory,
        liveness: Liveness,
        cluster: ClusterWatch,
        proposer: Proposer,
    ) -> None:
        self._stop_grace_ms = stop_grace_ms
        self._clock = clock
        self._driver = driver
        self._directory = directory
        self._liveness = liveness
        self._cluster = cluster
        self._proposer = proposer
        self._since_ms: dict[NodeId, int] = {}
        self._status: dict[NodeId, tuple[RaftId, NodeStatus]] = {}
        self._shadowed: set[NodeId] = set()  # gossip shows the end of another data directory under their name
        self._past_runs: dict[NodeId, int] = {}  # gossip's epoch of a run that is over, until it shows another

    async def run(self, _term: int, /) -> None:
        for known in (self._since_ms, self._status, self._past_runs):
            known.clear()
        self._shadowed.clear()
        while True:
            self._note_statuses()
            found = verdicts(self._driver.view.nodes(), self._sightings(), self._since_ms, self._clock.now_ms())
            if found:
                await self._commit(found[0])  # the others may have recovered by the time it is committed
            else:
                await self._cluster.changed()

    def _note_statuses(self) -> None:
        """Another data directory under a name is another node: nothing of the former one counts for it."""
        now = self._clock.now_ms()
        nodes = self._driver.view.nodes()
        for node in nodes:
            self._note_shadow(node, now)
            raft, former = self._status.get(node.id, (node.raft_id, None))
            if raft == node.raft_id and former is node.status:
                continue
            self._status[node.id] = node.raft_id, node.status
            self._since_ms[node.id] = now
            seen = self._directory.seen(node.id)
            came_back = former and raft == node.raft_id and node.status is NodeStatus.READY
            if came_back and seen and seen.member.state is not MemberState.ALIVE:
                self._past_runs[node.id] = seen.member.epoch
        for gone in self._status.keys() - {node.id for node in nodes}:
            for known in (self._status, self._since_ms, self._past_runs):
                known.pop(gone, None)
            self._shadowed.discard(gone)

    def _note_shadow(self, node: Node, now: int) -> None:
        """The node that has a name may live on unseen while another is dead under it, so it is given time to show
        itself.
        """
        seen = self._directory.seen(node.id)
        shadowed = seen is not None and Sighting(seen.member.state, seen.metadata.raft_id).shows_end_of_other(
            node.raft_id
        )
        if shadowed and node.id not in self._shadowed:
            self._shadowed.add(node.id)
            self._since_ms[node.id] = now
        elif not shadowed:
            self._shadowed.discard(node.id)

    def _sightings(self) -> dict[NodeId, Sighting]:
        """A node that came back by its registration may be faster than gossip: that its former run has left or died
        says nothing about this one.
        """
        sightings = {}
        for seen in self._directory.all_seen():
            node, state = seen.member.node, seen.member.state
            if state is MemberState.ALIVE:
                self._past_runs.pop(node, None)
            elif self._past_runs.get(node) == seen.member.epoch:
                continue
            sightings[node] = Sighting(state, seen.metadata.raft_id, self._liveness.proof(node))
        for node in self._liveness.in_doubt():
            sightings.setdefault(node, Sighting(proof=self._liveness.proof(node)))
        return sightings

    async def _commit(self, verdict: Verdict) -> None:
        node = verdict.node
        grace_ms = self._stop_grace_ms if verdict.status is NodeStatus.LEFT else 0
        command = SetNodeStatus(
            self._clock.wall_ms(), node.id, node.raft_id, verdict.status, verdict.reason, grace_ms
        )
        await self._proposer.propose(command)
