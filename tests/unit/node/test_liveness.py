"""What the leader makes of the answers at the peer port of a node that gossip does not call alive."""

import asyncio
import contextlib

import pytest

from orion.model.errors import Unavailable
from orion.model.ids import NodeId, RaftId
from orion.model.membership import MemberState, NodeRole
from orion.model.node import Node, NodeStatus
from orion.model.resources import Resources
from orion.node.membership import liveness
from orion.node.membership.directory import Directory, NodeMetadata
from orion.node.membership.liveness import Liveness
from orion.ports.membership import Member
from orion.ports.peers import Greeted, PortProbe
from orion.reconcile.nodes import Proof
from sim.world import World

CLUSTER = 5
TWO = Greeted(NodeId("node2"), RaftId(2), CLUSTER, 0)


class Net:
    """One peer port. `answers` are its answers, the last for ever; `who` says hello there, None: nobody does."""

    def __init__(self, *answers, who=None):
        self.answers = list(answers)
        self.who_is_there = who
        self.asked = []

    async def probe(self, address, *, tries):
        self.asked.append(address)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        await asyncio.sleep(0.1 * tries if answer is PortProbe.SILENT else 0.001)
        return answer

    async def who(self, address, *, timeout_s):
        if self.who_is_there is None:
            await asyncio.sleep(timeout_s)
            raise Unavailable("nobody")
        return self.who_is_there


class View:
    def __init__(self, status=NodeStatus.READY):
        self.known = Node(
            TWO.node, TWO.raft_id, 2, "10.0.0.2:7000", "10.0.0.2:8000", Resources(), (), "", "", status
        )

    def nodes(self):
        return (self.known,)

    def node(self, _):
        return self.known


class Scene:
    """A leader's liveness, with what it hears by Raft and what gossip shows in the test's hand."""

    def __init__(self, net, state, *, raft=TWO.raft_id, status=NodeStatus.READY, hears=False, others=True):
        self.view = View(status)
        self.directory = Directory(lambda: self.view)
        self.directory.cluster = CLUSTER
        self.gossip = asyncio.Event()
        self.show(state, raft)
        self.suspects = Liveness(
            me=NodeId("node1"),
            peers=net,
            directory=self.directory,
            view=lambda: self.view,
            gossip_changed=self.gossip_changed,
            hears=lambda _: hears,
            hears_others=lambda _: others,
            changed=lambda: None,
        )

    def show(self, state, raft=TWO.raft_id):
        metadata = NodeMetadata(raft, "10.0.0.22:7000", "10.0.0.22:8000", "", NodeRole.VOTER, 0, CLUSTER).encode()
        self.directory.update(
            [Member(TWO.node, MemberState(state), "10.0.0.22:6000", 1, metadata)] if state else []
        )
        self.gossip.set()
        self.gossip = asyncio.Event()

    async def gossip_changed(self):
        await self.gossip.wait()

    @property
    def proof(self):
        return self.suspects.proof(TWO.node)


def run(main):
    """In virtual time."""
    world = World(1)
    world.install()
    try:
        return world.loop.run_until_complete(main())
    finally:
        world.loop.close()


async def proof_of(scene, seconds=5.0):
    """The first proof, and after how many seconds."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    running = asyncio.ensure_future(scene.suspects.run(1))
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while scene.proof is None:  # noqa: ASYNC110 -- it tells nobody
                    await asyncio.sleep(0.01)
        return scene.proof, loop.time() - began
    finally:
        running.cancel()
        await asyncio.wait([running])


OTHER = Greeted(NodeId("node2"), RaftId(3), CLUSTER, 0)
RECOVERED = Greeted(TWO.node, TWO.raft_id, CLUSTER, 1 << 32)


@pytest.mark.parametrize(
    ("net", "more", "expected"),
    [
        (Net(PortProbe.REFUSED), {}, Proof.REFUSED),
        (Net(PortProbe.REFUSED), {"hears": True}, Proof.REFUSED),  # the last it said is older than that
        (Net(PortProbe.ACCEPTED, who=TWO), {}, Proof.ANSWERS),
        (Net(PortProbe.ACCEPTED), {}, Proof.MUTE),  # frozen: its kernel accepts
        (Net(PortProbe.ACCEPTED), {"hears": True}, Proof.ANSWERS),
        (Net(PortProbe.ACCEPTED, who=OTHER), {}, Proof.MUTE),  # another data directory at its place
        (Net(PortProbe.ACCEPTED, who=RECOVERED), {}, Proof.MUTE),
        (Net(PortProbe.UNCLEAR), {}, Proof.MUTE),
        (Net(PortProbe.UNCLEAR), {"hears": True}, Proof.ANSWERS),
    ],
)
@pytest.mark.parametrize("state", ["suspect", "dead", ""])
def test_what_is_heard_at_its_port(state, net, more, expected):
    async def main():
        return (await proof_of(Scene(net, state, **more)))[0]

    assert run(main) is expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, Proof.SILENT),
        ({"others": False}, Proof.MUTE),  # it may be this node that is cut off
        ({"hears": True}, Proof.ANSWERS),  # new connections are dropped on the way, the old one goes on
    ],
)
def test_a_suspects_silence(more, expected):
    async def main():
        return (await proof_of(Scene(Net(PortProbe.SILENT), "suspect", **more)))[0]

    assert run(main) is expected


def test_one_that_is_silent_again_is_none():
    async def main():
        return (await proof_of(Scene(Net(PortProbe.SILENT, PortProbe.ACCEPTED, who=TWO), "suspect")))[0]

    assert run(main) is Proof.ANSWERS


def test_whom_gossip_gives_up_is_waited_for_less_long():
    async def main():
        return await proof_of(Scene(Net(PortProbe.SILENT), "dead"))

    proof, took_s = run(main)
    assert proof is Proof.MUTE
    assert took_s < 0.1 * liveness.PROBE_TRIES


def test_a_suspect_that_gossip_gives_up_meanwhile_is_waited_for_less_long():
    async def main():
        scene = Scene(Net(PortProbe.SILENT), "suspect")
        asyncio.get_running_loop().call_later(0.4, scene.show, "dead")
        return await proof_of(scene)

    proof, took_s = run(main)
    assert proof is Proof.MUTE
    assert 0.4 <= took_s < 0.1 * liveness.PROBE_TRIES


@pytest.mark.parametrize(
    ("state", "more"),
    [
        ("alive", {}),
        ("suspect", {"raft": RaftId(3)}),  # another data directory is about to register
        ("dead", {"status": NodeStatus.DOWN}),
        ("", {"status": NodeStatus.LEFT}),
    ],
)
def test_nobody_else_is_asked(state, more):
    async def main():
        net = Net(PortProbe.REFUSED)
        return (await proof_of(Scene(net, state, **more), 3.0))[0], net.asked

    assert run(main) == (None, [])


@pytest.mark.parametrize(
    ("state", "raft", "address"),
    [
        ("dead", TWO.raft_id, "10.0.0.22:7000"),
        ("", TWO.raft_id, "10.0.0.2:7000"),
        ("dead", RaftId(3), "10.0.0.2:7000"),  # gossip shows the end of another under its name
        ("left", RaftId(3), "10.0.0.2:7000"),
    ],
)
def test_it_is_asked_where_gossip_shows_it_else_where_state_has_it(state, raft, address):
    async def main():
        net = Net(PortProbe.REFUSED)
        await proof_of(Scene(net, state, raft=raft))
        return set(net.asked)

    assert run(main) == {address}
