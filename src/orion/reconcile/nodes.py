"""The leader's verdicts about nodes, from gossip's view and the replicated one.

A node is down by two proofs. Either gossip suspects it, and its peer port refuses connections or its host's kernel
answers none of several. Or gossip calls it dead, or has never shown it, and no process answers at its peer port. A
node whose process answers lives, whatever gossip says: a firewall may drop gossip's datagrams alone. After a
planned stop a node keeps its work for its grace.
"""

from collections.abc import Iterable, Mapping
from enum import Enum

import msgspec

from orion.model.ids import NodeId, RaftId
from orion.model.membership import GONE, MemberState
from orion.model.node import Node, NodeStatus

# A planned stop leaves containers running. The reason tells a person who finds a task running twice why.
_GONE_TOO_LONG = (
    "did not return within {} s of its planned stop; what it left running there may run on until it is back"
)
UNSEEN_GRACE_MS = 10_000  # for a registered node that gossip has never shown to this leader


class Proof(Enum):
    """The outcome of probing the peer port of a node that gossip does not call alive."""

    REFUSED = "refused"  # nobody listens there
    SILENT = "silent"  # its host's kernel does not answer, and others do
    MUTE = "mute"  # no process answers; why, is not clear
    ANSWERS = "answers"


class Sighting(msgspec.Struct, frozen=True):
    """A node as gossip and its peer port show it. `state` is gossip's, None when gossip does not know the node.
    `proof` is None until the probe is over.
    """

    state: MemberState | None = None
    raft_id: RaftId = RaftId(0)
    proof: Proof | None = None

    def shows_end_of_other(self, raft: RaftId) -> bool:
        """True when gossip's entry for this name was taken by another data directory, which is gone: it says
        nothing about this node.
        """
        return self.state in GONE and self.raft_id != raft


class Verdict(msgspec.Struct, frozen=True):
    node: Node
    status: NodeStatus
    reason: str


def verdicts(
    nodes: Iterable[Node],
    sightings: Mapping[NodeId, Sighting],
    since_ms: Mapping[NodeId, int],
    now_ms: int,
) -> list[Verdict]:
    """Returns the verdicts that the leader should commit now. `since_ms` is the monotonic time at which this leader
    first saw the node in its present status, and gossip's entry for its name taken by another or not. Graces count
    from there: a new leader starts them anew rather than trust another clock.
    """
    found = []
    for node in nodes:
        seen = sightings.get(node.id, Sighting())
        if seen.shows_end_of_other(node.raft_id):
            # No registration will follow: this node counts as one that gossip does not show.
            seen = Sighting(proof=seen.proof)
        waited_ms = now_ms - since_ms.get(node.id, now_ms)
        if verdict := _verdict(node, seen, waited_ms):
            found.append(verdict)
    return found


def _verdict(node: Node, seen: Sighting, waited_ms: int) -> Verdict | None:
    same_run = seen.state is None or seen.raft_id == node.raft_id
    alive = seen.state is MemberState.ALIVE and same_run
    if node.status is NodeStatus.DOWN:
        return Verdict(node, NodeStatus.READY, "answers again") if alive else None
    if node.status is NodeStatus.LEFT:
        # Back by its own registration only: "alive" may be the last word of the process that is leaving.
        if waited_ms >= node.grace_ms:
            return Verdict(node, NodeStatus.DOWN, _GONE_TOO_LONG.format(node.grace_ms // 1000))
        return None
    if not same_run:
        return None  # another data directory under this id; registration decides
    unanswered = seen.proof not in (None, Proof.ANSWERS)
    if seen.state is MemberState.DEAD and unanswered:
        return Verdict(node, NodeStatus.DOWN, "gossip declares it dead and its peer port does not answer")
    if seen.state is MemberState.SUSPECT and seen.proof is Proof.REFUSED:
        return Verdict(node, NodeStatus.DOWN, "gossip suspects it and its peer port refuses connections")
    if seen.state is MemberState.SUSPECT and seen.proof is Proof.SILENT:
        return Verdict(node, NodeStatus.DOWN, "gossip suspects it and its host does not answer")
    if seen.state is MemberState.LEFT:
        return Verdict(node, NodeStatus.LEFT, "left the cluster")
    if seen.state is None and unanswered and waited_ms >= UNSEEN_GRACE_MS:
        return Verdict(node, NodeStatus.DOWN, f"not seen for {waited_ms // 1000} s")
    return None
