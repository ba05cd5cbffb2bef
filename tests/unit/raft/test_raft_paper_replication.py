"""The claims of the Raft paper on log replication: sections 5.3 and 5.4.2."""

import pytest
from raft_kit import Group, Solo, disk_with, entries, group_of, of_kind

from orion.raft.interface import PeerUnreachable, Persisted, ProposalRefused, Propose, Received, Role
from orion.raft.log import LogBroken
from orion.raft.messages import (
    ConfState,
    Entry,
    EntryKind,
    HardState,
    MsgApp,
    MsgAppResp,
    MsgHeartbeat,
    MsgHeartbeatResp,
    MsgVote,
)

# Figure 7: the leader's log, and those of followers when it comes to power.
FIGURE_7_LEADER = (1, 1, 1, 4, 4, 5, 5, 6, 6, 6)
FIGURE_7_FOLLOWERS = {
    "a": (1, 1, 1, 4, 4, 5, 5, 6, 6),
    "b": (1, 1, 1, 4),
    "c": (1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6),
    "d": (1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7),
    "e": (1, 1, 1, 4, 4, 4, 4),
    "f": (1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3),
}


def leader(*terms: int, commit: int = 0, **tuning: int) -> Solo:
    """Leads one term later than its log's last, and has been answered by nobody."""
    solo = Solo(disk_with(*(terms or (1,)), commit=commit), **tuning)
    solo.elect(2)
    return solo


def replicating(**tuning: int) -> Solo:
    """Leads term 2; both followers have everything, which is committed."""
    solo = leader(1, **tuning)
    for follower in (2, 3):
        solo.receive(MsgAppResp(follower, 1, 2, 2))
    assert solo.raft.commit == 2
    return solo


def follower(*terms: int, commit: int = 0) -> Solo:
    return Solo(disk_with(*terms, commit=commit))


# --- 5.3 the leader ---------------------------------------------------------------------------------------


def test_5_3_a_command_is_appended_and_sent_to_all_in_parallel() -> None:
    solo = replicating()
    sent = of_kind(solo.step(Propose((b"x",))), MsgApp)
    entry = Entry(2, 3, 0, b"x")
    assert [(m.to, m.index, m.log_term, m.entries) for m in sent] == [(2, 2, 2, (entry,)), (3, 2, 2, (entry,))]


def test_5_3_followers_get_the_very_same_entries() -> None:
    """Built once: what costs is per entry, not per follower and entry."""
    solo = replicating()
    two, three = of_kind(solo.step(Propose((b"x", b"y"))), MsgApp)
    assert two.entries is three.entries


@pytest.mark.parametrize(
    ("voters", "acks", "committed"),
    [(1, (), True), (3, (), False), (3, (2,), True), (5, (2,), False), (5, (2, 3), True), (4, (2,), False)],
)
def test_5_3_an_entry_is_committed_once_a_majority_has_it(voters: int, acks, committed: bool) -> None:
    solo = Solo(disk_with(1, conf=ConfState(voters=tuple(range(1, voters + 1)))))
    if voters == 1:
        solo.tick(0)
    else:
        solo.elect(*range(2, voters + 1))
    for sender in acks:
        solo.receive(MsgAppResp(sender, 1, 2, 2))
    assert (solo.raft.commit == 2) is committed
    assert ([e.index for e in solo.applied] == [1, 2]) is committed


def test_5_3_an_entry_is_applied_when_it_is_committed_and_only_once() -> None:
    solo = replicating()
    solo.step(Propose((b"x",)))
    assert [e.data for e in solo.applied if e.index > 2] == []
    for sender in (2, 3, 2):
        solo.receive(MsgAppResp(sender, 1, 2, 3))
    assert [e.data for e in solo.applied if e.index > 2] == [b"x"]


def test_5_3_committing_an_entry_commits_all_before_it_those_of_earlier_leaders_too() -> None:
    solo = leader(1, 1, 2)
    assert solo.applied == []
    solo.receive(MsgAppResp(2, 1, 3, 4))
    assert [(e.index, e.term) for e in solo.applied] == [(1, 1), (2, 1), (3, 2), (4, 3)]


def test_5_3_followers_learn_the_commit_index_from_appends() -> None:
    solo = replicating()
    solo.step(Propose((b"x",)))
    told = of_kind(solo.receive(MsgAppResp(2, 1, 2, 3)), MsgApp)
    assert [(m.to, m.commit) for m in told] == [(2, 3), (3, 3)]


def test_5_3_a_heartbeat_never_tells_more_than_the_follower_has() -> None:
    solo = leader(1, 1, 1, commit=3)
    solo.receive(MsgAppResp(2, 1, 2, 4))
    solo.receive(MsgAppResp(3, 1, 2, 2))
    beats = of_kind(solo.tick(100), MsgHeartbeat)
    assert {m.to: m.commit for m in beats} == {2: 4, 3: 2}


def test_5_3_a_follower_applies_what_it_learns_to_be_committed_in_order() -> None:
    solo = follower(1)
    solo.receive(MsgApp(2, 1, 1, 1, 1, tuple(entries(1, 1, 1, first=2)), 3))
    assert [e.index for e in solo.applied] == [1, 2, 3]
    solo.receive(MsgHeartbeat(2, 1, 1, 4))
    assert [e.index for e in solo.applied] == [1, 2, 3, 4]


def test_5_3_a_follower_commits_no_more_than_it_was_sent() -> None:
    """Entries past those of the message may be other ones than the leader's."""
    solo = follower(1, 1, 1)
    solo.receive(MsgApp(2, 1, 2, 1, 1, (), 3))
    assert solo.raft.commit == 1


def test_5_3_a_follower_acknowledges_no_more_than_it_was_sent() -> None:
    solo = follower(1, 1, 1)
    (answer,) = solo.receive(MsgApp(2, 1, 2, 1, 1, (), 0))
    assert (answer.reject, answer.index) == (False, 1)


def test_5_3_the_leader_tries_again_until_all_have_all() -> None:
    solo = replicating()
    solo.step(Propose((b"x",)))
    solo.receive(MsgAppResp(2, 1, 2, 3))  # committed; 3 got nothing of it
    (again,) = of_kind(solo.receive(MsgHeartbeatResp(3, 1, 2)), MsgApp)
    assert (again.to, again.index) == (3, 3)
    (again,) = of_kind(solo.receive(MsgAppResp(3, 1, 2, 3, True, 2, 2)), MsgApp)
    assert (again.to, again.index, [e.data for e in again.entries]) == (3, 2, [b"x"])


def test_5_3_one_slow_follower_holds_nobody_up() -> None:
    group = group_of(3)
    group.campaign(1)
    group.isolate(3)
    for number in range(20):
        group.propose(1, b"%d" % number)
    assert len(group.data(1)) == 20
    assert len(group.data(2)) == 20


# --- 5.3 the consistency check ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "term", "hint"), [(2, 1, None), (3, 2, None), (4, 2, (3, 2)), (3, 1, (2, 1)), (9, 3, (3, 2))]
)
def test_5_3_appends_are_refused_where_the_entry_before_is_missing_or_another(index, term, hint) -> None:
    solo = follower(1, 1, 2)
    (answer,) = solo.receive(MsgApp(2, 1, 4, index, term, (), 0))
    assert answer.reject is (hint is not None)
    assert answer.index == index
    if hint is not None:
        assert (answer.hint_index, answer.hint_term) == hint
    assert solo.terms == [1, 1, 2], "a refusal changes nothing"


@pytest.mark.parametrize(
    ("index", "term", "new", "log"),
    [
        (2, 2, (3,), (1, 2, 3)),
        (1, 1, (3, 4), (1, 3, 4)),
        (0, 0, (1,), (1, 2)),  # nothing new: what follows stays
        (0, 0, (3,), (3,)),
        (1, 1, (2,), (1, 2)),
        (2, 2, (), (1, 2)),
    ],
)
def test_5_3_conflicting_entries_and_all_after_them_are_replaced(index, term, new, log) -> None:
    solo = follower(1, 2)
    (answer,) = solo.receive(MsgApp(2, 1, 4, index, term, tuple(entries(*new, first=index + 1)), 0))
    assert not answer.reject
    assert solo.terms == list(log)
    assert [e.term for e in solo.disk.entries] == list(log), "on the disk as well"


def test_5_3_a_late_append_does_not_shorten_the_log() -> None:
    solo = follower(1)
    whole = tuple(entries(1, 1, 1, first=2))
    solo.receive(MsgApp(2, 1, 1, 1, 1, whole, 4))
    for late in (whole[:1], whole[:2], ()):
        (answer,) = solo.receive(MsgApp(2, 1, 1, 1, 1, late, 2))
        assert (answer.reject, answer.index) == (False, 4), "all that is committed agrees"
    assert solo.terms == [1, 1, 1, 1]


def test_5_3_nothing_replaces_a_committed_entry() -> None:
    solo = follower(1, 1, 1, commit=2)
    with pytest.raises(LogBroken, match="replace entry 2, but 2 are committed"):
        solo.raft._me.log.try_append(1, 1, (Entry(4, 2),))


@pytest.mark.parametrize("name", FIGURE_7_FOLLOWERS)
def test_5_3_figure_7_the_leader_brings_every_log_to_its_own(name: str) -> None:
    leads, lags = disk_with(*FIGURE_7_LEADER, term=7), disk_with(*FIGURE_7_FOLLOWERS[name], term=7)
    group = Group({1: leads, 2: lags, 3: disk_with(1, 1, 1)})
    group.campaign(1)
    assert group.raft(1).role is Role.LEADER, "3 votes for it"
    group.tick(500)
    assert group[2].terms == [*FIGURE_7_LEADER, 8]
    assert group[2].log == group[1].log
    assert group[3].log == group[1].log


@pytest.mark.parametrize("name", FIGURE_7_FOLLOWERS)
def test_5_3_figure_7_one_refusal_at_most_for_each_term_in_question(name: str) -> None:
    leads, lags = disk_with(*FIGURE_7_LEADER, term=7), disk_with(*FIGURE_7_FOLLOWERS[name], term=7)
    group = Group({1: leads, 2: lags, 3: disk_with(1, 1, 1)})
    group.campaign(1)
    group.tick(200)
    refusals = [m for m in of_kind(group.sent, MsgAppResp) if m.reject and m.sender == 2]
    assert len(refusals) <= 2


def test_5_3_the_leader_skips_what_a_refusal_rules_out() -> None:
    """Entries of the leader's that are of a newer term than the hint's can't agree (end of section 5.3)."""
    solo = leader(1, 3, 3, 3, 5, 5, 5, 5, 5)
    (probe,) = of_kind(solo.receive(MsgAppResp(2, 1, 6, 9, True, 6, 2)), MsgApp)
    assert (probe.index, probe.log_term) == (1, 1)


def test_5_3_the_follower_skips_what_the_probe_rules_out() -> None:
    solo = follower(1, 3, 3, 4, 4, 5, 5, 5, 6)
    (answer,) = solo.receive(MsgApp(2, 1, 8, 8, 3, (), 0))
    assert (answer.hint_index, answer.hint_term) == (3, 3)


def test_5_3_a_stale_refusal_changes_nothing() -> None:
    solo = replicating()
    solo.step(Propose((b"x",)))
    solo.receive(MsgAppResp(2, 1, 2, 3))
    assert of_kind(solo.receive(MsgAppResp(2, 1, 2, 2, True, 1, 1)), MsgApp) == []
    assert solo.raft.status().followers[2].state == "replicate"


def test_5_3_a_leader_only_appends_to_its_own_log() -> None:
    solo = replicating()
    before = solo.log
    solo.receive(MsgApp(3, 1, 2, 1, 1, tuple(entries(2, first=2)), 0))  # nobody else leads term 2
    assert solo.log == before


# --- 5.4.2 entries of earlier terms -----------------------------------------------------------------------


@pytest.mark.parametrize(("acked", "commit"), [(1, 0), (2, 0), (3, 3)])
def test_5_4_2_entries_of_earlier_terms_are_not_committed_by_counting(acked: int, commit: int) -> None:
    solo = leader(1, 2)  # leads term 3, whose first entry is the third
    solo.receive(MsgAppResp(2, 1, 3, acked))
    assert solo.raft.commit == commit


def test_5_4_2_figure_8_an_old_entry_on_a_majority_may_still_be_replaced() -> None:
    """(c) S1 leads term 4 and has brought entry 2 of its term 2 to a majority; (d) S5 may still win and replace it;
    (e) once an entry of term 4 is on a majority, S5 can't.
    """
    five = ConfState(voters=(1, 2, 3, 4, 5))

    def after_c() -> Group:
        logs = {1: (1, 2), 2: (1, 2), 3: (1,), 4: (1,), 5: (1, 3)}
        group = Group({m: disk_with(*log, term=3, conf=five) for m, log in logs.items()})
        group.passes = lambda m: m.to != 5 and not (isinstance(m, MsgApp) and any(e.term == 4 for e in m.entries))
        group.campaign(1)
        assert group.raft(1).role is Role.LEADER
        group.carry([MsgApp(1, 3, 4, 1, 1, tuple(entries(2, first=2)), 0)])
        assert [group[m].terms for m in (1, 2, 3)] == [[1, 2, 4], [1, 2], [1, 2]]
        return group

    group = after_c()
    assert {group.raft(m).commit for m in group.members} == {0}, "entry 2 is on a majority and not committed"
    group.isolate(1)
    group.now = 5_000
    for solo in group.members.values():
        solo.now = group.now
    group.campaign(5)  # its term is behind, so that it takes two attempts
    group.campaign(5)
    assert group.raft(5).role is Role.LEADER
    assert group[3].terms[:2] == [1, 3]

    group = after_c()
    group.heal()
    group.passes = lambda m: m.to != 5
    group.tick(500)
    assert group.raft(1).commit == 3
    group.isolate(1)
    for solo in group.members.values():
        solo.now = 9_000
    for _ in range(3):
        group.campaign(5)
    assert group.raft(5).role is not Role.LEADER


# --- storage, pipelining and limits -----------------------------------------------------------------------


def test_an_acknowledgement_leaves_after_the_entries_are_on_disk() -> None:
    solo = follower(1)
    solo.raft.step(0, Received(MsgApp(2, 1, 1, 1, 1, tuple(entries(1, first=2)), 2)))
    ready = solo.raft.ready()
    assert ready.messages == ()
    assert ready.must_sync
    assert [m.index for m in of_kind(ready.messages_after_persist, MsgAppResp)] == [2]
    assert [e.index for e in ready.committed] == [1], "entry 2 is not on this disk yet"
    solo.raft.step(0, Persisted(ready.persist_seq))
    assert [e.index for e in solo.raft.ready().committed] == [2]


def test_the_leader_sends_before_its_own_fsync_and_counts_itself_after_it() -> None:
    solo = replicating()
    solo.raft.step(0, Propose((b"x",)))
    first = solo.raft.ready()
    assert len(of_kind(first.messages, MsgApp)) == 2
    solo.raft.step(0, Received(MsgAppResp(2, 1, 2, 3)))
    assert solo.raft.commit == 2
    solo.raft.step(0, Persisted(first.persist_seq))
    assert solo.raft.commit == 3


def test_several_batches_may_be_under_way() -> None:
    solo = replicating()
    readies = []
    for data in (b"x", b"y", b"z"):
        solo.raft.step(0, Propose((data,)))
        readies.append(solo.raft.ready())
    assert [[e.data for e in r.entries] for r in readies] == [[b"x"], [b"y"], [b"z"]]
    solo.raft.step(0, Received(MsgAppResp(2, 1, 2, 5)))
    solo.raft.step(0, Persisted(readies[1].persist_seq))
    assert solo.raft.commit == 4
    assert [e.data for e in solo.raft.ready().committed] == [b"x", b"y"]


def test_a_commit_index_alone_needs_no_fsync() -> None:
    solo = follower(1, 1)
    solo.raft.step(0, Received(MsgHeartbeat(2, 1, 1, 2)))
    ready = solo.raft.ready()
    assert ready.hard_state == HardState(1, 0, 2)
    assert ready.must_persist
    assert not ready.must_sync


def test_the_commit_of_a_configuration_is_synced() -> None:
    """Whoever forgot, by a loss of power, that a joint one was left would need the votes of those who have left."""
    solo = follower(1)
    change = Entry(1, 2, EntryKind.CONF_CHANGE, b"")
    solo.raft.step(0, Received(MsgApp(2, 1, 1, 1, 1, (change,), 1)))
    solo.raft.step(0, Persisted(solo.raft.ready().persist_seq))
    solo.raft.step(0, Received(MsgHeartbeat(2, 1, 1, 2)))
    ready = solo.raft.ready()
    assert ready.hard_state == HardState(1, 0, 2)
    assert ready.must_sync


def test_a_write_that_was_superseded_proves_nothing() -> None:
    """The same entries may even come back before the first write is finished (ABA)."""
    solo = follower(1)
    log = solo.raft._me.log
    old = tuple(entries(2, 2, first=2))
    log.append(old)
    log.hand_out(101)
    log.try_append(1, 1, (Entry(3, 2),))
    log.hand_out(102)
    log.try_append(1, 1, old)
    log.hand_out(103)
    log.persisted(101)
    assert log.stable == 1, "what is on disk now is about to be replaced"
    log.persisted(102)
    assert log.stable == 1
    log.persisted(103)
    assert log.stable == 3


def test_idle_heartbeats_leave_nothing_behind() -> None:
    """A Ready with nothing to write is not followed by Persisted."""
    solo = follower(1)
    for _ in range(100):
        solo.receive(MsgHeartbeat(2, 1, 1, 1))
    assert len(solo.raft._me.log._writing) == 0


def test_append_messages_are_bounded_and_so_are_those_under_way() -> None:
    solo = replicating(max_append_bytes=50, max_inflight_messages=3)
    sent = [m for m in of_kind(solo.step(Propose((b"x" * 9,) * 10)), MsgApp) if m.to == 2]
    assert [len(m.entries) for m in sent] == [2, 2, 2]
    more = [m for m in of_kind(solo.receive(MsgAppResp(2, 1, 2, 4)), MsgApp) if m.to == 2]
    assert [m.entries[0].index for m in more] == [9]


def test_bytes_under_way_are_bounded() -> None:
    solo = replicating(max_append_bytes=1, max_inflight_bytes=100)
    sent = [m for m in of_kind(solo.step(Propose((b"x" * 34,) * 10)), MsgApp) if m.to == 2]
    assert len(sent) == 2


def test_a_single_entry_may_be_larger_than_every_bound() -> None:
    solo = replicating(max_append_bytes=1, max_inflight_bytes=1, max_uncommitted_bytes=1, max_apply_bytes=1)
    sent = of_kind(solo.step(Propose((b"x" * 500,))), MsgApp)
    assert [len(m.entries) for m in sent] == [1, 1]
    solo.receive(MsgAppResp(2, 1, 2, 3))
    assert solo.applied[-1].data == b"x" * 500


def test_a_full_window_is_opened_again_when_everything_was_lost() -> None:
    solo = replicating(max_inflight_messages=1)
    solo.step(Propose((b"x",)))
    solo.step(Propose((b"y",)))
    (probe,) = of_kind(solo.receive(MsgHeartbeatResp(2, 1, 2)), MsgApp)
    assert (probe.index, probe.entries) == (3, ())
    (again,) = of_kind(solo.receive(MsgAppResp(2, 1, 2, 3, True, 2, 2)), MsgApp)
    assert [e.data for e in again.entries] == [b"x", b"y"]


def test_messages_to_an_unreachable_member_are_not_sent_over_and_over() -> None:
    solo = replicating()
    solo.step(PeerUnreachable(2))
    assert solo.raft.status().followers[2].state == "probe"
    sent = of_kind(solo.step(Propose((b"x",))), MsgApp)
    assert [m.to for m in sent] == [3]
    assert solo.step(PeerUnreachable(2)) == []
    (probe,) = of_kind(solo.receive(MsgHeartbeatResp(2, 1, 2)), MsgApp)
    assert (probe.to, probe.index, len(probe.entries)) == (2, 2, 1)


def test_an_unreachable_member_s_probe_stays_where_it_was() -> None:
    """That it can't be reached is no reason to send it the log from the beginning."""
    solo = leader(1, 1, 1, 1)
    solo.step(PeerUnreachable(2))
    (probe,) = of_kind(solo.receive(MsgHeartbeatResp(2, 1, 2)), MsgApp)
    assert probe.index == 4


def test_uncommitted_entries_are_bounded() -> None:
    solo = replicating(max_uncommitted_bytes=200)
    solo.step(Propose((b"x" * 100,)))
    with pytest.raises(ProposalRefused, match="wait to be committed"):
        solo.step(Propose((b"x" * 100,)))
    assert solo.raft.status().last_index == 3, "nothing was appended"
    solo.receive(MsgAppResp(2, 1, 2, 3))
    solo.step(Propose((b"x" * 100,)))


def test_committed_entries_are_handed_out_in_bounded_batches() -> None:
    solo = follower(1, 1, 1, 1)
    solo.raft._me.config = type(solo.config)(id=1, max_apply_bytes=60)
    solo.raft.step(0, Received(MsgHeartbeat(2, 1, 1, 4)))
    batches = []
    while solo.raft.has_ready():
        batches.append(len(solo.raft.ready().committed))
    assert batches == [3, 1]


def test_only_a_leader_takes_proposals() -> None:
    with pytest.raises(ProposalRefused, match="does not lead"):
        follower(1).step(Propose((b"x",)))


def test_a_log_that_lost_what_it_acknowledged_is_noticed() -> None:
    """A disk was rolled back: the leader knows this member to hold more than it does."""
    with pytest.raises(LogBroken, match="acknowledged entries are lost"):
        follower(1).receive(MsgHeartbeat(2, 1, 1, 5))
    with pytest.raises(LogBroken, match="the log ends at 1"):
        follower(1, commit=3)


def test_an_append_with_a_gap_in_it_is_ignored() -> None:
    solo = follower(1)
    assert solo.receive(MsgApp(2, 1, 1, 1, 1, tuple(entries(1, first=7)), 9)) == []
    assert solo.terms == [1]


def test_a_restarted_member_rebuilds_its_state_from_the_snapshot() -> None:
    solo = Solo(disk_with(1, 1, 1, snapshot=5, commit=7, term=1))
    assert [e.index for e in solo.applied] == [6, 7]
    assert solo.raft.status().first_index == 6


def test_a_snapshot_may_be_newer_than_the_hard_state_beside_it() -> None:
    """A commit index needs no fsync, and a bootstrap writes no hard state at all."""
    solo = Solo(disk_with(snapshot=5))
    assert (solo.raft.term, solo.raft.commit) == (1, 5)
    assert solo.disk.hard_state == HardState(1, 0, 5)
    (answer,) = solo.receive(MsgVote(2, 1, 1, 9, 1))
    assert not answer.reject
