"""Which members the leader has heard lately, by their Raft messages."""

from orion.model.ids import RaftId
from orion.node.consensus.driver import RaftDriver
from orion.process.config import Tuning
from orion.raft.quorum import Vote, joint_vote

HEARD_HEARTBEATS = 2  # less than it takes to find a host silent


class Heard:
    def __init__(self, driver: RaftDriver, tuning: Tuning) -> None:
        self._driver = driver
        self._tuning = tuning

    def hears(self, member: RaftId) -> bool:
        """A Raft message of that member has come lately: less than it takes gossip to give up one that is gone."""
        follower = self._driver.raft.status().followers.get(member)
        return follower is not None and follower.unheard_ms <= self._tuning.election_ms

    def hears_others(self, but: RaftId) -> bool:
        """A quorum, and somebody besides that member: a sole voter is a quorum by itself."""
        status = self._driver.raft.status()
        limit_ms = HEARD_HEARTBEATS * self._tuning.heartbeat_ms
        heard = {member: follower.unheard_ms <= limit_ms for member, follower in status.followers.items()}
        others = any(heard[member] for member in heard if member != but)
        return others and joint_vote(status.conf, {**heard, status.id: True}) is Vote.WON
