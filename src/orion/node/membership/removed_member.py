"""The check whether this member was removed while it was down or cut off. It would never hear of that: nobody sends
it the entry that removed it, and members with a leader ignore its campaigns. It would keep its old configuration
for ever, and the work that its old state gives it. So a member that has long had no leader, while gossip shows one,
asks that leader for the members.
"""

import asyncio
import logging

from orion.model.errors import OrionError
from orion.model.ids import RaftId
from orion.model.membership import NodeRole
from orion.node.consensus.driver import RaftDriver
from orion.node.consensus.position import AskPosition
from orion.node.membership.directory import Directory, Seen
from orion.node.rpc import ask
from orion.ports.peers import Peers

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
PATIENCE_LOOKS = 2  # in a row without a leader; an election takes less
ASK_TIMEOUT_S = 2.0


class RemovedMember:
    """Calls `driver.exclude` once this member was removed. The driver ends that as soon as it has a leader
    again.
    """

    def __init__(self, *, raft: RaftId, driver: RaftDriver, directory: Directory, peers: Peers) -> None:
        self._raft = raft
        self._driver = driver
        self._directory = directory
        self._peers = peers

    async def run(self) -> None:
        looks = 0
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            waits = self._driver.is_member and not self._driver.standing.leader
            looks = looks + 1 if waits else 0
            if looks >= PATIENCE_LOOKS:
                await self._ask()

    async def _ask(self) -> None:
        for seen in self._directory.voters():
            leads = seen.metadata.role is NodeRole.LEADER and seen.metadata.raft_id != self._raft
            if leads and await self._is_excluded(seen):
                log.warning("the cluster took this node out of Raft while it was away: it is a worker now")
                self._driver.exclude()
                return

    async def _is_excluded(self, leader: Seen) -> bool:
        driver, address = self._driver, leader.metadata.peer_address
        try:
            theirs = await ask.call(self._peers, address, AskPosition(), timeout_s=ASK_TIMEOUT_S)
        except OrionError as error:
            log.debug("%s does not say who the members are: %s", leader.member.node, error.detail)
            return False
        newer = theirs.leads and theirs.applied >= driver.applied_index
        return newer and not driver.standing.leader and self._raft not in theirs.members
