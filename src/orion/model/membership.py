"""Values that gossip tells of a node, as every floor names them."""

import enum


class MemberState(enum.StrEnum):
    """A member's state, as in SWIM and memberlist."""

    ALIVE = "alive"
    SUSPECT = "suspect"
    DEAD = "dead"
    LEFT = "left"


class NodeRole(enum.StrEnum):
    """A node's part in Raft, by its applied configuration."""

    LEADER = "leader"
    VOTER = "voter"
    LEARNER = "learner"
    WORKER = "worker"  # no member of the Raft group


PRESENT = frozenset((MemberState.ALIVE, MemberState.SUSPECT))  # gossip has not given them up
GONE = frozenset((MemberState.DEAD, MemberState.LEFT))
