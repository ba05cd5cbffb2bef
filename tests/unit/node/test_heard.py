"""Whom the leader hears, and whether it hears enough to know that a silence is not its own."""

from types import SimpleNamespace

import pytest

from orion.model.ids import RaftId
from orion.node.leader.heard import HEARD_HEARTBEATS, Heard
from orion.process.config import Tuning
from orion.raft.interface import FollowerStatus
from orion.raft.messages import ConfState

TUNING = Tuning()
LATE = HEARD_HEARTBEATS * TUNING.heartbeat_ms + 1
ME = 1


def heard(voters, unheard_ms, outgoing=()):
    """As the core of member 1 says: member -> for how long it was not heard."""
    followers = {RaftId(member): FollowerStatus(0, "replicate", ms) for member, ms in unheard_ms.items()}
    status = SimpleNamespace(id=ME, followers=followers, conf=ConfState(voters=voters, voters_outgoing=outgoing))
    return Heard(SimpleNamespace(raft=SimpleNamespace(status=lambda: status)), TUNING)


@pytest.mark.parametrize(
    ("unheard_ms", "hears"), [(0, True), (TUNING.election_ms, True), (TUNING.election_ms + 1, False)]
)
def test_a_member_is_heard_for_as_long_as_gossip_may_take_to_give_it_up(unheard_ms, hears):
    assert heard((1, 2), {2: unheard_ms}).hears(RaftId(2)) is hears


def test_who_is_no_member_is_not_heard():
    assert not heard((1, 2), {2: 0}).hears(RaftId(9))


@pytest.mark.parametrize(
    ("voters", "unheard_ms", "expected"),
    [
        ((1, 2, 3), {2: LATE, 3: 0}, True),
        ((1, 2, 3), {2: LATE, 3: LATE}, False),  # this node may be the one that is cut off
        ((1, 2, 3), {2: 0, 3: LATE}, False),  # a quorum, but of those two alone
        ((1, 2, 3, 4, 5), {2: LATE, 3: 0, 4: LATE, 5: LATE}, False),
        ((1, 2, 3, 4, 5), {2: LATE, 3: 0, 4: 0, 5: LATE}, True),
        ((1,), {2: LATE}, False),  # a sole voter is a quorum by itself
        ((1,), {2: LATE, 3: 0}, True),
        ((1, 2), {2: LATE}, False),
    ],
)
def test_a_silence_is_not_the_leader_s_own_if_it_hears_a_quorum_and_somebody_else(voters, unheard_ms, expected):
    assert heard(voters, unheard_ms).hears_others(RaftId(2)) is expected


def test_a_joint_configuration_needs_a_quorum_of_both():
    assert not heard((1, 3, 4), {2: LATE, 3: 0, 4: 0, 5: LATE, 6: LATE}, (1, 5, 6)).hears_others(RaftId(2))
