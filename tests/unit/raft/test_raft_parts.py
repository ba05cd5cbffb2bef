"""The pure subproblems of the core, each against its definition."""

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raft_kit import entries

from orion.raft.confchange import (
    ConfRefused,
    all_voters,
    check_conf,
    decode_change,
    encode_change,
    is_joint,
    members,
    next_conf,
)
from orion.raft.log import LogBroken, RaftLog
from orion.raft.messages import ConfChange, ConfState, Entry, SnapshotMeta
from orion.raft.quorum import UNBOUNDED, Vote, joint_index, joint_vote, majority_index, majority_vote
from orion.raft.reads import MAX_WAITING_READS, ForwardedReads, ReadRounds
from orion.raft.tracker import Inflights, Progress, ProgressState

IDS = st.integers(min_value=1, max_value=7)
VOTERS = st.sets(IDS, min_size=1, max_size=5).map(lambda ids: tuple(sorted(ids)))
LEARNERS = st.sets(IDS, max_size=3).map(lambda ids: tuple(sorted(ids)))


# --- quorum -----------------------------------------------------------------------------------------------


@given(st.lists(st.integers(min_value=0, max_value=9), max_size=7))
def test_majority_index_is_the_largest_that_more_than_half_have_reached(indexes: list[int]) -> None:
    index = majority_index(indexes)
    if not indexes:
        assert index == UNBOUNDED
        return
    assert sum(i >= index for i in indexes) > len(indexes) / 2
    assert not sum(i >= index + 1 for i in indexes) > len(indexes) / 2


@given(VOTERS, st.dictionaries(IDS, st.booleans()))
def test_a_vote_is_won_or_lost_as_soon_as_nothing_can_change_it(voters, votes) -> None:
    granted = sum(votes.get(v) is True for v in voters)
    open_ = sum(v not in votes for v in voters)
    half = len(voters) / 2
    wanted = Vote.WON if granted > half else Vote.PENDING if granted + open_ > half else Vote.LOST
    assert majority_vote(voters, votes) is wanted


@given(VOTERS, st.just(()) | VOTERS, st.dictionaries(IDS, st.booleans()))
def test_joint_votes_need_both(voters, outgoing, votes) -> None:
    conf = ConfState(voters=voters, voters_outgoing=outgoing)
    both = {majority_vote(voters, votes), majority_vote(outgoing, votes)}
    wanted = Vote.LOST if Vote.LOST in both else Vote.PENDING if Vote.PENDING in both else Vote.WON
    assert joint_vote(conf, votes) is wanted


@given(VOTERS, st.just(()) | VOTERS, st.dictionaries(IDS, st.integers(min_value=0, max_value=9)))
def test_joint_index_needs_both(voters, outgoing, reached) -> None:
    conf = ConfState(voters=voters, voters_outgoing=outgoing)
    separately = [majority_index([reached.get(v, 0) for v in group]) for group in (voters, outgoing) if group]
    assert joint_index(conf, reached) == min(separately)


def test_nobody_elects_anybody_without_voters() -> None:
    assert joint_vote(ConfState(), {1: True}) is Vote.LOST


# --- configurations ---------------------------------------------------------------------------------------


@st.composite
def changes(draw) -> ConfChange:
    voters = draw(VOTERS)
    return ConfChange(voters, tuple(m for m in draw(LEARNERS) if m not in voters))


@given(st.lists(changes(), min_size=1, max_size=6))
def test_every_change_reaches_its_target_by_steps_whose_quorums_overlap(targets: list[ConfChange]) -> None:
    conf = ConfState(voters=(1,))
    for target in targets:
        steps = [conf, next_conf(conf, target)]
        while is_joint(steps[-1]):
            assert steps[-1].auto_leave
            steps.append(next_conf(steps[-1], ConfChange()))
        conf = steps[-1]
        assert (conf.voters, conf.learners) == (target.voters, target.learners)
        for before, after in itertools.pairwise(steps):
            check_conf(after)
            assert_quorums_overlap(before, after)
            assert set(members(after)) <= {*members(before), *target.voters, *target.learners}


def assert_quorums_overlap(before: ConfState, after: ConfState) -> None:
    everybody = sorted({*all_voters(before), *all_voters(after)})
    for chosen in range(1 << len(everybody)):
        one = {m: bool(chosen >> at & 1) for at, m in enumerate(everybody)}
        other = {m: not yes for m, yes in one.items()}
        assert not (joint_vote(before, one) is Vote.WON and joint_vote(after, other) is Vote.WON)


def test_a_voter_is_demoted_only_when_the_joint_configuration_is_left() -> None:
    conf = next_conf(ConfState(voters=(1, 2, 3), learners=(9,)), ConfChange((1, 4), (3, 9)))
    assert conf == ConfState(
        voters=(1, 4), learners=(9,), voters_outgoing=(1, 2, 3), learners_next=(3,), auto_leave=True
    )
    assert next_conf(conf, ConfChange()) == ConfState(voters=(1, 4), learners=(3, 9))


def test_members_named_twice_or_out_of_order_are_sorted() -> None:
    assert next_conf(ConfState(voters=(1, 2)), ConfChange((2, 1, 2), (5, 4, 5))) == ConfState((1, 2), (4, 5))


def test_a_joint_configuration_takes_no_change_but_leaving() -> None:
    joint = next_conf(ConfState(voters=(1,)), ConfChange((2, 3)))
    with pytest.raises(ConfRefused, match="joint"):
        next_conf(joint, ConfChange((1,)))
    with pytest.raises(ConfRefused, match="not joint"):
        next_conf(ConfState(voters=(1,)), ConfChange())


@given(changes())
def test_changes_are_decoded_as_they_were_encoded(change: ConfChange) -> None:
    assert decode_change(encode_change(change)) == change


def test_an_entry_that_is_no_change_has_a_fault() -> None:
    for data in (b"", b"\xc1", b"\x92\x01\x02"):
        with pytest.raises(msgspec.DecodeError):
            decode_change(data)


# --- log --------------------------------------------------------------------------------------------------

TERMS = st.lists(st.integers(min_value=1, max_value=4), max_size=12).map(sorted)


def log_of(terms: list[int], *, compacted: int = 0) -> RaftLog:
    log = RaftLog(SnapshotMeta(), entries(*terms))
    if compacted:
        log.commit_to(compacted)
        while log.applied < compacted:
            log.take_committed(1 << 30)
        log.compact(compacted + 1)
    log.check()
    return log


@given(TERMS, TERMS, st.data())
def test_a_follower_s_log_agrees_with_the_leader_s_up_to_what_it_says(mine, theirs, data) -> None:
    """For any two logs that could exist together: up to where they agree they agree in everything."""
    shared = 0
    while shared < min(len(mine), len(theirs)) and mine[shared] == theirs[shared]:
        shared += 1
    # What a term holds is the same everywhere (log matching): after they part, they share no term.
    mine = mine[:shared] + [t for t in mine[shared:] if t not in theirs]
    log = log_of(mine)
    prev = data.draw(st.integers(min_value=0, max_value=len(theirs)))
    count = data.draw(st.integers(min_value=0, max_value=len(theirs) - prev))
    sent = tuple(entries(*theirs))[prev : prev + count]
    agreed = log.try_append(prev, theirs[prev - 1] if prev else 0, sent)
    log.check()
    if prev > shared:
        assert agreed is None
        assert [log.term(i + 1) for i in range(len(mine))] == mine
        return
    assert agreed == prev + count
    terms = [log.term(i + 1) for i in range(log.last)]
    assert terms[:agreed] == theirs[:agreed]
    assert terms[agreed:] in ([], mine[agreed:])


@given(TERMS, TERMS, st.integers(min_value=0, max_value=12))
def test_a_guess_is_never_below_where_two_logs_agree(mine, theirs, at) -> None:
    """What the hints of both sides skip can't agree, so that no probe goes back further than it must."""
    shared = 0
    while shared < min(len(mine), len(theirs)) and mine[shared] == theirs[shared]:
        shared += 1
    mine = mine[:shared] + [t for t in mine[shared:] if t not in theirs]
    index = min(at, len(theirs))
    if index <= shared:
        return
    guess, term = log_of(mine).guess_match(index, theirs[index - 1])
    assert shared <= guess <= min(index, len(mine))
    assert term == (mine[guess - 1] if guess else 0)
    probe, _ = log_of(theirs).guess_match(guess, term) if term else (guess, 0)
    assert shared <= probe <= guess


def test_guesses_below_what_is_kept_have_no_term() -> None:
    log = log_of([1, 1, 3, 3, 5], compacted=3)
    assert log.guess_match(5, 4) == (4, 3)
    assert log.guess_match(4, 3) == (4, 3)
    assert log.guess_match(4, 2) == (2, 0)
    assert log.guess_match(2, 9) == (2, 0)
    assert log.guess_match(9, 9) == (5, 5)


@given(TERMS, st.integers(min_value=0, max_value=12), st.integers(min_value=0, max_value=200))
def test_slices_are_cut_by_bytes(terms, compacted, limit) -> None:
    log = log_of(terms, compacted=min(compacted, len(terms)))
    for first in range(log.offset + 1, log.last + 1):
        last = log.within(first, log.last, limit)
        assert first <= last <= log.last
        size = log.bytes_after(first - 1, last)
        assert size == sum(len(e.data) + 16 for e in log.slice(first, last))
        assert size <= limit or last == first
        assert last == log.last or log.bytes_after(first - 1, last + 1) > limit
        assert [e.index for e in log.slice(first, last)] == list(range(first, last + 1))


def test_terms_are_known_from_the_compaction_on() -> None:
    log = log_of([1, 1, 3, 3, 5], compacted=3)
    assert [log.term(i) for i in range(7)] == [None, None, None, 3, 3, 5, None]


def test_a_log_may_begin_before_its_snapshot_s_end() -> None:
    log = RaftLog(SnapshotMeta(3, 2, ConfState()), entries(1, 2, 2, 5, first=2))
    assert (log.offset, log.last, log.commit, log.applied) == (1, 5, 3, 3)
    assert [log.term(i) for i in range(1, 6)] == [None, 1, 2, 2, 5]
    log.check()


def test_a_log_with_a_gap_is_broken() -> None:
    with pytest.raises(LogBroken, match="entry 4 is missing"):
        RaftLog(SnapshotMeta(3, 2, ConfState()), entries(2, first=6))
    with pytest.raises(LogBroken, match="before its snapshot"):
        RaftLog(SnapshotMeta(3, 2, ConfState()), entries(1, first=1))


def test_a_log_keeps_the_indexes_of_its_configuration_changes() -> None:
    def change(term: int, index: int) -> Entry:
        return Entry(term, index, 1, encode_change(ConfChange((1,))))

    log = RaftLog(SnapshotMeta(), [Entry(1, 1), change(1, 2), Entry(1, 3), change(1, 4), Entry(1, 5)])
    assert (log.confs, log.last_conf) == ([2, 4], 4)
    log.try_append(3, 1, (Entry(2, 4),))
    assert log.confs == [2]
    log.append([change(2, 5)])
    log.commit_to(4)
    log.take_committed(1 << 30)
    log.persisted(1)
    log.compact(3)
    assert log.confs == [5]
    log.restore(SnapshotMeta(9, 3, ConfState()))
    assert (log.confs, log.last_conf) == ([], 0)
    log.check()


# --- progress ---------------------------------------------------------------------------------------------


@given(st.lists(st.integers(min_value=0, max_value=30) | st.none(), max_size=60))
def test_inflights_are_bounded_and_freed_in_order(steps) -> None:
    inflights, sent, last = Inflights(4, 100), [], 0
    for step in steps:
        if step is None:
            last += 1
            if not inflights.full:
                inflights.add(last, 30)
                sent.append(last)
        else:
            inflights.free_to(step)
            sent = [index for index in sent if index > step]
        inflights.check()
        assert len(inflights) == len(sent) <= 4
        assert inflights.full is (len(sent) == 4)


def progress(match: int, next_: int, state: ProgressState) -> Progress:
    made = Progress(next_, Inflights(8, 1_000))
    made.match, made.state = match, state
    return made


@pytest.mark.parametrize(
    ("state", "match", "next_", "refused", "hint", "believed", "after"),
    [
        (ProgressState.REPLICATE, 5, 10, 5, 5, False, 10),  # known to match
        (ProgressState.REPLICATE, 5, 10, 4, 4, False, 10),
        (ProgressState.REPLICATE, 5, 10, 9, 9, True, 6),  # straight back to what is known
        (ProgressState.PROBE, 0, 10, 5, 5, False, 10),  # not what was asked last
        (ProgressState.PROBE, 0, 10, 9, 9, True, 9),
        (ProgressState.PROBE, 0, 10, 9, 2, True, 3),
        (ProgressState.PROBE, 0, 2, 1, 0, True, 1),
        (ProgressState.PROBE, 0, 1, 0, 0, True, 1),
        (ProgressState.PROBE, 4, 10, 9, 0, True, 5),
        (ProgressState.SNAPSHOT, 0, 10, 9, 2, False, 10),
    ],
)
def test_refusals_lower_what_is_sent_next(state, match, next_, refused, hint, believed, after) -> None:
    made = progress(match, next_, state)
    assert made.refused(refused, hint) is believed
    assert (made.match, made.next) == (match, after)


def test_acknowledgements_only_raise() -> None:
    made = progress(3, 5, ProgressState.PROBE)
    made.paused = True
    assert not made.matched(3)
    assert made.paused
    assert made.matched(4)
    assert (made.match, made.next, made.paused) == (4, 5, False)
    assert made.matched(9)
    assert (made.match, made.next) == (9, 10)


def test_the_commit_index_is_told_when_it_may_be_news() -> None:
    made = progress(5, 8, ProgressState.REPLICATE)
    made.sent_commit = 5
    assert made.can_bump_commit(6)
    assert not made.can_bump_commit(5)
    made.sent_commit = 7
    assert not made.can_bump_commit(9), "it has been told to commit all that it was sent"


# --- reads ------------------------------------------------------------------------------------------------


def test_an_answer_confirms_its_round_and_those_before_it() -> None:
    conf, rounds = ConfState(voters=(1, 2, 3)), ReadRounds()
    rounds.add(1, 11, 5)
    assert (rounds.start_round(), rounds.context) == (1, 1)
    rounds.add(1, 12, 6)
    rounds.add(2, 13, 7)
    assert rounds.due
    assert rounds.start_round() == 2
    rounds.add(1, 14, 8)
    rounds.acked(2, 2)
    assert [(r.context, r.index) for r in rounds.take_confirmed(conf, 1)] == [(11, 5), (12, 6), (13, 7)]
    assert rounds.take_confirmed(conf, 1) == []
    assert rounds.start_round() == 3
    rounds.acked(3, 2)
    assert rounds.take_confirmed(conf, 1) == []
    rounds.acked(3, 3)
    assert [r.context for r in rounds.take_confirmed(conf, 1)] == [14]
    assert rounds.context == 0


def test_an_answer_to_a_round_that_was_never_asked_counts_for_nothing() -> None:
    conf, rounds = ConfState(voters=(1, 2, 3)), ReadRounds()
    rounds.acked(2, 99)
    rounds.add(1, 11, 5)
    rounds.start_round()
    assert rounds.take_confirmed(conf, 1) == []


def test_a_learner_s_answer_confirms_nothing_and_joint_needs_both() -> None:
    conf = ConfState(voters=(1, 4, 5), voters_outgoing=(1, 2, 3), learners=(6,))
    rounds = ReadRounds()
    rounds.add(1, 11, 5)
    rounds.start_round()
    for member in (6, 2, 3):
        rounds.acked(member, 1)
        assert rounds.take_confirmed(conf, 1) == []
    rounds.acked(4, 1)
    assert [r.context for r in rounds.take_confirmed(conf, 1)] == [11]


def test_waiting_reads_are_bounded() -> None:
    rounds, forwarded = ReadRounds(), ForwardedReads(0)
    assert all(rounds.add(1, c, 1) for c in range(MAX_WAITING_READS))
    assert not rounds.add(1, 0, 1)
    for context in range(MAX_WAITING_READS):
        assert not forwarded.full
        forwarded.forward(context)
    assert forwarded.full
    assert forwarded.take_oldest() == 0
    assert not forwarded.full


def test_a_forwarded_read_is_answered_once() -> None:
    forwarded = ForwardedReads(1_000)
    number = forwarded.forward(7)
    assert number > 1_000
    assert forwarded.answered(number - 1) is None
    assert forwarded.answered(number) == 7
    assert forwarded.answered(number) is None
