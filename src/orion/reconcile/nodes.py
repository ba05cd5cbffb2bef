"""Which nodes are up: gossip's view against the replicated one -> the leader's verdicts.

A node is dead by two proofs. Gossip suspects it, and its peer port refuses connections or its host's kernel answers
none of several; or gossip gives it up, or has never shown it, and no process answers at its peer port. Where one
does, it lives, whatever gossip says: gossip's datagrams may not get through where all else does. A planned stop
keeps its work for its grace.
"""

from collections.abc import Iterable, Mapping
from enum import Enum

import msgspec

from orion.model.ids import NodeId, RaftId
from orion.model.node import Node, NodeStatus

# A stop leaves containers running: whoever meets two of them is to know why.
_GONE_TOO_LONG = (
    "did not return within {} s of its planned stop; what it left running there may run on until it is back"
)
UNSEEN_GRACE_MS = 10_000  # a registered node that gossip has never shown to this leader: wait so long


class Proof(Enum):
    """What comes of asking at the peer port of a node that gossip does not call alive."""

    REFUSED = "refused"  # nobody listens there
    SILENT = "silent"  # its host's kernel does not answer, and others do
    MUTE = "mute"  # no process answers; why, is not clear
    ANSWERS = "answers"


class Sighting(msgspec.Struct, frozen=True):
    """What gossip and the peer port say of a node: `state` as gossip's, "" when gossip does not know it; `proof`
    None while it has not been asked to the end.
    """

    state: str = ""
    raft_id: RaftId = RaftId(0)
    proof: Proof | None = None

    def shows_end_of_other(self, raft: RaftId) -> bool:
        """Gossip's entry for this name was taken by another data directory, which is gone: it shows nobody."""
        return self.state in ("dead", "left") and self.raft_id != raft


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
    """What the leader should commit now. `since_ms`: when this leader first saw the node in its present status, and
    gossip's entry for its name taken by another or not (monotonic). Graces count from there: a new leader starts
    them anew rather than trust another clock.
    """
    found = []
    for node in nodes:
        seen = sightings.get(node.id, Sighting())
        if seen.shows_end_of_other(node.raft_id):
            # Nobody will register: this node counts as one that gossip does not show.
            seen = Sighting(proof=seen.proof)
        waited_ms = now_ms - since_ms.get(node.id, now_ms)
        if verdict := _verdict(node, seen, waited_ms):
            found.append(verdict)
    return found


def _verdict(node: Node, seen: Sighting, waited_ms: int) -> Verdict | None:
    same_run = not seen.state or seen.raft_id == node.raft_id
    alive = seen.state == "alive" and same_run
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
    if seen.state == "dead" and unanswered:
        return Verdict(node, NodeStatus.DOWN, "gossip declares it dead and its peer port does not answer")
    if seen.state == "suspect" and seen.proof is Proof.REFUSED:
        return Verdict(node, NodeStatus.DOWN, "gossip suspects it and its peer port refuses connections")
    if seen.state == "suspect" and seen.proof is Proof.SILENT:
        return Verdict(node, NodeStatus.DOWN, "gossip suspects it and its host does not answer")
    if seen.state == "left":
        return Verdict(node, NodeStatus.LEFT, "left the cluster")
    if not seen.state and unanswered and waited_ms >= UNSEEN_GRACE_MS:
        return Verdict(node, NodeStatus.DOWN, f"not seen for {waited_ms // 1000} s")
    return None
