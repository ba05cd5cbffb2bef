"""Where a member is in the cluster's log: nodes ask each other for that, and people for AskRaft."""

import msgspec

from orion.model.ids import RaftId
from orion.node.consensus.driver import RaftDriver
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import CallRequest
from orion.ports.peers import Principal
from orion.raft.confchange import members


class Position(msgspec.Struct, frozen=True, array_like=True):
    """The last entry that the member has applied, and the `members` by that. At the time of the answer it `leads`,
    or is `led`: by itself or by a leader that it hears.
    """

    applied: int
    leads: bool
    members: tuple[RaftId, ...]
    led: bool


class AskPosition(CallRequest[Position], frozen=True, tag=20):
    pass


def answer_positions(registry: Registry, driver: RaftDriver) -> None:
    async def position(_: AskPosition, __: Principal) -> Position:
        known = tuple(RaftId(member) for member in members(driver.raft.conf))
        return Position(driver.applied_index, driver.is_leader, known, bool(driver.standing.leader))

    registry.answer_call(AskPosition, position)
