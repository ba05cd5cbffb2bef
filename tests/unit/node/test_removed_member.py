"""A member believes that it was removed when a leader that knows as much as it does says so, and nobody else."""

import asyncio

import msgspec
import pytest

from orion.model.errors import Unavailable
from orion.model.ids import NodeId, RaftId
from orion.model.membership import MemberState, NodeRole
from orion.node.consensus.position import Position
from orion.node.membership.directory import Directory, NodeMetadata
from orion.node.membership.removed_member import LOOK_EVERY_S, RemovedMember
from orion.node.rpc.request import encode_reply
from orion.ports.membership import Member
from orion.raft.interface import Role, SoftState
from orion.state.tables import State
from orion.state.view import View
from sim.world import World

ME = RaftId(1)
APPLIED = 100
GONE = Position(applied=APPLIED, leads=True, members=(RaftId(2), RaftId(3)), led=True)


class Driver:
    def __init__(self, leader=0, *, is_member=True):
        self.applied_index = APPLIED
        self.standing = SoftState(Role.FOLLOWER, 3, leader)
        self.is_member = is_member
        self.excluded = False

    def exclude(self):
        self.excluded = True
        self.is_member = False


class Net:
    def __init__(self, says):
        self.says = says

    async def call(self, address, request, *, timeout_s):
        if self.says is None:
            raise Unavailable("nobody answers")
        return encode_reply(self.says)


def excluded(says, *, role=NodeRole.LEADER, driver=None):
    """Whether it has come to think so after some looks."""
    world = World(1)
    world.install()
    driver = driver or Driver()

    async def main():
        directory = Directory(lambda: View(State()))
        directory.cluster = 5
        said = NodeMetadata(RaftId(2), "10.0.0.2:7000", "10.0.0.2:8000", "", role, 3, 5).encode()
        directory.update([Member(NodeId("node2"), MemberState.ALIVE, "10.0.0.2:6000", 1, said)])
        removed = RemovedMember(raft=ME, driver=driver, directory=directory, peers=Net(says))
        running = asyncio.ensure_future(removed.run())
        await asyncio.sleep(5 * LOOK_EVERY_S)
        running.cancel()
        await asyncio.wait([running])

    try:
        world.loop.run_until_complete(main())
    finally:
        world.loop.close()
    return driver.excluded


def test_a_leader_that_has_applied_as_much_and_does_not_count_it_has_removed_it():
    assert excluded(GONE)
    assert excluded(msgspec.structs.replace(GONE, applied=APPLIED + 1))


@pytest.mark.parametrize(
    "says",
    [
        msgspec.structs.replace(GONE, applied=APPLIED - 1),  # its configuration may be older than ours
        msgspec.structs.replace(GONE, leads=False),  # gossip still shows a leader of before
        msgspec.structs.replace(GONE, members=(ME, RaftId(2), RaftId(3))),
        None,
    ],
)
def test_it_is_a_member_still_by_any_other_answer(says):
    assert not excluded(says)


def test_a_voter_that_does_not_lead_is_not_asked():
    assert not excluded(GONE, role=NodeRole.VOTER)


def test_a_member_that_has_a_leader_does_not_ask():
    assert not excluded(GONE, driver=Driver(leader=2))
