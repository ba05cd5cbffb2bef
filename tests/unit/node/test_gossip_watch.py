"""When a follower may take its leader for dead: by two proofs, and only while gossip does not call it alive."""

import asyncio

import pytest

from orion.model.ids import NodeId, RaftId
from orion.model.membership import MemberState, NodeRole
from orion.node.consensus.applied import AppliedWatch
from orion.node.membership.directory import Directory, NodeMetadata
from orion.node.membership.gossip_watch import GossipWatch
from orion.ports.membership import Member
from orion.ports.peers import PortProbe
from orion.raft.interface import Role, SoftState
from orion.state.tables import State
from orion.state.view import View
from sim.world import World

CLUSTER = 5
LEADER = RaftId(2)


class Gossip:
    def __init__(self):
        self.shown = []
        self.news = asyncio.Queue()

    def members(self):
        return self.shown

    async def events(self):
        while True:
            yield await self.news.get()


class Driver:
    """A follower, or with `leads` the leader itself. `unheard_ms` is for how long it has not heard its leader."""

    def __init__(self, leads, unheard_ms):
        self.is_leader = leads
        self.standing = SoftState(Role.LEADER if leads else Role.FOLLOWER, 3, LEADER)
        self.watch = AppliedWatch()
        self.view = View(State())
        self.leader_unheard_ms = unheard_ms
        self.dead = []

    def peer_dead(self, raft):
        self.dead.append(raft)


class Net:
    def __init__(self, answer):
        self.answer = answer
        self.asked = 0

    async def probe(self, address, *, tries):
        assert address == "10.0.0.2:7000"
        self.asked += 1
        await asyncio.sleep(0.1)
        return self.answer


def watched(state, answer, *, leads=False, unheard_ms=1_000, seconds=2.0):
    """What the driver was told and how often the leader's port was asked, with the leader in that state."""
    world = World(1)
    world.install()

    async def main():
        gossip, driver, net = Gossip(), Driver(leads, unheard_ms), Net(answer)
        directory = Directory(lambda: driver.view)
        directory.cluster = CLUSTER
        said = NodeMetadata(LEADER, "10.0.0.2:7000", "10.0.0.2:8000", "", NodeRole.LEADER, 3, CLUSTER).encode()
        gossip.shown = [Member(NodeId("node2"), state, "10.0.0.2:6000", 1, said)]
        watch = GossipWatch(
            me=NodeId("node1"),
            membership=gossip,
            peers=net,
            directory=directory,
            driver=driver,
            name_contested=lambda _: None,
        )
        running = asyncio.ensure_future(watch.run())
        await asyncio.sleep(seconds)
        running.cancel()
        await asyncio.wait([running])
        return driver.dead, net.asked

    try:
        return world.loop.run_until_complete(main())
    finally:
        world.loop.close()


@pytest.mark.parametrize("answer", [PortProbe.REFUSED, PortProbe.SILENT])
def test_a_leader_that_gossip_calls_alive_is_neither_asked_nor_taken_for_dead(answer):
    assert watched(MemberState.ALIVE, answer) == ([], 0)


@pytest.mark.parametrize("state", [MemberState.SUSPECT, MemberState.DEAD, MemberState.LEFT])
@pytest.mark.parametrize("answer", [PortProbe.REFUSED, PortProbe.SILENT])
def test_a_leader_is_dead_once_gossip_doubts_it_and_its_port_does_not_answer(state, answer):
    dead, _ = watched(state, answer)
    assert set(dead) == {LEADER}


@pytest.mark.parametrize("answer", [PortProbe.ACCEPTED, PortProbe.UNCLEAR])
def test_a_leader_whose_port_answers_is_asked_again_and_not_taken_for_dead(answer):
    dead, asked = watched(MemberState.SUSPECT, answer)
    assert dead == []
    assert asked > 5


def test_a_silent_host_is_no_death_while_the_leader_is_heard():
    assert watched(MemberState.SUSPECT, PortProbe.SILENT, unheard_ms=50)[0] == []


def test_a_leader_does_not_watch_itself():
    assert watched(MemberState.SUSPECT, PortProbe.REFUSED, leads=True) == ([], 0)
