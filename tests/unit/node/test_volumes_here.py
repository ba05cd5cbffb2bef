"""Volumes of storage systems with what their nodes say of them, and what a claim waits for."""

import asyncio

from msgspec.structs import replace

from orion.model.claims import Claim, ClaimPhase
from orion.model.errors import Unavailable
from orion.model.ids import NodeId
from orion.model.storage import SystemPart
from orion.model.volumes import Volume, VolumeKind
from orion.node.routing.volumes_here import AllHere, AskHere, Given, Here
from orion.node.services.volumes_here import with_nodes
from orion.node.views.render_volumes import volume
from orion.state.tables.claims import Claims
from orion.state.tables.volumes import Volumes
from unit.state.state_kit import World


class Nodes:
    """`said`: what each node answers; one that is not there can't be asked."""

    def __init__(self, **said):
        self.said = said
        self.asked = []

    async def ask_node(self, node, request, *, timeout_s):
        self.asked.append((node, request))
        if node not in self.said:
            raise Unavailable("the connection was lost")
        return AllHere([self.said[node]])


def world(*claims, down=()):
    made = World(3)
    made.state.level = 2
    part = SystemPart(has_bytes=500, node_grows=True)
    made.state.of(Volumes).put(Volume("data", VolumeKind.CSI, created_index=1, data="d1", driver="x", system=part))
    for each in claims:
        made.state.of(Claims).put(each)
    for node in down:
        made.down(node)
    return made


def claim(node, phase=ClaimPhase.PUBLISHED, **more):
    return Claim("data", NodeId(node), 1, phase, as_of=5, **more)


def shown(made, nodes):
    (found,) = asyncio.run(with_nodes(nodes, [volume(made.view, "data")]))
    return {each.node_id: (each.settled, each.why) for each in found.storage.claims}


def test_a_claim_has_the_words_of_its_node():
    nodes = Nodes(node1=Here(False, "ext4 can't grow"), node2=Here(True))
    made = world(claim("node1"), claim("node2"), claim("node3", ClaimPhase.PUBLISHING, why="no room"))
    assert shown(made, nodes) == {
        "node1": (False, "ext4 can't grow"),
        "node2": (True, ""),
        "node3": (None, "no room"),
    }
    assert ("node1", AskHere((Given("data", 1, 500),))) in nodes.asked
    assert {node for node, _ in nodes.asked} == {"node1", "node2"}


def test_a_node_that_does_not_answer_is_named():
    assert shown(world(claim("node1")), Nodes()) == {
        "node1": (None, "node1 can't be asked: the connection was lost")
    }


def test_a_claim_of_a_dead_node_says_what_it_waits_for():
    nodes = Nodes(node1=Here(True))
    for_ever, for_a_while = claim("node1"), claim("node2", stop_after_ms=10_000)
    made = world(for_ever, for_a_while, down=["node1", "node2"])
    found = shown(made, nodes)
    assert "'orion nodes rm node1' says that it never returns" in found["node1"][1]
    assert found["node2"][1].startswith("node2 is down, and its tasks end there by ")
    assert nodes.asked == []
    made.state.of(Claims).put(replace(for_ever, phase=ClaimPhase.UNPUBLISHING, why="it failed"))
    assert shown(made, nodes)["node1"] == (None, "it failed")
