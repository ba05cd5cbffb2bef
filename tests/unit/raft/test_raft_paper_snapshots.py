"""The claims of the Raft paper on log compaction: section 7."""

import pytest
from raft_kit import Group, Solo, disk_with, entries, group_of, of_kind

from orion.raft.interface import Campaign, Compacted, PeerUnreachable, Persisted, Propose, Received, Role
from orion.raft.messages import (
    ConfState,
    HardState,
    MsgApp,
    MsgAppResp,
    MsgHeartbeat,
    MsgHeartbeatResp,
    MsgSnap,
    MsgSnapStatus,
    SnapshotMeta,
)

CONF = ConfState(voters=(1, 2, 3))


def compacting(last: int = 10, kept: int = 11) -> Solo:
    """Leads term 2 with entries up to `last` committed; 3 was never heard; the log begins at `kept`."""
    solo = Solo(disk_with(*(1,) * (last - 1)))
    solo.elect(2)
    solo.receive(MsgAppResp(2, 1, 2, last))
    assert solo.raft.commit == last
    meta = SnapshotMeta(last, 2, CONF)
    solo.disk.save_snapshot(meta, 0, kept)
    solo.step(Compacted(meta, kept))
    return solo


def offering(**lags: int) -> Solo:
    solo = compacting(**lags)
    sent = solo.receive(MsgHeartbeatResp(3, 1, 2))
    sent += solo.receive(MsgAppResp(3, 1, 2, 9, True, 1, 1))
    (offer,) = of_kind(sent, MsgSnap)
    assert (offer.to, offer.meta) == (3, SnapshotMeta(10, 2, CONF))
    return solo


# --- taking -----------------------------------------------------------------------------------------------


def test_7_each_server_discards_the_log_behind_its_own_snapshot() -> None:
    solo = compacting()
    status = solo.raft.status()
    assert (status.first_index, status.last_index, status.snapshot_index) == (11, 10, 10)


def test_7_a_margin_may_be_kept_for_followers_that_lag_a_little() -> None:
    solo = compacting(kept=6)
    assert solo.raft.status().first_index == 6
    solo.receive(MsgHeartbeatResp(3, 1, 2))
    sent = solo.receive(MsgAppResp(3, 1, 2, 9, True, 6, 1))
    (append,) = of_kind(sent, MsgApp)
    assert (append.index, append.log_term, len(append.entries)) == (6, 1, 4)
    assert of_kind(sent, MsgSnap) == []


def test_7_the_last_included_term_serves_the_check_of_the_entry_after_it() -> None:
    solo = compacting()
    sent = of_kind(solo.step(Propose((b"x",))), MsgApp)
    assert {(m.index, m.log_term) for m in sent if m.to == 2} == {(10, 2)}
    lagging = Solo(disk_with(snapshot=5))
    (yes,) = lagging.receive(MsgApp(2, 1, 1, 5, 1, tuple(entries(1, first=6)), 0))
    assert (yes.reject, yes.index) == (False, 6)


def test_7_the_latest_configuration_is_in_the_snapshot() -> None:
    solo = Solo(disk_with(conf=ConfState()))
    conf = ConfState(voters=(2, 3), learners=(1,))
    solo.receive(MsgSnap(2, 1, 4, SnapshotMeta(8, 3, conf)))
    assert solo.raft.status().conf == conf


def test_7_a_snapshot_older_than_the_newest_changes_nothing() -> None:
    solo = compacting()
    solo.step(Compacted(SnapshotMeta(4, 1, CONF), 5))
    assert solo.raft.status().snapshot_index == 10


# --- sending ----------------------------------------------------------------------------------------------


def test_7_the_leader_sends_a_snapshot_when_it_has_discarded_what_a_follower_needs() -> None:
    solo = offering()
    assert solo.raft.status().followers[3].state == "snapshot"


def test_7_nothing_else_is_sent_until_the_snapshot_is_there() -> None:
    solo = offering()
    sent = of_kind(solo.step(Propose((b"x",))), MsgApp)
    assert [m.to for m in sent] == [2]
    assert of_kind(solo.receive(MsgHeartbeatResp(3, 1, 2)), MsgApp) == []


def test_7_the_log_goes_on_after_a_snapshot() -> None:
    solo = offering()
    solo.step(Propose((b"x",)))
    (append,) = [m for m in of_kind(solo.receive(MsgAppResp(3, 1, 2, 10)), MsgApp) if m.to == 3]
    assert (append.index, [e.data for e in append.entries]) == (10, [b"x"])
    assert solo.raft.status().followers[3].state == "replicate"


def test_7_an_answer_that_is_not_enough_does_not_end_the_wait() -> None:
    solo = offering()
    assert solo.receive(MsgAppResp(3, 1, 2, 4)) == []
    follower = solo.raft.status().followers[3]
    assert (follower.state, follower.match) == ("snapshot", 4)


def test_7_a_follower_whose_snapshot_was_overtaken_is_offered_the_newest_at_once() -> None:
    solo = offering()
    assert solo.raft.awaits_snapshots
    for data in (b"x", b"y"):
        solo.step(Propose((data,)))
    solo.receive(MsgAppResp(2, 1, 2, 12))
    newer = SnapshotMeta(12, 2, CONF)
    solo.step(Compacted(newer, 13))
    (offer,) = of_kind(solo.receive(MsgAppResp(3, 1, 2, 10)), MsgSnap)
    assert (offer.to, offer.meta) == (3, newer)
    solo.receive(MsgAppResp(3, 1, 2, 12))
    assert solo.raft.status().followers[3].state == "replicate"
    assert not solo.raft.awaits_snapshots


def test_7_a_follower_that_catches_up_by_other_means_is_welcome() -> None:
    solo = offering(kept=8)
    solo.receive(MsgAppResp(3, 1, 2, 7))
    assert solo.raft.status().followers[3].state == "replicate"


def test_7_a_snapshot_that_could_not_be_fetched_is_offered_again_after_a_heartbeat() -> None:
    solo = offering()
    assert solo.receive(MsgSnapStatus(3, 1, 2, 10)) == []
    assert solo.raft.status().followers[3].state == "probe"
    (offer,) = of_kind(solo.receive(MsgHeartbeatResp(3, 1, 2)), MsgSnap)
    assert offer.meta.index == 10


def test_7_after_a_bounded_time_the_follower_is_asked_whether_it_has_it() -> None:
    solo = offering()
    asked = []
    for _ in range(101):
        asked += of_kind(solo.tick(100), MsgApp)
        solo.receive(MsgHeartbeatResp(2, 1, 2))
    assert {(m.to, m.index, m.log_term) for m in asked} == {(3, 10, 2)}
    assert of_kind(solo.receive(MsgAppResp(3, 1, 2, 10, True, 1, 1)), MsgSnap) != [], "it has not"


def test_7_a_follower_that_is_not_heard_is_not_offered_a_snapshot_again() -> None:
    solo = offering()
    for data in (b"x", b"y"):
        solo.step(Propose((data,)))
    solo.receive(MsgAppResp(2, 1, 2, 12))
    newer = SnapshotMeta(12, 2, CONF)
    solo.step(Compacted(newer, 13))
    for _ in range(150):
        assert of_kind(solo.tick(100), MsgSnap) == []
        solo.receive(MsgHeartbeatResp(2, 1, 2))
    assert solo.raft.status().followers[3].state == "probe"
    (offer,) = of_kind(solo.receive(MsgHeartbeatResp(3, 1, 2)), MsgSnap)
    assert offer.meta == newer


def test_7_an_offer_that_can_t_be_sent_is_not_sent_over_and_over() -> None:
    solo = offering()
    assert solo.step(PeerUnreachable(3)) == []
    assert of_kind(solo.receive(MsgHeartbeatResp(3, 1, 2)), MsgApp) != [], "it may have it all the same"


# --- installing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("log", [(), (1, 1), (1,) * 5, (1, 1, 1, 2, 2, 2, 2)])
def test_7_new_information_takes_the_place_of_the_whole_log(log: tuple[int, ...]) -> None:
    solo = Solo(disk_with(*log, term=3))
    (answer,) = solo.receive(MsgSnap(2, 1, 4, SnapshotMeta(6, 3, CONF)))
    assert (answer.reject, answer.index) == (False, 6)
    status = solo.raft.status()
    assert (status.first_index, status.last_index, status.commit, status.applied) == (7, 6, 6, 6)
    assert (solo.disk.snapshot.index, solo.disk.entries) == (6, [])
    assert solo.disk.hard_state.commit == 6


def test_7_a_snapshot_of_a_prefix_keeps_the_entries_that_follow_it() -> None:
    solo = Solo(disk_with(1, 1, 1, 1, commit=1))
    (answer,) = solo.receive(MsgSnap(2, 1, 4, SnapshotMeta(3, 1, CONF)))
    assert (answer.reject, answer.index) == (False, 3)
    assert (solo.terms, solo.raft.commit) == ([1, 1, 1, 1], 3)
    assert solo.disk.snapshot.index == 0, "there is nothing to install"


def test_7_an_old_snapshot_is_answered_with_what_is_committed() -> None:
    solo = Solo(disk_with(1, 1, 1, 1, commit=4))
    (answer,) = solo.receive(MsgSnap(2, 1, 4, SnapshotMeta(3, 1, CONF)))
    assert (answer.reject, answer.index) == (False, 4)


def test_7_a_snapshot_is_acknowledged_after_its_install() -> None:
    solo = Solo(disk_with(1))
    solo.raft.step(0, Received(MsgSnap(2, 1, 4, SnapshotMeta(6, 3, CONF))))
    ready = solo.raft.ready()
    assert ready.messages == ()
    assert ready.snapshot == SnapshotMeta(6, 3, CONF)
    assert ready.hard_state == HardState(4, 0, 6)
    assert ready.must_sync
    assert [m.index for m in of_kind(ready.messages_after_persist, MsgAppResp)] == [6]


def test_7_writes_that_a_snapshot_has_overtaken_prove_nothing_about_the_log_behind_it() -> None:
    solo = Solo(disk_with(1))
    solo.raft.step(0, Received(MsgApp(2, 1, 2, 1, 1, tuple(entries(*(2,) * 9, first=2)), 0)))
    written = solo.raft.ready()
    solo.raft.step(0, Received(MsgSnap(3, 1, 4, SnapshotMeta(6, 3, CONF))))
    install = solo.raft.ready()
    solo.raft.step(0, Received(MsgApp(3, 1, 4, 6, 3, tuple(entries(4, first=7)), 7)))
    after = solo.raft.ready()
    solo.raft.step(0, Persisted(written.persist_seq))
    solo.raft.check()
    assert solo.raft._me.log.stable == 6
    solo.raft.step(0, Persisted(install.persist_seq))
    assert not solo.raft.has_ready()
    solo.raft.step(0, Persisted(after.persist_seq))
    assert [e.index for e in solo.raft.ready().committed] == [7]


def test_7_nobody_campaigns_in_the_middle_of_an_install() -> None:
    solo = Solo(disk_with(1))
    solo.raft.step(0, Received(MsgSnap(2, 1, 4, SnapshotMeta(6, 3, CONF))))
    for _ in range(2):
        solo.raft.step(0, Campaign())
        assert solo.raft.role is Role.FOLLOWER
        seq = solo.raft.ready().persist_seq
    solo.raft.step(0, Persisted(seq))
    solo.raft.step(0, Campaign())
    assert solo.raft.role is Role.PRE_CANDIDATE


def test_7_a_server_that_was_away_for_long_catches_up() -> None:
    group = group_of(3)
    group.campaign(1)
    group.isolate(3)
    for number in range(30):
        group.propose(1, b"%d" % number)
    meta = SnapshotMeta(20, group.raft(1).term, CONF)
    group[1].disk.save_snapshot(meta, 0, 18)
    group.step(1, Compacted(meta, 18))
    group.heal()
    group.tick(300)
    assert group[3].disk.snapshot.index == 20
    assert group.data(3) == group.data(1)[-len(group.data(3)) :]
    assert group.raft(3).commit == group.raft(1).commit


def test_7_a_snapshot_from_an_older_leader_is_not_taken() -> None:
    solo = Solo(disk_with(1, term=9))
    (answer,) = solo.receive(MsgSnap(2, 1, 4, SnapshotMeta(6, 3, CONF)))
    assert (answer.term, answer.index) == (9, 0)
    assert solo.raft.status().snapshot_index == 0


def test_7_a_snapshot_makes_its_sender_known_as_leader() -> None:
    group = Group({1: disk_with(1)})
    group.step(1, Received(MsgSnap(3, 1, 4, SnapshotMeta(6, 3, CONF))))
    assert group.raft(1).leader == 3
    group.step(1, Received(MsgHeartbeat(3, 1, 4, 6)))
    assert group.raft(1).commit == 6
