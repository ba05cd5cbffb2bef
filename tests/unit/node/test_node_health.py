"""The leader's verdicts on nodes, with state, gossip and the answers of peer ports in the test's hand."""

import asyncio

import pytest
from msgspec.structs import replace

from orion.model.ids import NodeId, RaftId
from orion.model.membership import MemberState, NodeRole
from orion.model.node import Node, NodeStatus
from orion.model.resources import Resources
from orion.node.leader.node_health import NodeHealth
from orion.node.membership.directory import Directory, NodeMetadata
from orion.ports.membership import Member
from orion.reconcile.nodes import Proof
from sim.world import SimClock, World

CLUSTER = 5
TWO, RAFT = NodeId("node2"), RaftId(2)


class Scene:
    """All that the duty sees. Verdicts take effect at once, and are noted."""

    def __init__(self, world):
        self.known = Node(TWO, RAFT, 2, "10.0.0.2:7000", "10.0.0.2:8000", Resources(), (), "", "", NodeStatus.READY)
        self.verdicts = []
        self.proofs = {}
        self.news = asyncio.Event()
        self.view = self
        self.directory = Directory(lambda: self)
        self.directory.cluster = CLUSTER
        self.health = NodeHealth(
            stop_grace_ms=60_000,
            clock=SimClock(world),
            driver=self,
            directory=self.directory,
            liveness=self,
            cluster=self,
            proposer=self,
        )

    # --- as a view, liveness, a cluster watch and a proposer ----------------------------------------------

    def nodes(self):
        return (self.known,)

    def proof(self, node):
        return self.proofs.get(node)

    def in_doubt(self):
        return self.proofs.keys()

    async def changed(self):
        self.news.clear()
        await self.news.wait()

    async def propose(self, command):
        self.verdicts.append(command.status)
        self.known = replace(self.known, status=command.status, grace_ms=command.grace_ms)

    # --- in the test's hand -------------------------------------------------------------------------------

    async def gossip(self, state, epoch):
        said = NodeMetadata(RAFT, "10.0.0.2:7000", "10.0.0.2:8000", "", NodeRole.VOTER, 0, CLUSTER).encode()
        self.directory.update([Member(TWO, state, "10.0.0.2:6000", epoch, said)])
        await self.look()

    async def registers(self):
        self.known = replace(self.known, status=NodeStatus.READY)
        await self.look()

    async def look(self):
        self.news.set()
        await asyncio.sleep(0.01)


def run(main):
    """Runs `main(scene)` in virtual time beside the duty, in term 1."""
    world = World(1)
    world.install()

    async def both():
        scene = Scene(world)
        running = asyncio.ensure_future(scene.health.run(1))
        await scene.look()
        await main(scene)
        assert not running.done()
        running.cancel()
        await asyncio.wait([running])

    try:
        world.loop.run_until_complete(both())
    finally:
        world.loop.close()


ENDS = [(MemberState.LEFT, {}, NodeStatus.LEFT), (MemberState.DEAD, {TWO: Proof.REFUSED}, NodeStatus.DOWN)]


@pytest.mark.parametrize(("state", "proofs", "verdict"), ENDS)
def test_the_end_of_a_former_run_says_nothing_about_a_node_that_came_back(state, proofs, verdict):
    """Its registration was faster than gossip."""

    async def main(scene):
        await scene.gossip(MemberState.ALIVE, 1)
        scene.proofs = proofs
        await scene.gossip(state, 1)
        assert scene.verdicts == [verdict]
        await scene.registers()
        await scene.look()
        assert scene.verdicts == [verdict], "gossip still shows the run that is over"
        await scene.gossip(state, 2)
        assert scene.verdicts == [verdict, verdict], "this run has ended too"

    run(main)


@pytest.mark.parametrize(("state", "proofs", "verdict"), ENDS)
def test_a_run_that_was_seen_alive_is_no_former_one(state, proofs, verdict):
    """The same epoch: gossip had doubted it by mistake."""

    async def main(scene):
        scene.proofs = proofs
        await scene.gossip(state, 1)
        await scene.registers()
        scene.proofs = {}
        await scene.gossip(MemberState.ALIVE, 1)
        scene.proofs = proofs
        await scene.gossip(state, 1)
        assert scene.verdicts == [verdict, verdict]

    run(main)
