"""The claims of "In Search of an Understandable Consensus Algorithm" (extended version) on terms and elections:
sections 5.1, 5.2, 5.4.1, 5.5 and 5.6. Pre-votes come before every election here (9.6 of the thesis).
"""

import pytest
from raft_kit import THREE, Solo, disk_with, group_of, of_kind

from orion.raft.interface import Campaign, Persisted, Received, Role
from orion.raft.messages import (
    ConfState,
    HardState,
    MsgApp,
    MsgAppResp,
    MsgHeartbeat,
    MsgHeartbeatResp,
    MsgPreVote,
    MsgPreVoteResp,
    MsgVote,
    MsgVoteResp,
)

CANDIDATE_TERM = 2


def follower(term: int = 1) -> Solo:
    return Solo(disk_with(1, term=term))


def candidate() -> Solo:
    solo = follower()
    solo.step(Campaign())
    solo.receive(MsgPreVoteResp(2, 1, CANDIDATE_TERM, False))
    assert solo.raft.role is Role.CANDIDATE
    return solo


def leader() -> Solo:
    solo = follower()
    solo.elect(2)
    return solo


# --- 5.1 basics -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [follower, candidate, leader])
def test_5_1_a_newer_term_is_taken_over_by_everybody(make) -> None:
    solo = make()
    solo.receive(MsgAppResp(2, 1, 9, 0))
    assert (solo.raft.term, solo.raft.role) == (9, Role.FOLLOWER)
    assert solo.disk.hard_state.term == 9


@pytest.mark.parametrize("make", [candidate, leader])
def test_5_1_candidate_and_leader_with_a_stale_term_become_followers(make) -> None:
    solo = make()
    solo.receive(MsgHeartbeat(3, 1, 7, 0))
    assert (solo.raft.role, solo.raft.leader) == (Role.FOLLOWER, 3)


@pytest.mark.parametrize(
    "request_", [MsgApp(2, 1, 3, 1, 1, (), 1), MsgHeartbeat(2, 1, 3, 1), MsgPreVote(2, 1, 3, 5, 3)]
)
def test_5_1_a_request_of_a_stale_term_is_rejected_with_the_newer_one(request_) -> None:
    solo = follower(term=5)
    (answer,) = solo.receive(request_)
    assert answer.term == 5
    assert (solo.raft.term, solo.raft.leader, solo.terms) == (5, 0, [1])
    assert isinstance(answer, MsgAppResp) or answer.reject


def test_5_1_a_stale_vote_request_gets_no_vote() -> None:
    solo = follower(term=5)
    assert solo.receive(MsgVote(2, 1, 4, 9, 4)) == []
    assert solo.disk.hard_state.vote == 0


def test_5_1_a_stale_answer_is_ignored() -> None:
    solo = leader()
    term = solo.raft.term
    solo.receive(MsgAppResp(2, 1, term - 1, 2))
    assert solo.raft.status().followers[2].match == 0


def test_5_1_the_term_only_grows() -> None:
    solo = follower()
    seen = [solo.raft.term]
    for message in (
        MsgVote(2, 1, 4, 1, 1),
        MsgVote(3, 1, 3, 1, 1),
        MsgApp(3, 1, 2, 1, 1, (), 0),
        MsgHeartbeat(2, 1, 6, 0),
        MsgVoteResp(2, 1, 5, True),
    ):
        solo.receive(message)
        seen.append(solo.raft.term)
    assert seen == sorted(seen)


# --- 5.2 leader election ----------------------------------------------------------------------------------


def test_5_2_everybody_starts_as_follower() -> None:
    assert Solo(disk_with(1, 3, term=7, vote=1)).raft.role is Role.FOLLOWER


def test_5_2_a_follower_stays_one_as_long_as_it_hears_its_leader() -> None:
    solo = follower()
    for _ in range(50):
        solo.receive(MsgHeartbeat(2, 1, 1, 0))
        assert of_kind(solo.tick(400), MsgPreVote) == []
    assert (solo.raft.role, solo.raft.leader) == (Role.FOLLOWER, 2)


def test_5_2_a_leader_sends_heartbeats_to_all_without_being_asked() -> None:
    solo = leader()
    beats = of_kind(solo.tick(300), MsgHeartbeat)
    assert [m.to for m in beats] == [2, 3] * 3


def test_5_2_an_election_begins_by_timeout_with_a_new_term_a_vote_for_itself_and_requests_to_all() -> None:
    solo = follower()
    asked = solo.time_out()
    assert [(m.to, m.term) for m in of_kind(asked, MsgPreVote)] == [(2, 2), (3, 2)]
    assert (solo.raft.term, solo.disk.hard_state.vote) == (1, 0), "a pre-vote changes nothing"
    asked = solo.receive(MsgPreVoteResp(3, 1, 2, False))
    assert [(m.to, m.term, m.index, m.log_term) for m in of_kind(asked, MsgVote)] == [(2, 2, 1, 1), (3, 2, 1, 1)]
    assert solo.disk.hard_state == HardState(2, 1, 0)


@pytest.mark.parametrize(
    ("voters", "grants", "refusals", "role"),
    [
        (1, 0, 0, Role.LEADER),
        (3, 1, 0, Role.LEADER),
        (3, 0, 0, Role.CANDIDATE),
        (3, 0, 2, Role.FOLLOWER),
        (3, 0, 1, Role.CANDIDATE),
        (4, 1, 0, Role.CANDIDATE),
        (4, 2, 0, Role.LEADER),
        (4, 0, 2, Role.FOLLOWER),
        (5, 2, 0, Role.LEADER),
        (5, 2, 2, Role.LEADER),
        (5, 1, 2, Role.CANDIDATE),
        (5, 1, 3, Role.FOLLOWER),
        (5, 0, 0, Role.CANDIDATE),
    ],
)
def test_5_2_an_election_is_won_by_a_majority(voters: int, grants: int, refusals: int, role: Role) -> None:
    solo = Solo(disk_with(1, conf=ConfState(voters=tuple(range(1, voters + 1)))))
    solo.step(Campaign())
    for voter in range(2, voters + 1):
        if solo.raft.role is Role.PRE_CANDIDATE:
            solo.receive(MsgPreVoteResp(voter, 1, 2, False))
    others = iter(range(2, voters + 1))
    for _ in range(grants):
        solo.receive(MsgVoteResp(next(others), 1, 2, False))
    for _ in range(refusals):
        solo.receive(MsgVoteResp(next(others), 1, 2, True))
    assert (solo.raft.role, solo.raft.term) == (role, 2)


def test_5_2_one_voter_counts_once() -> None:
    solo = Solo(disk_with(1, conf=ConfState(voters=(1, 2, 3, 4, 5))))
    solo.step(Campaign())
    for voter in (2, 3):
        solo.receive(MsgPreVoteResp(voter, 1, 2, False))
    for _ in range(5):
        solo.receive(MsgVoteResp(2, 1, 2, False))
    assert solo.raft.role is Role.CANDIDATE


def test_5_2_only_members_votes_count() -> None:
    solo = candidate()
    solo.receive(MsgVoteResp(9, 1, 2, False))
    assert solo.raft.role is Role.CANDIDATE


def test_5_2_one_vote_for_a_term_first_come_first_served() -> None:
    solo = follower()
    (first,) = solo.receive(MsgVote(2, 1, 2, 1, 1))
    (second,) = solo.receive(MsgVote(3, 1, 2, 1, 1))
    (again,) = solo.receive(MsgVote(2, 1, 2, 1, 1))
    assert (first.reject, second.reject, again.reject) == (False, True, False)
    assert solo.disk.hard_state.vote == 2


def test_5_2_the_vote_survives_a_restart() -> None:
    solo = follower()
    solo.receive(MsgVote(2, 1, 2, 1, 1))
    solo.start()
    (answer,) = solo.receive(MsgVote(3, 1, 2, 9, 1))
    assert answer.reject


def test_5_2_a_new_leader_tells_everybody_at_once() -> None:
    solo = follower()
    sent = of_kind(solo.elect(2), MsgApp)
    assert [(m.to, m.term, [e.term for e in m.entries]) for m in sent] == [(2, 2, [2]), (3, 2, [2])]


@pytest.mark.parametrize("term", [CANDIDATE_TERM, CANDIDATE_TERM + 1])
def test_5_2_a_candidate_yields_to_a_leader_of_its_term_or_a_newer_one(term: int) -> None:
    solo = candidate()
    solo.receive(MsgApp(3, 1, term, 1, 1, (), 0))
    assert (solo.raft.role, solo.raft.leader, solo.raft.term) == (Role.FOLLOWER, 3, term)


def test_5_2_a_candidate_does_not_yield_to_an_older_leader() -> None:
    solo = candidate()
    solo.receive(MsgApp(3, 1, CANDIDATE_TERM - 1, 1, 1, (), 0))
    assert solo.raft.role is Role.CANDIDATE


def test_5_2_after_a_split_vote_a_candidate_times_out_and_tries_again_in_a_new_term() -> None:
    solo = candidate()
    solo.time_out()
    solo.receive(MsgPreVoteResp(2, 1, CANDIDATE_TERM + 1, False))
    assert (solo.raft.role, solo.raft.term) == (Role.CANDIDATE, CANDIDATE_TERM + 1)


@pytest.mark.parametrize("make", [follower, candidate])
def test_5_2_timeouts_are_drawn_anew_between_one_and_two_election_timeouts(make) -> None:
    waits = set()
    for seed in range(60):
        solo = make()
        solo.raft._me.rng.seed(seed)
        solo.time_out()  # draws the next one
        waits.add(solo.raft.next_deadline_ms() - solo.now)
    assert all(500 <= wait < 1_000 for wait in waits)
    assert len(waits) > 40
    assert max(waits) - min(waits) > 400


def test_5_2_in_a_group_one_leader_is_elected_and_followed() -> None:
    group = group_of(5)
    group.tick(2_000)
    (leading,) = group.leaders
    assert {group.raft(m).leader for m in group.members} == {leading}
    assert {group.raft(m).term for m in group.members} == {group.raft(leading).term}


def test_5_2_split_votes_are_resolved() -> None:
    """All five time out at the same moment, and every vote is split; randomness ends that."""
    group = group_of(5)
    group.passes = lambda m: not isinstance(m, MsgPreVote | MsgVote)
    for member in group.members:
        group.campaign(member)
    assert group.leaders == []
    group.heal()
    group.tick(4_000)
    assert len(group.leaders) == 1


# --- 5.4.1 election restriction ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mine", "index", "term", "granted"),
    [
        ((1,), 1, 1, True),  # the same
        ((1,), 2, 1, True),  # same last term: the longer log
        ((1, 1), 1, 1, False),
        ((1, 1), 1, 2, True),  # the later last term, however short
        ((2,), 9, 1, False),
        ((1, 1, 3), 2, 3, False),
        ((), 0, 0, True),
    ],
)
def test_5_4_1_a_vote_is_given_only_to_a_log_at_least_as_up_to_date(mine, index, term, granted) -> None:
    asked = 7
    solo = Solo(disk_with(*mine, term=3))
    (answer,) = solo.receive(MsgPreVote(2, 1, asked, index, term))
    assert answer.reject is not granted
    (answer,) = solo.receive(MsgVote(2, 1, asked, index, term))
    assert answer.reject is not granted
    assert solo.disk.hard_state.vote == (2 if granted else 0)
    assert solo.raft.term == asked


def test_5_4_1_a_leader_has_all_committed_entries_without_getting_any() -> None:
    """The member that was away can't win; one that has everything does, and sends only from itself to others."""
    group = group_of(3)
    group.campaign(1)
    group.isolate(3)
    group.propose(1, b"a", b"b")
    group.isolate(1)
    for member in (2, 3):
        group.members[member].now = group.now = 5_000  # the lease is over
    group.campaign(3)
    assert group.leaders == [1], "3 lacks what is committed"
    group.sent.clear()
    group.campaign(2)
    assert group.raft(2).role is Role.LEADER
    assert all(m.sender == 2 for m in of_kind(group.sent, MsgApp))
    group.tick(300)
    assert group.data(3) == [b"a", b"b"]


# --- 5.5 crashes ------------------------------------------------------------------------------------------


def test_5_5_requests_may_come_twice() -> None:
    group = group_of(3)
    group.campaign(1)
    group.propose(1, b"a")
    for message in [m for m in group.sent if not isinstance(m, MsgPreVote | MsgPreVoteResp)]:
        group.carry([message])
    assert group.leaders == [1]
    assert [group.data(m) for m in (1, 2, 3)] == [[b"a"]] * 3


def test_5_5_a_crashed_follower_catches_up_when_it_is_back() -> None:
    group = group_of(3)
    group.campaign(1)
    group.isolate(3)
    group.propose(1, b"a")
    group.propose(1, b"b")
    group.restart(3)
    group.heal()
    group.tick(300)
    assert group.data(3) == [b"a", b"b"]


# --- 5.6 timing and stable storage ------------------------------------------------------------------------


def test_5_6_a_vote_leaves_after_it_is_on_stable_storage() -> None:
    solo = follower()
    solo.raft.step(0, Received(MsgVote(2, 1, 2, 1, 1)))
    ready = solo.raft.ready()
    assert ready.messages == ()
    assert ready.hard_state == HardState(2, 2, 0)
    assert ready.must_sync
    (answer,) = ready.messages_after_persist
    assert not answer.reject


def test_5_6_a_candidate_counts_its_own_vote_once_it_is_on_stable_storage() -> None:
    solo = follower()
    solo.step(Campaign())
    solo.raft.step(0, Received(MsgPreVoteResp(2, 1, 2, False)))
    ready = solo.raft.ready()
    assert ready.messages == ()
    assert [m.to for m in of_kind(ready.messages_after_persist, MsgVote)] == [2, 3]
    solo.raft.step(0, Received(MsgVoteResp(2, 1, 2, False)))
    assert solo.raft.role is Role.CANDIDATE
    solo.raft.step(0, Persisted(ready.persist_seq))
    assert solo.raft.role is Role.LEADER


def test_5_6_heartbeats_are_far_more_frequent_than_elections() -> None:
    solo = leader()
    beats = of_kind(solo.tick(500), MsgHeartbeat)
    assert len(beats) // 2 >= 4


# --- pre-vote and check-quorum (9.6 and 6.2 of the thesis) ------------------------------------------------


def test_9_6_a_member_that_was_cut_off_does_not_raise_its_term_or_disturb_anybody() -> None:
    group = group_of(3)
    group.campaign(1)
    term = group.raft(1).term
    group.isolate(3)
    group.tick(20_000)
    assert group.raft(3).term == term
    assert group.raft(3).role is Role.PRE_CANDIDATE
    group.heal()
    group.tick(3_000)
    assert (group.leaders, group.raft(1).term) == ([1], term)


def test_9_6_a_stale_pre_vote_counts_for_nothing() -> None:
    solo = follower()
    solo.step(Campaign())
    solo.receive(MsgPreVoteResp(2, 1, 9, False))
    assert (solo.raft.role, solo.raft.term) == (Role.PRE_CANDIDATE, 1)


def test_9_6_a_pre_vote_may_be_given_to_several() -> None:
    solo = follower()
    answers = [solo.receive(MsgPreVote(sender, 1, 2, 1, 1))[0] for sender in (2, 3, 2)]
    assert [m.reject for m in answers] == [False] * 3
    assert solo.disk.hard_state == HardState(1, 0, 0)


def test_6_2_thesis_a_leader_without_a_quorum_steps_down() -> None:
    group = group_of(3)
    group.campaign(1)
    group.isolate(1)
    group.tick(1_100)
    assert group.raft(1).role is not Role.LEADER
    group.tick(2_000)
    (leading,) = group.leaders
    assert leading != 1


def test_6_2_thesis_a_leader_that_hears_a_majority_stays() -> None:
    group = group_of(5)
    group.campaign(1)
    term = group.raft(1).term
    group.isolate(4, 5)
    group.tick(5_000)
    assert group.leaders == [1]
    assert group.raft(1).term == term


def test_a_sole_voter_leads_at_its_first_tick() -> None:
    solo = Solo(disk_with(1, conf=ConfState(voters=(1,))))
    assert solo.raft.next_deadline_ms() == 0
    solo.tick(0)
    assert solo.raft.role is Role.LEADER


@pytest.mark.parametrize("conf", [ConfState(), ConfState(voters=(2, 3)), ConfState(voters=(2, 3), learners=(1,))])
def test_a_member_without_a_vote_never_campaigns_and_still_votes(conf: ConfState) -> None:
    solo = Solo(disk_with(1, conf=conf))
    assert solo.tick(10_000) == []
    assert solo.step(Campaign()) == []
    assert solo.raft.role is Role.FOLLOWER
    (answer,) = solo.receive(MsgVote(2, 1, 2, 1, 1))
    assert not answer.reject


def test_messages_that_are_not_for_this_member_are_ignored() -> None:
    solo = follower()
    for message in (MsgHeartbeat(2, 3, 9, 0), MsgHeartbeat(0, 1, 9, 0), MsgHeartbeat(1, 1, 9, 0)):
        assert solo.receive(message) == []
    assert solo.raft.term == 1


def test_a_stranger_s_answers_don_t_change_the_term() -> None:
    solo = leader()
    assert THREE.voters == (1, 2, 3)
    for message in (MsgAppResp(9, 1, 50, 1), MsgHeartbeatResp(9, 1, 50), MsgVoteResp(9, 1, 50, True)):
        assert solo.receive(message) == []
    assert solo.raft.role is Role.LEADER
