"""What nodes tell of their reach by the cluster's own network."""

from state_kit import World, texts

from orion.model.levels import LEVEL
from orion.state.tables.reach import TellReach


def world():
    made = World(nodes=0)
    made.state.level = LEVEL
    made.register("node1", level=LEVEL)
    return made


def test_a_loss_and_its_end_are_events():
    made = world()
    lost = made.do(TellReach(60, "node1", ("node2",), lost=True, reason="UDP 8472 does not arrive"))
    assert texts(lost) == ["node1 does not reach node2 by the cluster's network: UDP 8472 does not arrive"]
    assert texts(made.do(TellReach(61, "node1", ("node2",), lost=False))) == [
        "node1 reaches node2 by the cluster's network again"
    ]


def test_of_many_peers_three_are_named():
    peers = tuple(f"node{number}" for number in range(2, 8))
    (text,) = texts(world().do(TellReach(60, "node1", peers, lost=True, reason="why")))
    assert text == "node1 does not reach node2, node3, node4 and 3 more by the cluster's network: why"


def test_a_node_that_is_gone_tells_nothing():
    assert texts(world().do(TellReach(60, "node9", ("node2",), lost=True, reason="why"))) == []
