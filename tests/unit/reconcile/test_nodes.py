import pytest

from orion.model.ids import NodeId, RaftId
from orion.model.membership import MemberState
from orion.model.node import Node, NodeStatus
from orion.model.resources import Resources
from orion.reconcile.nodes import Proof, Sighting, verdicts

RAFT = RaftId(7)


def node(status=NodeStatus.READY, grace_ms=0):
    return Node(
        NodeId("node2"),
        RAFT,
        2,
        "127.0.0.1:7001",
        "127.0.0.1:8001",
        Resources(),
        (),
        "e",
        "0",
        status,
        grace_ms=grace_ms,
    )


def verdict(known, seen, waited_ms=0):
    sightings = {known.id: seen} if seen else {}
    found = verdicts([known], sightings, {known.id: 0}, waited_ms)
    return found[0].status if found else None


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (Sighting(MemberState.ALIVE, RAFT), None),
        *((Sighting(MemberState.ALIVE, RAFT, proof), None) for proof in Proof),
        (Sighting(MemberState.SUSPECT, RAFT), None),
        (Sighting(MemberState.SUSPECT, RAFT, Proof.REFUSED), NodeStatus.DOWN),
        (Sighting(MemberState.SUSPECT, RAFT, Proof.SILENT), NodeStatus.DOWN),
        (Sighting(MemberState.SUSPECT, RAFT, Proof.MUTE), None),
        (Sighting(MemberState.SUSPECT, RAFT, Proof.ANSWERS), None),
        (Sighting(MemberState.DEAD, RAFT), None),  # it has not been asked yet
        (Sighting(MemberState.DEAD, RAFT, Proof.REFUSED), NodeStatus.DOWN),
        (Sighting(MemberState.DEAD, RAFT, Proof.SILENT), NodeStatus.DOWN),
        (Sighting(MemberState.DEAD, RAFT, Proof.MUTE), NodeStatus.DOWN),
        (Sighting(MemberState.DEAD, RAFT, Proof.ANSWERS), None),
        (Sighting(MemberState.LEFT, RAFT), NodeStatus.LEFT),
        (Sighting(MemberState.DEAD, RaftId(8), Proof.REFUSED), None),
        (None, None),
    ],
)
def test_a_ready_node_is_down_by_two_proofs_and_no_fewer(seen, expected):
    assert verdict(node(), seen) is expected


def test_a_node_that_gossip_never_showed_is_given_up_after_a_while():
    for proof in (Proof.REFUSED, Proof.SILENT, Proof.MUTE):
        assert verdict(node(), Sighting(proof=proof), waited_ms=9_999) is None
        assert verdict(node(), Sighting(proof=proof), waited_ms=10_000) is NodeStatus.DOWN
    for proof in (None, Proof.ANSWERS):
        assert verdict(node(), Sighting(proof=proof), waited_ms=60_000) is None


@pytest.mark.parametrize("state", [MemberState.DEAD, MemberState.LEFT])
def test_a_node_whose_name_another_took_and_died_under_is_given_up_like_one_that_gossip_never_showed(state):
    assert verdict(node(), Sighting(state, RaftId(8), Proof.REFUSED), waited_ms=9_999) is None
    assert verdict(node(), Sighting(state, RaftId(8), Proof.REFUSED), waited_ms=10_000) is NodeStatus.DOWN
    assert verdict(node(), Sighting(MemberState.ALIVE, RaftId(8)), waited_ms=99_999) is None, "it will register"


def test_a_planned_stop_has_its_grace_and_is_not_undone_by_its_own_last_words():
    left = node(NodeStatus.LEFT, grace_ms=60_000)
    assert verdict(left, Sighting(MemberState.ALIVE, RAFT), waited_ms=100) is None
    assert verdict(left, Sighting(MemberState.DEAD, RAFT, Proof.REFUSED), waited_ms=59_999) is None
    assert verdict(left, Sighting(MemberState.LEFT, RAFT), waited_ms=60_000) is NodeStatus.DOWN


def test_a_node_that_was_called_dead_and_answers_is_ready_again():
    down = node(NodeStatus.DOWN)
    assert verdict(down, Sighting(MemberState.ALIVE, RAFT)) is NodeStatus.READY
    assert verdict(down, Sighting(MemberState.SUSPECT, RAFT)) is None
    assert verdict(down, Sighting(MemberState.ALIVE, RaftId(8))) is None
