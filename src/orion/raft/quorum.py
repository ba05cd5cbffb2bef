"""Majorities of one set of voters, and of both sets of a joint configuration (sections 5.3 and 6)."""

import enum
from collections.abc import Mapping

from orion.raft.messages import ConfState

UNBOUNDED = (1 << 64) - 1  # the index that an empty set of voters has agreed to: it holds nothing back


class Vote(enum.Enum):
    PENDING = enum.auto()
    WON = enum.auto()
    LOST = enum.auto()


def majority_index(indexes: list[int]) -> int:
    """The largest index that a majority has reached, given one index for each voter."""
    if not indexes:
        return UNBOUNDED
    return sorted(indexes)[(len(indexes) - 1) // 2]


def joint_index(conf: ConfState, reached: Mapping[int, int]) -> int:
    """The largest index that a majority of `voters` has reached, and one of `voters_outgoing` while joint.

    A voter missing in `reached` has reached nothing.
    """
    index = majority_index([reached.get(voter, 0) for voter in conf.voters])
    if not conf.voters_outgoing:
        return index
    return min(index, majority_index([reached.get(voter, 0) for voter in conf.voters_outgoing]))


def majority_vote(voters: tuple[int, ...], votes: Mapping[int, bool]) -> Vote:
    """The outcome of one set of voters. An empty set has agreed, so that joint and simple configurations are
    counted in one way.
    """
    if not voters:
        return Vote.WON
    granted = sum(1 for voter in voters if votes.get(voter) is True)
    refused = sum(1 for voter in voters if votes.get(voter) is False)
    needed = len(voters) // 2 + 1
    if granted >= needed:
        return Vote.WON
    if len(voters) - refused < needed:
        return Vote.LOST
    return Vote.PENDING


def joint_vote(conf: ConfState, votes: Mapping[int, bool]) -> Vote:
    """Won when both majorities grant, lost when either can't any more."""
    if not conf.voters:
        return Vote.LOST  # a member without a configuration elects nobody
    incoming = majority_vote(conf.voters, votes)
    outgoing = majority_vote(conf.voters_outgoing, votes)
    if incoming is outgoing:
        return incoming
    if Vote.LOST in (incoming, outgoing):
        return Vote.LOST
    return Vote.PENDING
