import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.model.ids import NodeId, RaftId
from orion.raft.messages import ConfChange, ConfState
from orion.reconcile.standby_backoff import StandbyBackoff
from orion.reconcile.voters import Candidate, VoterSettings, next_configuration, wanted_voters

SETTINGS = VoterSettings()
LAST = 1_000


def node(number, *, dead_ms=0, match=LAST, silent_ms=0, heard=True):
    return Candidate(NodeId(f"node{number}"), RaftId(number), number, dead_ms, match, 0, silent_ms, heard)


def change(candidates, voters, learners=(), me=1):
    return next_configuration(candidates, ConfState(tuple(voters), tuple(learners)), RaftId(me), LAST, SETTINGS)


@pytest.mark.parametrize(("nodes", "voters"), [(1, 1), (2, 1), (3, 3), (4, 3), (5, 5), (6, 5), (200, 5)])
def test_wanted_voters_is_odd(nodes, voters):
    assert wanted_voters(nodes, 5) == voters


def test_a_single_node_changes_nothing():
    assert change([node(1)], [1]) is None


def test_the_second_node_becomes_a_standby_not_a_voter():
    assert change([node(1), node(2, match=None)], [1]) == ConfChange((1,), (2,))
    assert change([node(1), node(2)], [1], [2]) is None


def test_two_standbys_that_have_caught_up_become_voters_together():
    both = [node(1), node(2), node(3)]
    assert change([node(1), node(2), node(3, match=None)], [1], [2]) == ConfChange((1,), (2, 3))
    assert change([node(1), node(2), node(3, match=10)], [1], [2, 3]) is None, "3 has not caught up"
    short = next_configuration(
        [node(1), node(2, match=40), node(3, match=0)], ConfState((1,), (2, 3)), RaftId(1), 50, SETTINGS
    )
    assert short is None, "3 has never answered, and a quorum of three may need it at once"
    assert change([node(1), node(2), node(3, silent_ms=500)], [1], [2, 3]) is None, "a quorum may need it at once"
    assert change(both, [1], [2, 3]) == ConfChange((1, 2, 3), ())


def test_a_dead_voter_is_replaced_by_a_caught_up_standby_after_its_grace():
    def nodes(dead_ms):
        return [node(1), node(2), node(3, dead_ms=dead_ms), node(4)]

    assert change(nodes(5_000), [1, 2, 3], [4]) is None
    assert change(nodes(10_000), [1, 2, 3], [4]) == ConfChange((1, 2, 4), ())


def test_standbys_that_the_leader_can_t_reach_make_room_for_others():
    """A firewall: gossip shows them alive, and they would keep the seats for ever."""

    def nodes(silent_ms, others):
        unreachable = [node(n, match=0, silent_ms=silent_ms) for n in (6, 7)]
        voters = [node(1), node(2), node(3), node(4), node(5, dead_ms=60_000)]
        return voters + unreachable + [node(n, match=None) for n in others]

    five = [1, 2, 3, 4, 5]
    assert change(nodes(9_000, [8, 9, 10]), five, [6, 7]) is None, "they may yet answer"
    assert change(nodes(10_000, [8, 9, 10]), five, [6, 7]) == ConfChange((1, 2, 3, 4, 5), (8, 9))
    assert change(nodes(10_000, [8]), five, [6, 7]) == ConfChange((1, 2, 3, 4, 5), (6, 8))
    assert change(nodes(10_000, []), five, [6, 7]) is None, "there is nobody else"


def test_a_dead_voter_with_no_standby_stays():
    assert change([node(1), node(2), node(3, dead_ms=60_000)], [1, 2, 3]) is None


def test_two_dead_of_five_leave_three_that_survive_one_more_death():
    nodes = [node(1), node(2), node(3), node(4, dead_ms=60_000), node(5, dead_ms=60_000)]
    assert change(nodes, [1, 2, 3, 4, 5]) == ConfChange((1, 2, 3), ())


def test_a_removed_node_leaves_the_group_whatever_its_size():
    assert change([node(1), node(2)], [1, 2, 3]) == ConfChange((1,), (2,))


def test_a_removed_voter_that_answers_stays_while_others_do_not():
    """Two of five died with the leader, and the new one does not know it yet."""
    unheard = [node(2, heard=False), node(4, heard=False)]
    assert change([node(3), *unheard, node(5)], [1, 2, 3, 4, 5], me=3) == ConfChange((2, 3, 5), (4,))
    assert change([node(3), *unheard], [1, 2, 3, 4], me=3) is None


def test_workers_beyond_two_standbys_get_no_log():
    nodes = [node(n, match=LAST if n < 6 else None) for n in range(1, 10)]
    assert change(nodes, [1, 2, 3, 4, 5]) == ConfChange((1, 2, 3, 4, 5), (6, 7))


@given(
    st.lists(st.tuples(st.integers(0, 20_000), st.booleans()), min_size=1, max_size=9),
    st.integers(1, 5),
)
def test_any_change_keeps_an_odd_number_of_voters_and_the_leader(nodes, voters):
    voters -= voters % 2 == 0
    candidates = [
        node(i, dead_ms=0 if i == 1 else dead, match=LAST if caught_up else None)
        for i, (dead, caught_up) in enumerate(nodes, 1)
    ]
    found = change(candidates, range(1, voters + 1), list(range(voters + 1, len(nodes) + 1)))
    if found is not None:
        assert len(found.voters) % 2 == 1
        assert 1 in found.voters
        assert not set(found.voters) & set(found.learners)


def changes_within(seconds, unreachable, reachable, step_ms):
    """Nodes 1 to 5 vote, two may stand by, and the leader never hears the unreachable."""
    conf, unreached, since = ConfState((1, 2, 3, 4, 5), ()), StandbyBackoff(), {}
    made = []
    for now in range(0, seconds * 1_000, step_ms):
        candidates = [node(n) for n in range(1, 6)]
        for n in (*unreachable, *reachable):
            if n in conf.learners:
                silent = now - since[n] if n in unreachable else 0
                candidates.append(node(n, match=0 if n in unreachable else LAST, silent_ms=silent))
            else:
                silent = SETTINGS.dead_grace_ms if unreached.holds(RaftId(n), now) else 0
                candidates.append(node(n, match=None, silent_ms=silent))
        change = next_configuration(candidates, conf, RaftId(1), LAST, SETTINGS)
        if change is not None:
            unreached.note(change, conf, candidates, SETTINGS, now)
            since |= {n: now for n in change.learners if n not in conf.learners}
            conf = ConfState(change.voters, change.learners)
            made.append(conf.learners)
    return made


@pytest.mark.parametrize(
    ("unreachable", "reachable"), [((6, 7), (8,)), ((6, 7, 8), ()), ((6, 7), (8, 9)), ((6, 7, 8, 9), (10,))]
)
def test_standbys_out_of_reach_do_not_take_turns_without_end(unreachable, reachable):
    first = changes_within(600, unreachable, reachable, 500)
    day = changes_within(86_400, unreachable, reachable, 5_000)
    assert set(reachable) <= set(day[-1])
    assert len(first) <= 16
    assert len(day) <= 120


def test_a_standby_that_stopped_on_purpose_keeps_its_seat_for_its_grace():
    stopped = [
        Candidate(NodeId(f"node{n}"), RaftId(n), n, dead_ms=1, match=LAST, kept_ms=45_000, silent_ms=15_000)
        for n in (6, 7)
    ]
    assert change([*(node(n) for n in range(1, 6)), *stopped, node(8)], [1, 2, 3, 4, 5], [6, 7]) is None
