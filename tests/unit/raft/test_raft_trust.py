"""What one message can do to a member, whoever sends it: senders are taken at their word nowhere else."""

import pytest
from raft_kit import Solo, disk_with, entries, of_kind

from orion.raft.confchange import encode_change
from orion.raft.core import Raft
from orion.raft.interface import Role
from orion.raft.log import LogBroken
from orion.raft.messages import (
    ConfChange,
    ConfState,
    Entry,
    EntryKind,
    MsgApp,
    MsgAppResp,
    MsgHeartbeat,
    MsgHeartbeatResp,
    MsgPreVote,
    MsgPreVoteResp,
    MsgReadIndex,
    MsgReadIndexResp,
    MsgSnap,
    MsgSnapStatus,
    MsgTimeoutNow,
    MsgVote,
    MsgVoteResp,
    SnapshotMeta,
)
from orion.raft.trust import MAX_TERM_LEAP, STRANGER_PATIENCE_ELECTIONS

STRANGER = 99
META = SnapshotMeta(50, 9, ConfState(voters=(1, STRANGER)))


def follower():
    """Member 1 of three, at term 5 with five entries, three of them committed; 2 leads and was just heard."""
    solo = Solo(disk_with(1, 1, 2, 5, 5, commit=3))
    solo.receive(MsgHeartbeat(2, 1, 5, 3))
    return solo


def leaderless():
    """The same, long after its leader was last heard."""
    solo = follower()
    solo.now += STRANGER_PATIENCE_ELECTIONS * solo.config.election_ms
    return solo


def standing(solo):
    raft: Raft = solo.raft
    return raft.role, raft.term, raft.leader, raft.commit, solo.log, solo.disk.hard_state


def from_a_leader(sender, term):
    app = MsgApp(sender, 1, term, 5, 5, tuple(entries(term, first=6)), 6)
    return [
        app,
        MsgHeartbeat(sender, 1, term, 10**9),
        MsgSnap(sender, 1, term, META),
        MsgTimeoutNow(sender, 1, term),
    ]


def all_kinds(sender, term):
    return [
        *from_a_leader(sender, term),
        MsgAppResp(sender, 1, term, 5),
        MsgVote(sender, 1, term, 50, term - 1),
        MsgVote(sender, 1, term, 50, term - 1, transfer=True),
        MsgVoteResp(sender, 1, term, False, 5, 5),
        MsgPreVoteResp(sender, 1, term, True, 5, 5),
        MsgPreVoteResp(sender, 1, term, False, 5, 5),
        MsgHeartbeatResp(sender, 1, term, 7),
        MsgSnapStatus(sender, 1, term, 5),
        MsgReadIndex(sender, 1, term, 7),
        MsgReadIndexResp(sender, 1, term, 7, 5),
    ]


def kinds(messages):
    return [f"{type(m).__name__}{'-transfer' if getattr(m, 'transfer', False) else ''}" for m in messages]


@pytest.mark.parametrize("term", [5, 6, 5 + MAX_TERM_LEAP], ids=["same-term", "newer", "far"])
@pytest.mark.parametrize("number", range(14), ids=kinds(all_kinds(2, 9)))
def test_a_stranger_changes_nothing_while_a_leader_is_heard(number, term):
    solo = follower()
    before = standing(solo)
    solo.receive(all_kinds(STRANGER, term)[number])
    assert standing(solo) == before


@pytest.mark.parametrize("number", range(14), ids=kinds(all_kinds(2, 9)))
def test_a_leader_is_not_moved_by_a_stranger(number):
    solo = Solo(disk_with(1, 1, commit=2))
    solo.elect(2)
    before = standing(solo)
    solo.receive(all_kinds(STRANGER, solo.raft.term + 1)[number])
    assert standing(solo) == before


@pytest.mark.parametrize("number", range(14), ids=kinds(all_kinds(2, 9)))
@pytest.mark.parametrize("sender", [2, STRANGER])
def test_nobody_moves_a_term_past_what_elections_can(number, sender):
    solo = leaderless()
    before = standing(solo)
    for term in (6 + MAX_TERM_LEAP, 1 << 62, (1 << 64) - 1):
        solo.receive(all_kinds(sender, term)[number])
        assert standing(solo) == before


def test_a_leader_that_this_member_does_not_know_is_followed_once_nobody_better_is_heard():
    """The cluster may have taken it in while this member was away."""
    solo = follower()
    new = MsgApp(STRANGER, 1, 6, 5, 5, tuple(entries(6, first=6)), 3)
    for _ in range(STRANGER_PATIENCE_ELECTIONS):
        assert solo.receive(new) == []
        assert solo.raft.term == 5
        solo.now += solo.config.election_ms
    answers = solo.receive(new)
    assert of_kind(answers, MsgAppResp) == [MsgAppResp(1, STRANGER, 6, 6)]
    assert (solo.raft.term, solo.raft.leader) == (6, STRANGER)
    assert solo.receive(MsgHeartbeat(STRANGER, 1, 6, 6)), "it is heard from then on"


def test_a_leader_that_steps_down_follows_no_stranger_at_once():
    solo = Solo(disk_with(1, 1, commit=2))
    solo.elect(2)
    term = solo.raft.term
    for _ in range(4 * STRANGER_PATIENCE_ELECTIONS):
        solo.tick(solo.config.election_ms // 2)
        solo.receive(MsgHeartbeatResp(2, 1, term))
    assert solo.raft.role is Role.LEADER
    solo.receive(MsgAppResp(2, 1, term + 1, 0))
    assert (solo.raft.role, solo.raft.term) == (Role.FOLLOWER, term + 1)
    solo.receive(MsgHeartbeat(STRANGER, 1, term + 2, 0))
    assert (solo.raft.term, solo.raft.leader) == (term + 1, 0)


def test_a_member_without_a_configuration_follows_any_leader_at_once():
    solo = Solo(disk_with(conf=ConfState()))
    assert solo.receive(MsgApp(STRANGER, 1, 3, 0, 0, tuple(entries(3)), 0))
    assert (solo.raft.term, solo.raft.leader) == (3, STRANGER)


def test_a_candidate_that_this_member_does_not_know_gets_its_vote_where_nobody_leads():
    solo = leaderless()
    assert of_kind(solo.receive(MsgVote(STRANGER, 1, 6, 5, 5)), MsgVoteResp)[0].reject is False


def test_a_member_named_by_a_change_in_the_log_is_no_stranger():
    """It can lead as soon as it has the change, and this member may not know yet that it is committed."""
    solo = follower()
    joins = Entry(5, 6, EntryKind.CONF_CHANGE, encode_change(ConfChange((1, 2, 3), (STRANGER,))))
    solo.receive(MsgApp(2, 1, 5, 5, 5, (joins,), 3))
    solo.receive(MsgHeartbeat(STRANGER, 1, 6, 6))
    assert (solo.raft.term, solo.raft.leader) == (6, STRANGER)


@pytest.mark.parametrize(
    "tell",
    [
        lambda sender: MsgVoteResp(sender, 1, 5, True, 5, 5),
        lambda sender: MsgPreVoteResp(sender, 1, 5, True, 5, 5),
        lambda sender: MsgVote(sender, 1, 6, 5, 5, False, 5, 5),
        lambda sender: MsgPreVote(sender, 1, 6, 5, 5, 5, 5),
        lambda sender: MsgVote(sender, 1, 4, 5, 3, False, 5, 5),
        lambda sender: MsgPreVote(sender, 1, 4, 5, 3, 5, 5),
    ],
)
def test_a_stranger_does_not_say_what_is_committed(tell):
    solo = leaderless()
    solo.receive(tell(STRANGER))
    assert solo.raft.commit == 3
    solo.receive(tell(2))
    assert solo.raft.commit == 5


def test_a_stranger_does_not_end_a_member_by_what_it_says_was_acknowledged():
    solo = leaderless()
    solo.receive(MsgHeartbeat(STRANGER, 1, 6, 10**9))
    assert solo.raft.term == 5
    with pytest.raises(LogBroken):
        solo.receive(MsgHeartbeat(2, 1, 6, 10**9))  # a member that led when this one acknowledged it


@pytest.mark.parametrize("sender", [3, STRANGER])
def test_a_term_has_one_leader(sender):
    solo = follower()
    before = standing(solo)
    for message in from_a_leader(sender, 5):
        solo.receive(message)
        assert standing(solo) == before


def test_strangers_fill_no_queue_of_reads():
    solo = Solo(disk_with(1, 1, commit=2))
    solo.elect(2)
    solo.receive(MsgAppResp(2, 1, solo.raft.term, 3))
    assert solo.receive(MsgReadIndex(STRANGER, 1, solo.raft.term, 7)) == []
    assert of_kind(solo.receive(MsgReadIndex(3, 1, solo.raft.term, 7)), MsgHeartbeat)
    assert solo.raft.role is Role.LEADER


def test_a_pre_vote_of_a_stranger_is_answered():
    """It changes nothing, and a member that lags may have to help elect whom it does not know."""
    solo = leaderless()
    before = standing(solo)
    assert of_kind(solo.receive(MsgPreVote(STRANGER, 1, 6, 5, 5)), MsgPreVoteResp)
    assert standing(solo) == before


def test_an_entry_that_is_no_configuration_ends_a_member_in_words():
    """Nobody who takes entries in should have let it through; the core is safe by itself."""
    solo = follower()
    solo.receive(MsgApp(2, 1, 5, 5, 5, (Entry(5, 6, EntryKind.CONF_CHANGE, b"\xc1"),), 3))
    with pytest.raises(LogBroken, match="log entry 6 holds no configuration"):
        solo.receive(MsgHeartbeat(2, 1, 5, 6))
