"""The claims of the Raft paper on cluster membership changes, section 6. Where this core differs, as etcd's does: a
configuration is in force once its entry is applied, not already when it is in the log.
"""

import pytest
from raft_kit import Group, Solo, disk_with, group_of, of_kind

from orion.raft.confchange import encode_change, is_voter
from orion.raft.interface import (
    Campaign,
    ConfApplied,
    ProposalRefused,
    Propose,
    ProposeConf,
    Role,
    Tick,
    TransferLeader,
)
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
    MsgSnap,
    MsgVote,
    MsgVoteResp,
)

JOINT = ConfState(voters=(3, 4, 5), voters_outgoing=(1, 2, 3), auto_leave=True)


def grown(count: int, *joining: int, conf: ConfState | None = None) -> Group:
    """Members 1..count, and joiners that know nothing; 1 leads."""
    conf = conf or ConfState(voters=tuple(range(1, count + 1)))
    known = {m: disk_with(conf=conf, snapshot=1, commit=1, term=1) for m in range(1, count + 1)}
    fresh = {m: disk_with(conf=ConfState()) for m in joining}
    group = Group({**known, **fresh})
    group.campaign(1)
    group.tick(100)
    return group


def conf_of(group: Group, member: int) -> ConfState:
    return group.raft(member).status().conf


# --- joint consensus --------------------------------------------------------------------------------------


def test_6_a_change_of_several_voters_goes_through_a_joint_configuration() -> None:
    group = grown(1, 2, 3)
    group.passes = lambda m: False
    group.change(1, (1, 2, 3))
    assert conf_of(group, 1) == ConfState(voters=(1, 2, 3), voters_outgoing=(1,), auto_leave=True)
    group.heal()
    group.tick(500)
    assert {conf_of(group, m) for m in (1, 2, 3)} == {ConfState(voters=(1, 2, 3))}


def test_6_a_change_of_one_voter_is_simple() -> None:
    group = grown(3, 4)
    group.change(1, (1, 2, 3, 4))
    assert conf_of(group, 1) == ConfState(voters=(1, 2, 3, 4))
    group.change(1, (1, 2, 4))
    assert conf_of(group, 1) == ConfState(voters=(1, 2, 4))


def test_6_entries_go_to_the_members_of_both_configurations() -> None:
    group = Group({m: disk_with(1, conf=JOINT, commit=1) for m in (1, 2, 3, 4, 5)})
    group.passes = lambda m: not isinstance(m, MsgApp)
    group.campaign(3)
    assert {m.to for m in of_kind(group.sent, MsgApp)} == {1, 2, 4, 5}


@pytest.mark.parametrize("member", [1, 4])
def test_6_a_member_of_either_configuration_may_lead(member: int) -> None:
    group = Group({m: disk_with(1, conf=JOINT, commit=1) for m in (1, 2, 3, 4, 5)})
    group.passes = lambda m: not isinstance(m, MsgApp)
    group.campaign(member)
    assert group.leaders == [member]


@pytest.mark.parametrize(
    ("alive", "elected"),
    [((1, 2, 3, 4), True), ((1, 2, 4, 5), True), ((3, 4, 5), False), ((1, 2, 3), False), ((1, 3, 4), True)],
)
def test_6_elections_need_majorities_of_both(alive: tuple[int, ...], elected: bool) -> None:
    group = Group({m: disk_with(1, conf=JOINT, commit=1) for m in (1, 2, 3, 4, 5)})
    group.passes = lambda m: m.sender in alive and m.to in alive and not isinstance(m, MsgApp)
    group.campaign(alive[0])
    assert bool(group.leaders) is elected


@pytest.mark.parametrize(("acks", "committed"), [((1, 4), True), ((4, 5), False), ((1, 2), False)])
def test_6_commits_need_majorities_of_both(acks: tuple[int, ...], committed: bool) -> None:
    solo = Solo(disk_with(1, conf=JOINT), member=3)
    solo.elect(1, 4)
    for sender in acks:
        solo.receive(MsgAppResp(sender, 3, 2, 2))
    assert (solo.raft.commit == 2) is committed


def test_6_neither_configuration_decides_alone_while_the_change_is_under_way() -> None:
    """A new leader that only has the old majority, and one with the new one only: neither is elected."""
    group = Group({m: disk_with(1, conf=JOINT, commit=1) for m in (1, 2, 3, 4, 5)})
    group.passes = lambda m: {m.sender, m.to} <= {1, 2, 3} or {m.sender, m.to} <= {4, 5}
    for member in (1, 2, 4, 5):
        group.campaign(member)
    assert group.leaders == []


def test_6_a_new_leader_leaves_the_joint_configuration_of_the_one_before() -> None:
    group = Group({m: disk_with(1, conf=JOINT, commit=1) for m in (1, 2, 3, 4, 5)})
    group.campaign(4)
    group.tick(300)
    assert {conf_of(group, m) for m in (3, 4, 5)} == {ConfState(voters=(3, 4, 5))}


def test_6_a_voter_that_becomes_a_learner_votes_until_the_joint_configuration_is_left() -> None:
    group = grown(3, 4)
    group.passes = lambda m: not (isinstance(m, MsgApp) and m.to in (2, 4))
    group.change(1, (1, 2, 4), learners=(3,))
    conf = conf_of(group, 1)
    assert (conf.voters_outgoing, conf.learners, conf.learners_next) == ((1, 2, 3), (), (3,))
    group.heal()
    group.tick(500)
    assert conf_of(group, 3) == ConfState(voters=(1, 2, 4), learners=(3,))


# --- one at a time ----------------------------------------------------------------------------------------


def proposals_refused(solo: Solo, change: ConfChange) -> str:
    with pytest.raises(ProposalRefused) as refused:
        solo.step(ProposeConf(change))
    return refused.value.reason


def leading(conf: ConfState = ConfState(voters=(1, 2, 3)), *, committed: bool = True) -> Solo:  # noqa: B008
    solo = Solo(disk_with(1, conf=conf))
    solo.elect(2, 3)
    if committed:
        solo.receive(MsgAppResp(2, 1, 2, 2))
        solo.receive(MsgAppResp(3, 1, 2, 2))
    return solo


def test_6_a_second_change_is_refused_while_one_is_under_way() -> None:
    solo = leading()
    solo.step(ProposeConf(ConfChange((1, 2))))
    assert "under way" in proposals_refused(solo, ConfChange((1, 3)))
    assert solo.raft.status().conf_pending
    solo.receive(MsgAppResp(2, 1, 2, 3))
    assert not solo.raft.status().conf_pending
    solo.step(ProposeConf(ConfChange((1, 2, 3))))


def test_6_a_leader_must_have_committed_in_its_term_first() -> None:
    """Single-server changes are not safe otherwise (Ongaro, raft-dev, 10 July 2015)."""
    assert "not committed anything" in proposals_refused(leading(committed=False), ConfChange((1, 2)))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (ConfChange(), "nothing to leave"),
        (ConfChange((), (2,)), "needs a voter"),
        (ConfChange((1, 2), (2,)), "voter and learner"),
        (ConfChange((0, 1)), "nobody"),
    ],
)
def test_6_impossible_changes_are_refused(change: ConfChange, reason: str) -> None:
    assert reason in proposals_refused(leading(), change)


def test_6_a_joint_configuration_is_left_before_anything_else() -> None:
    solo = leading(ConfState(voters=(1, 2, 4), voters_outgoing=(1, 2, 3)))  # left by hand, not by itself
    assert "joint" in proposals_refused(solo, ConfChange((1, 2)))
    solo.step(ProposeConf(ConfChange()))


def test_6_a_change_takes_effect_when_it_is_applied() -> None:
    solo = leading()
    solo.step(ProposeConf(ConfChange((1, 2))))
    assert solo.raft.status().conf.voters == (1, 2, 3)
    solo.receive(MsgAppResp(3, 1, 2, 3))  # a majority of the old configuration
    assert solo.raft.status().conf.voters == (1, 2)


def test_6_what_the_new_configuration_agrees_on_is_committed_as_soon_as_it_is_in_force() -> None:
    solo = Solo(disk_with(1, conf=ConfState(voters=(1, 2, 3, 4))))
    solo.elect(2, 3)
    for sender in (2, 3):
        solo.receive(MsgAppResp(sender, 1, 2, 2))
    solo.step(ProposeConf(ConfChange((1, 2, 3))))
    solo.step(Propose((b"x",)))
    solo.receive(MsgAppResp(2, 1, 2, 4))
    assert solo.raft.commit == 2
    solo.receive(MsgAppResp(3, 1, 2, 3))
    assert solo.raft.commit == 4, "1 and 2 have it, which is no majority of four, but one of three"


def test_6_nobody_campaigns_with_a_committed_change_not_yet_applied() -> None:
    """So that two members' configurations are never more than one change apart."""
    solo = Solo(disk_with(1))
    solo.finish = lambda ready: Solo.finish(solo, ready) if not ready.committed else None
    change = Entry(1, 2, EntryKind.CONF_CHANGE, encode_change(ConfChange((1, 2))))
    solo.receive(MsgApp(2, 1, 1, 1, 1, (change,), 1))
    solo.receive(MsgHeartbeat(2, 1, 1, 2))
    assert solo.step(Campaign()) == []
    assert solo.raft.role is Role.FOLLOWER
    solo.step(ConfApplied(change))
    assert of_kind(solo.step(Campaign()), MsgPreVote) != []


def test_6_an_overtaken_change_is_not_applied_again() -> None:
    solo = Solo(disk_with(snapshot=9, conf=ConfState(voters=(1, 2))))
    solo.step(ConfApplied(Entry(1, 5, EntryKind.CONF_CHANGE, encode_change(ConfChange((1, 2, 3))))))
    assert solo.raft.status().conf.voters == (1, 2)


# --- new servers ------------------------------------------------------------------------------------------


def test_6_new_servers_join_as_learners_without_a_vote() -> None:
    group = grown(1, 2)
    group.isolate(1)
    group.change(1, (1,), learners=(2,))
    group.propose(1, b"a")
    assert group.data(1) == [b"a"], "the learner is not needed for a majority"
    group.heal()
    group.tick(300)
    assert group.data(2) == [b"a"]
    assert conf_of(group, 2) == ConfState(voters=(1,), learners=(2,))


def test_6_a_learner_does_not_count_for_anything() -> None:
    solo = leading(ConfState(voters=(1, 2, 3), learners=(4, 5)))
    solo.step(Propose((b"x",)))
    for learner in (4, 5):
        solo.receive(MsgAppResp(learner, 1, 2, 3))
    assert solo.raft.commit == 2
    solo.tick(499)
    for learner in (4, 5):
        solo.receive(MsgHeartbeatResp(learner, 1, 2))
    solo.tick(501)
    assert solo.raft.role is Role.FOLLOWER, "no quorum was heard"


def test_6_a_member_votes_though_it_does_not_know_of_its_promotion() -> None:
    conf = ConfState(voters=(1, 2), learners=(3,))
    promoted = ConfState(voters=(1, 2, 3))
    group = Group({2: disk_with(1, conf=promoted), 3: disk_with(1, conf=conf)})
    group.campaign(2)
    assert group.leaders == [2]


def test_6_a_fresh_joiner_gets_the_snapshot_and_the_log() -> None:
    group = grown(1, 2)
    group.propose(1, b"a", b"b")
    group.change(1, (1,), learners=(2,))
    group.tick(300)
    assert group.data(2) == [b"a", b"b"]
    assert len(of_kind(group.sent, MsgSnap)) == 1
    assert group.raft(1).status().followers[2].state == "replicate"


# --- removed servers --------------------------------------------------------------------------------------


def test_6_a_removed_leader_steps_down_when_the_new_configuration_is_committed() -> None:
    group = grown(3)
    group.passes = lambda m: not (m.sender == 2 or m.to == 3)
    group.change(1, (2, 3))
    assert group.raft(1).role is Role.LEADER, "it leads until then"
    group.heal()
    group.tick(100)
    assert group.raft(1).role is Role.FOLLOWER
    group.tick(1_500)
    (leading_,) = group.leaders
    assert leading_ in (2, 3)
    assert group.raft(leading_).status().conf == ConfState(voters=(2, 3))


def test_6_a_leader_does_not_count_itself_in_a_majority_it_does_not_belong_to() -> None:
    conf = ConfState(voters=(2, 3), voters_outgoing=(1, 2, 3), auto_leave=True)
    solo = Solo(disk_with(1, conf=conf))
    solo.elect(2, 3)
    solo.receive(MsgAppResp(2, 1, 2, 2))
    assert solo.raft.commit == 0, "1 and 2 are a majority of the old, 2 alone is none of the new"
    solo.receive(MsgAppResp(3, 1, 2, 2))
    assert solo.raft.commit == 2


def test_6_a_leader_that_becomes_a_learner_steps_down() -> None:
    group = grown(3)
    group.change(1, (2, 3), learners=(1,))
    assert group.raft(1).role is Role.FOLLOWER
    group.tick(1_500)
    (leading_,) = group.leaders
    group.propose(leading_, b"x")
    group.tick(300)
    assert group.data(1) == [b"x"]


def test_6_a_removed_server_does_not_disturb_the_others() -> None:
    group = grown(3)
    group.isolate(3)
    group.change(1, (1, 2))  # 3 never hears of it
    group.heal()
    term = group.raft(1).term
    group.tick(10_000)
    assert (group.leaders, group.raft(1).term) == ([1], term)
    assert any(m.sender == 3 for m in of_kind(group.sent, MsgPreVote)), "it tried"


@pytest.mark.parametrize("since_ms", [0, 499])
def test_6_a_vote_request_is_disregarded_while_a_leader_is_heard(since_ms: int) -> None:
    solo = Solo(disk_with(1))
    solo.receive(MsgHeartbeat(2, 1, 1, 1))
    solo.now = since_ms
    assert solo.receive(MsgVote(3, 1, 9, 9, 9)) == []
    assert solo.receive(MsgPreVote(3, 1, 9, 9, 9)) == []
    assert (solo.raft.term, solo.raft.leader) == (1, 2)


def test_6_a_vote_request_is_granted_after_the_minimum_election_timeout() -> None:
    solo = Solo(disk_with(1))
    solo.receive(MsgHeartbeat(2, 1, 1, 1))
    solo.now = 500
    (answer,) = solo.receive(MsgPreVote(3, 1, 9, 9, 9))
    assert not answer.reject
    (answer,) = solo.receive(MsgVote(3, 1, 9, 9, 9))
    assert not answer.reject


def test_6_a_leader_disregards_candidates() -> None:
    solo = leading()
    solo.now = 450
    assert solo.receive(MsgVote(3, 1, 9, 9, 9)) == []
    assert solo.raft.role is Role.LEADER


def test_6_a_request_that_the_leader_wished_for_is_heard_all_the_same() -> None:
    solo = Solo(disk_with(1))
    solo.receive(MsgHeartbeat(2, 1, 1, 1))
    (answer,) = solo.receive(MsgVote(3, 1, 2, 1, 1, transfer=True))
    assert not answer.reject


def test_6_a_removed_leader_s_longer_log_does_not_stop_the_others() -> None:
    """1 knows that the joint configuration was left, does not vote in the new one, and has entries that nobody else
    has. The others never heard of the leaving, so that they need its vote, which their logs don't deserve. Its
    refusal tells them what is committed.
    """
    joint = ConfState(voters=(2, 3), voters_outgoing=(1,), auto_leave=True)
    leave = Entry(1, 2, EntryKind.CONF_CHANGE, encode_change(ConfChange()))
    group = Group({m: disk_with(1, conf=joint, commit=1) for m in (1, 2, 3)})
    more = {1: (leave, Entry(1, 3, 0, b"x"), Entry(1, 4, 0, b"y")), 2: (leave,), 3: (leave,)}
    for member, held in more.items():
        leader, other = (2, 3) if member != 2 else (3, 2)
        assert other
        commit = 2 if member == 1 else 1
        group.members[member].receive(MsgApp(leader, member, 1, 1, 1, held, commit))
    assert conf_of(group, 1) == ConfState(voters=(2, 3))
    assert conf_of(group, 2) == joint
    group.tick(5_000)
    (leading_,) = group.leaders
    assert leading_ in (2, 3)
    assert conf_of(group, leading_) == ConfState(voters=(2, 3))


@pytest.mark.parametrize("term", [1, 2, 9])
def test_6_what_a_voter_knows_to_be_committed_is_learnt_only_for_the_same_entry(term: int) -> None:
    solo = Solo(disk_with(1, 2, 2, term=3))
    solo.step(Campaign())
    solo.receive(MsgPreVoteResp(2, 1, 1, True, commit=2, commit_term=term))
    assert solo.raft.commit == (2 if term == 2 else 0)


# What the leader told of a change before it died for good: voters that know it is committed and lack what follows,
# and members that hold all of the log and were never told. (before, change, who knows, who has the longer log)
HALF_TOLD = {
    "three become five": (
        ConfState(voters=(1, 2, 3), learners=(4, 5)),
        ConfChange((1, 2, 3, 4, 5)),
        (2, 3),
        (4, 5),
    ),
    "a voter is replaced": (ConfState(voters=(1, 2, 3), learners=(4,)), ConfChange((1, 2, 4)), (2, 3), (4,)),
    "two become three": (ConfState(voters=(1, 2), learners=(3,)), ConfChange((1, 2, 3)), (2,), (3,)),
}


@pytest.mark.parametrize("story", HALF_TOLD)
def test_6_a_living_majority_elects_a_leader_though_its_longest_logs_never_heard_of_their_promotion(
    story: str,
) -> None:
    before, change, knowing, longer = HALF_TOLD[story]
    promotion = Entry(1, 2, EntryKind.CONF_CHANGE, encode_change(change))
    group = Group({m: disk_with(1, conf=before, commit=1) for m in (*knowing, *longer)})
    for member in knowing:
        group.members[member].receive(MsgApp(1, member, 1, 1, 1, (promotion,), 2))
    for member in longer:
        group.members[member].receive(MsgApp(1, member, 1, 1, 1, (promotion, Entry(1, 3, 0, b"x")), 1))
    assert not is_voter(conf_of(group, longer[0]), longer[0])
    group.tick(5_000)
    (leading_,) = group.leaders
    assert leading_ in longer, "who has the longer log leads"
    for member in group.members:
        if member in change.voters:
            assert conf_of(group, member) == ConfState(voters=change.voters)


@pytest.mark.parametrize("kind", [MsgVote, MsgPreVote])
@pytest.mark.parametrize("term", [1, 2, 9])
def test_6_what_a_candidate_knows_to_be_committed_is_learnt_only_for_the_same_entry(
    kind: type[MsgVote | MsgPreVote], term: int
) -> None:
    solo = Solo(disk_with(1, 2, 2, term=3))
    solo.receive(kind(2, 1, 4, 1, 1, commit=2, commit_term=term))
    assert solo.raft.commit == (2 if term == 2 else 0)


@pytest.mark.parametrize("kind", [MsgVote, MsgPreVote])
def test_6_what_a_candidate_of_an_older_term_knows_to_be_committed_is_learnt_too(
    kind: type[MsgVote | MsgPreVote],
) -> None:
    solo = Solo(disk_with(1, 2, 2, term=9))
    solo.receive(kind(2, 1, 4, 1, 1, commit=2, commit_term=2))
    assert (solo.raft.commit, solo.raft.term) == (2, 9)


def test_6_a_joint_configuration_is_left_by_whoever_has_committed_in_its_term_and_stays_leader() -> None:
    solo = Solo(disk_with(1, conf=JOINT), member=3)
    solo.elect(1, 4)
    assert solo.terms == [1, 2], "nothing of this term is committed yet"
    solo.step(TransferLeader(4))
    for sender in (1, 4):
        solo.receive(MsgAppResp(sender, 3, 2, 2))
    assert (solo.raft.commit, solo.terms) == (2, [1, 2]), "it hands over"
    for _ in range(6):
        solo.tick(100)
        for sender in (1, 4):
            solo.receive(MsgHeartbeatResp(sender, 3, 2))
    assert solo.terms == [1, 2, 2], "nobody took over"


def test_6_a_candidate_that_learns_of_its_removal_gives_up() -> None:
    removal = Entry(1, 2, EntryKind.CONF_CHANGE, encode_change(ConfChange((2, 3))))
    disk = disk_with(1, commit=1)
    disk.entries.append(removal)
    solo = Solo(disk)
    solo.step(Campaign())
    assert solo.raft.role is Role.PRE_CANDIDATE
    solo.receive(MsgPreVoteResp(2, 1, 1, True, commit=2, commit_term=1))
    assert solo.raft.status().conf.voters == (2, 3)
    assert solo.raft.role is Role.FOLLOWER


def test_6_votes_are_not_counted_by_a_configuration_that_one_of_them_tells_is_over() -> None:
    change = Entry(1, 2, EntryKind.CONF_CHANGE, encode_change(ConfChange((1, 2, 3, 4, 5))))
    disk = disk_with(1, commit=1)
    disk.entries.append(change)
    solo = Solo(disk)
    solo.step(Campaign())
    solo.receive(MsgPreVoteResp(2, 1, 2, False))
    assert solo.raft.role is Role.CANDIDATE
    solo.receive(MsgVoteResp(2, 1, 2, False, commit=2, commit_term=1))
    assert len(solo.raft.status().conf.voters) == 5
    assert solo.raft.role is not Role.LEADER, "two of five"
    asked = of_kind(solo.step(Tick()), MsgPreVote)
    assert sorted(message.to for message in asked) == [2, 3, 4, 5], "it campaigns anew at once"
    solo.elect(2, 3)


def test_a_group_that_shrinks_to_one_goes_on_at_once() -> None:
    group = group_of(2)
    group.campaign(2)
    group.change(2, (1,))
    assert group.raft(1).next_deadline_ms() == group.now
    group.tick(0)
    assert group.raft(1).role is Role.LEADER
    group.propose(1, b"alone")
    assert group.data(1) == [b"alone"]
