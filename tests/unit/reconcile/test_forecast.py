from msgspec.structs import replace
from test_voters import LAST, SETTINGS, node

from orion.model.ids import RaftId
from orion.raft.messages import ConfState
from orion.reconcile.forecast import outlook
from orion.reconcile.voters import next_configuration


def seen(candidates, voters, learners=(), me=1, **conf):
    state = ConfState(tuple(voters), tuple(learners), **conf)
    return outlook(candidates, state, RaftId(me), LAST, SETTINGS)


def test_a_complete_group_has_no_next_step():
    assert seen([node(1)], [1]) == ()
    assert seen([node(1), node(2), node(3), node(4)], [1, 2, 3], [4]) == ()


def test_a_dead_voter_is_to_be_replaced_once_its_grace_is_over():
    nodes = [node(1), node(2), node(3, dead_ms=6_000), node(4)]
    assert seen(nodes, [1, 2, 3], [4]) == ("node3 dead for 6 s, replaced in 4 s unless it returns",)


def test_a_dead_voter_whose_grace_is_over_is_replaced_next():
    nodes = [node(1), node(2), node(3, dead_ms=11_000), node(4)]
    assert seen(nodes, [1, 2, 3], [4]) == ("node4 next as voter in place of node3",)


def test_a_dead_voter_without_a_standby_stays():
    nodes = [node(1), node(2), node(3, dead_ms=60_000)]
    words = "node3 dead for 60 s; it stays a voter, for there is no standby to take its place"
    assert seen(nodes, [1, 2, 3]) == (words,)


def test_a_dead_voter_stays_while_its_standby_catches_up():
    nodes = [node(1), node(2), node(3, dead_ms=60_000), node(4, match=LAST - 700)]
    assert seen(nodes, [1, 2, 3], [4]) == (
        "node3 dead for 60 s; it stays a voter, for there is no standby to take its place",
        "node4 is catching up: 700 entries behind",
    )


def test_a_planned_stop_adds_its_grace_to_that_of_a_dead_voter():
    left = replace(node(3, dead_ms=1), kept_ms=42_000)
    words = "node3 stopped on purpose, replaced in 52 s unless it returns"
    assert seen([node(1), node(2), left, node(4)], [1, 2, 3], [4]) == (words,)


def test_a_new_node_is_next_as_standby_and_then_given_the_log():
    assert seen([node(1), node(2, match=None)], [1]) == ("node2 next as standby",)
    assert seen([node(1), node(2, match=0)], [1], [2]) == ("node2 is being given the log",)


def test_two_standbys_are_next_as_voters_once_both_have_the_log():
    assert seen([node(1), node(2), node(3)], [1], [2, 3]) == ("node2 and node3 next as voter",)
    assert seen([node(1), node(2), node(3, match=0)], [1], [2, 3]) == ("node3 is being given the log",)


def test_a_joint_configuration_names_the_voters_to_come():
    nodes = [node(1), node(2), node(3)]
    assert seen(nodes, [1, 2, 3], voters_outgoing=(1,)) == ("the voters are being changed to node1, node2, node3",)


def test_a_change_that_is_decided_is_among_the_next_steps():
    """Whenever the autopilot would change something, the first line says so."""
    for dead_ms in (0, 5_000, 20_000):
        for match in (None, 0, LAST):
            for learners in ((), (4,)):
                nodes = [node(1), node(2), node(3, dead_ms=dead_ms), node(4, match=match)]
                change = next_configuration(nodes, ConfState((1, 2, 3), learners), RaftId(1), LAST, SETTINGS)
                texts = seen(nodes, [1, 2, 3], learners)
                assert bool(change) == any(" next " in text for text in texts)
