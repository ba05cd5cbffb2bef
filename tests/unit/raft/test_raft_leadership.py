"""Reads, handing over, and a leader that is gone: sections 6.4 and 3.10 of the thesis, and what gossip adds."""

import pytest
from raft_kit import Solo, disk_with, group_of, of_kind

from orion.raft.core import Raft
from orion.raft.interface import (
    Campaign,
    PeerDead,
    Persisted,
    Propose,
    ProposeConf,
    RaftConfig,
    ReadRequest,
    ReadState,
    Received,
    Role,
    SoftState,
    Tick,
    TransferLeader,
)
from orion.raft.messages import (
    ConfChange,
    ConfState,
    MsgApp,
    MsgAppResp,
    MsgHeartbeat,
    MsgHeartbeatResp,
    MsgPreVote,
    MsgPreVoteResp,
    MsgReadIndex,
    MsgReadIndexResp,
    MsgTimeoutNow,
    MsgVote,
)


def leading(*, committed: bool = True) -> Solo:
    solo = Solo(disk_with(1))
    solo.elect(2)
    if committed:
        solo.receive(MsgAppResp(2, 1, 2, 2))
        solo.receive(MsgAppResp(3, 1, 2, 2))
    return solo


def reads(solo: Solo, *inputs: object) -> list[ReadState]:
    """What the reads of the Readies that follow say."""
    found = []
    for value in inputs:
        solo.raft.step(solo.now, value)
    while solo.raft.has_ready():
        ready = solo.raft.ready()
        found += ready.reads
        solo.finish(ready)
    return found


# --- reads ------------------------------------------------------------------------------------------------


def test_a_read_is_safe_once_a_quorum_has_said_that_the_leader_still_leads() -> None:
    solo = leading()
    assert reads(solo, ReadRequest(7)) == []
    assert reads(solo, Received(MsgHeartbeatResp(3, 1, 2, 0))) == [], "that is of an older heartbeat"
    assert reads(solo, Received(MsgHeartbeatResp(3, 1, 2, 1))) == [ReadState(7, 2)]


def test_a_leader_that_was_deposed_without_knowing_answers_nothing() -> None:
    group = group_of(3)
    group.campaign(1)
    group.isolate(1)
    group[2].now = group[3].now = group.now = 2_000
    group.campaign(2)
    group.propose(2, b"news")
    assert reads(group[1], ReadRequest(7)) == []
    group[1].now = 2_000
    assert reads(group[1], Received(MsgAppResp(2, 1, group.raft(2).term, 0))) == [ReadState(7, 0)]


def test_a_leader_that_has_committed_nothing_in_its_term_refuses() -> None:
    assert reads(leading(committed=False), ReadRequest(7)) == [ReadState(7, 0)]


def test_a_sole_voter_answers_at_once_though_it_has_learners() -> None:
    solo = Solo(disk_with(1, conf=ConfState(voters=(1,), learners=(2,))))
    solo.tick(0)
    assert reads(solo, ReadRequest(7)) == [ReadState(7, 2)]


def test_reads_of_a_turn_share_one_round() -> None:
    solo = leading()
    for context in (1, 2, 3):
        solo.raft.step(0, ReadRequest(context))
    assert [(m.to, m.context) for m in of_kind(solo.drain(), MsgHeartbeat)] == [(2, 1), (3, 1)]


def test_a_lost_round_goes_out_again_with_the_next_heartbeat() -> None:
    solo = leading()
    solo.step(ReadRequest(7))
    assert {m.context for m in of_kind(solo.tick(100), MsgHeartbeat)} == {1}
    assert reads(solo, Received(MsgHeartbeatResp(2, 1, 2, 1))) == [ReadState(7, 2)]
    assert {m.context for m in of_kind(solo.tick(100), MsgHeartbeat)} == {0}


def test_a_follower_s_read_is_answered_by_the_leader() -> None:
    group = group_of(3)
    group.campaign(1)
    group.propose(1, b"a")
    found = reads(group[3], ReadRequest(7))
    assert found == []
    (asked,) = group[3].step(ReadRequest(8))
    assert isinstance(asked, MsgReadIndex)
    answers = group[1].receive(asked)
    for beat in of_kind(answers, MsgHeartbeat):
        for back in group[beat.to].receive(beat):
            answers += group[1].receive(back)
    (answer,) = of_kind(answers, MsgReadIndexResp)
    assert reads(group[3], Received(answer)) == [ReadState(8, group.raft(1).commit)]


def test_a_member_without_a_leader_refuses_reads() -> None:
    assert reads(Solo(disk_with(1)), ReadRequest(7)) == [ReadState(7, 0)]


@pytest.mark.parametrize("term", [0, 1, 2])
def test_a_member_that_does_not_lead_refuses_a_follower_s_read(term: int) -> None:
    (answer,) = Solo(disk_with(1)).receive(MsgReadIndex(2, 1, term, 44)) or [None]
    if term == 2:
        assert isinstance(answer, MsgReadIndexResp)
    assert isinstance(answer, MsgReadIndexResp)
    assert (answer.context, answer.index) == (44, 0)


def test_reads_under_way_are_refused_when_the_leader_changes() -> None:
    solo = Solo(disk_with(1))
    solo.receive(MsgHeartbeat(2, 1, 1, 1))
    solo.step(ReadRequest(7))
    assert reads(solo, Received(MsgHeartbeat(3, 1, 2, 1))) == [ReadState(7, 0)]


def test_a_leader_that_steps_down_refuses_its_followers_reads_too() -> None:
    solo = leading()
    solo.receive(MsgReadIndex(3, 1, 2, 44))
    sent = solo.receive(MsgAppResp(2, 1, 9, 0))
    assert [(m.to, m.context, m.index) for m in of_kind(sent, MsgReadIndexResp)] == [(3, 44, 0)]


def test_a_late_answer_to_a_read_of_an_earlier_process_is_ignored() -> None:
    def ask(solo: Solo) -> MsgReadIndex:
        solo.receive(MsgHeartbeat(2, 1, 1, 1))
        (asked,) = of_kind(solo.step(ReadRequest(1)), MsgReadIndex)
        return asked

    solo = Solo(disk_with(1), seed=1)
    before = ask(solo)
    solo.seed = 2
    solo.start()
    ask(solo)
    assert reads(solo, Received(MsgReadIndexResp(2, 1, 1, before.context, 1))) == []


# --- handing over -----------------------------------------------------------------------------------------


def test_3_10_a_member_that_has_everything_is_told_to_campaign_at_once() -> None:
    solo = leading()
    sent = solo.step(TransferLeader(3))
    assert [m.to for m in of_kind(sent, MsgTimeoutNow)] == [3]
    assert solo.raft.status().transfer_to == 3


def test_3_10_an_heir_that_lags_is_brought_up_first() -> None:
    solo = leading()
    solo.step(Propose((b"x",)))
    assert of_kind(solo.step(TransferLeader(3)), MsgTimeoutNow) == []
    assert of_kind(solo.receive(MsgAppResp(2, 1, 2, 3)), MsgTimeoutNow) == []
    assert of_kind(solo.receive(MsgAppResp(3, 1, 2, 3)), MsgTimeoutNow) != []


def test_3_10_the_heir_leads_without_pre_vote_or_waiting_for_leases() -> None:
    group = group_of(3)
    group.campaign(1)
    group.propose(1, b"a")
    group.sent.clear()
    group.step(1, TransferLeader(2))
    assert group.leaders == [2]
    assert of_kind(group.sent, MsgPreVote) == []
    assert group.raft(2).term == 3


def test_3_10_without_a_name_the_most_up_to_date_voter_takes_over() -> None:
    solo = leading()
    solo.step(Propose((b"x",)))
    solo.receive(MsgAppResp(3, 1, 2, 3))
    sent = solo.step(TransferLeader(0))
    assert [m.to for m in of_kind(sent, MsgTimeoutNow)] == [3]


@pytest.mark.parametrize("to", [1, 4, 9])
def test_3_10_only_another_voter_can_take_over(to: int) -> None:
    solo = Solo(disk_with(1, conf=ConfState(voters=(1, 2, 3), learners=(4,))))
    solo.elect(2)
    solo.step(TransferLeader(to))
    assert solo.raft.status().transfer_to == 0
    solo.step(Propose((b"x",)))


def test_3_10_a_transfer_is_given_up_after_an_election_timeout() -> None:
    solo = leading()
    solo.step(TransferLeader(3))
    for _ in range(5):
        solo.tick(99)
        solo.receive(MsgHeartbeatResp(2, 1, 2))
    assert solo.raft.status().transfer_to == 3
    solo.tick(5)
    assert solo.raft.status().transfer_to == 0
    assert solo.raft.role is Role.LEADER
    solo.step(Propose((b"x",)))


def test_3_10_a_second_transfer_replaces_the_first() -> None:
    solo = leading()
    solo.step(TransferLeader(3))
    assert solo.step(TransferLeader(3)) == []
    sent = solo.step(TransferLeader(2))
    assert [m.to for m in of_kind(sent, MsgTimeoutNow)] == [2]


def test_3_10_the_death_of_the_heir_ends_the_transfer() -> None:
    solo = leading()
    solo.step(TransferLeader(3))
    solo.step(PeerDead(3))
    assert solo.raft.status().transfer_to == 0


def test_3_10_a_member_without_a_vote_does_not_take_over() -> None:
    solo = Solo(disk_with(1, conf=ConfState(voters=(2, 3), learners=(1,))))
    solo.receive(MsgHeartbeat(2, 1, 1, 1))
    assert solo.receive(MsgTimeoutNow(2, 1, 1)) == []
    assert solo.raft.role is Role.FOLLOWER


def test_3_10_a_request_to_take_over_from_a_leader_of_a_newer_term_counts() -> None:
    solo = Solo(disk_with(1))
    sent = of_kind(solo.receive(MsgTimeoutNow(2, 1, 5)), MsgVote)
    assert [(m.term, m.transfer) for m in sent] == [(6, True)] * 2


# --- a leader that is gone --------------------------------------------------------------------------------


def test_when_the_leader_is_dead_nobody_waits_for_an_election_timeout() -> None:
    group = group_of(3)
    group.campaign(1)
    group.tick(250)
    group.isolate(1)
    for member in (2, 3):
        group.step(member, PeerDead(1))
    group.tick(100)
    (leading_,) = [m for m in group.leaders if m != 1]
    assert group.raft(leading_).term == 3


def test_the_voters_wait_in_slots_by_rank() -> None:
    waits = {}
    for member in (2, 3):
        solo = Solo(disk_with(1), member=member)
        solo.receive(MsgHeartbeat(1, member, 1, 1))
        solo.step(PeerDead(1))
        waits[member] = solo.raft.next_deadline_ms() - solo.now
    assert 0 <= waits[2] < 50 <= waits[3] < 100


def test_a_leader_that_is_only_unreachable_keeps_its_lease() -> None:
    group = group_of(3)
    group.campaign(1)
    group.tick(250)
    group.isolate(1)
    group.step(2, PeerDead(1))
    group.tick(100)
    assert group.leaders == [1]
    assert group.raft(3).leader == 1


def test_somebody_else_s_death_means_nothing_to_a_follower() -> None:
    solo = Solo(disk_with(1))
    solo.receive(MsgHeartbeat(2, 1, 1, 1))
    due = solo.raft.next_deadline_ms()
    solo.step(PeerDead(3))
    assert (solo.raft.leader, solo.raft.next_deadline_ms()) == (2, due)


def test_a_death_that_is_told_twice_brings_one_election_forward() -> None:
    solo = Solo(disk_with(1))
    solo.receive(MsgHeartbeat(2, 1, 1, 1))
    solo.step(PeerDead(2))
    solo.tick(100)
    assert solo.raft.role is Role.PRE_CANDIDATE
    due = solo.raft.next_deadline_ms()
    solo.step(PeerDead(2))
    assert solo.raft.next_deadline_ms() == due


def test_a_pre_candidate_asks_again_when_it_hears_of_the_leader_s_death() -> None:
    """Its pre-vote was disregarded by those who still held the lease."""
    solo = Solo(disk_with(1))
    solo.receive(MsgHeartbeat(2, 1, 1, 1))
    solo.time_out()
    assert solo.raft.role is Role.PRE_CANDIDATE
    solo.step(PeerDead(2))
    assert of_kind(solo.tick(100), MsgPreVote) != []


def test_a_death_does_not_change_an_election_under_way() -> None:
    solo = Solo(disk_with(1))
    solo.receive(MsgHeartbeat(2, 1, 1, 1))
    solo.receive(MsgTimeoutNow(2, 1, 1))
    assert solo.raft.role is Role.CANDIDATE
    due = solo.raft.next_deadline_ms()
    solo.step(PeerDead(2))
    assert solo.raft.next_deadline_ms() == due


def test_a_leader_takes_a_dead_follower_for_unreachable() -> None:
    solo = leading()
    solo.step(PeerDead(3))
    assert solo.raft.status().followers[3].state == "probe"
    assert solo.raft.role is Role.LEADER


# --- what is told -----------------------------------------------------------------------------------------


def test_a_soft_state_is_given_only_when_it_changes() -> None:
    solo = Solo(disk_with(1, term=4))
    told = []
    finish = solo.finish
    solo.finish = lambda ready: (told.append(ready.standing), finish(ready))
    solo.receive(MsgHeartbeat(2, 1, 4, 1))
    solo.receive(MsgHeartbeat(2, 1, 4, 1))
    solo.receive(MsgApp(3, 1, 5, 1, 1, (), 1))
    assert [s for s in told if s] == [SoftState(Role.FOLLOWER, 4, 2), SoftState(Role.FOLLOWER, 5, 3)]


def test_a_restarted_member_tells_its_term() -> None:
    raft = Raft(RaftConfig(id=1), disk_with(1, term=4).persistent(), Solo().raft._me.rng, 0)
    assert raft.has_ready()
    assert raft.ready().standing == SoftState(Role.FOLLOWER, 4, 0)
    assert not raft.has_ready()


def test_status_tells_followers_of_the_leader_only() -> None:
    solo = leading()
    status = solo.raft.status()
    assert {m: (f.match, f.state, f.unheard_ms) for m, f in status.followers.items()} == {
        2: (2, "replicate", 0),
        3: (2, "replicate", 0),
    }
    solo.now = 600
    solo.receive(MsgHeartbeatResp(2, 1, 2))
    assert {m: f.unheard_ms for m, f in solo.raft.status().followers.items()} == {2: 0, 3: 600}
    assert Solo(disk_with(1)).raft.status().followers == {}


def test_time_never_goes_back() -> None:
    solo = Solo(disk_with(1))
    solo.now = 300
    solo.receive(MsgHeartbeat(2, 1, 1, 1))
    due = solo.raft.next_deadline_ms()
    solo.now = 0
    solo.receive(MsgHeartbeat(2, 1, 1, 1))
    assert solo.raft.next_deadline_ms() == due


def test_a_tick_that_is_not_due_does_nothing() -> None:
    solo = leading()
    assert solo.step(Tick()) == []


def test_answers_to_an_election_that_is_over_do_nothing() -> None:
    solo = leading()
    assert solo.receive(MsgPreVoteResp(3, 1, 3, False)) == []
    assert solo.step(Campaign()) == []
    assert solo.raft.role is Role.LEADER


def test_a_leader_may_step_down_with_writes_under_way() -> None:
    solo = leading()
    solo.raft.step(0, Propose((b"x",)))
    ready = solo.raft.ready()
    solo.raft.step(0, Received(MsgAppResp(2, 1, 9, 0)))
    solo.raft.step(0, Persisted(ready.persist_seq))
    solo.raft.check()
    assert solo.raft.role is Role.FOLLOWER


def test_the_removal_of_the_heir_ends_the_transfer() -> None:
    solo = leading()
    solo.step(ProposeConf(ConfChange((1, 2))))
    solo.step(TransferLeader(3))
    assert solo.raft.status().transfer_to == 3
    solo.receive(MsgAppResp(2, 1, 2, 3))
    assert solo.raft.status().conf.voters == (1, 2)
    assert solo.raft.status().transfer_to == 0
