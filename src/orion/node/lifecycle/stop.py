"""The first half of a planned stop, while the node still runs: say so, hand over leadership, leave."""

import asyncio
import logging

from orion.model.errors import OrionError
from orion.model.ids import NodeId, RaftId
from orion.model.membership import MemberState
from orion.model.node import NodeStatus
from orion.node.agent.agent import Agent
from orion.node.agent.assignments import AssignmentWatcher
from orion.node.agent.leases import Leases
from orion.node.agent.registration import Registration
from orion.node.consensus.driver import RaftDriver
from orion.node.lifecycle.last_words import LastWords
from orion.node.membership.directory import Directory
from orion.node.routing.submit import Submitter
from orion.ports.clock import Clock
from orion.ports.membership import Membership
from orion.process.config import Tuning
from orion.state.tables.node_status import SetNodeStatus

log = logging.getLogger(__name__)

ANNOUNCE_TIMEOUT_S = 6.0  # an election may be on
HAND_OVER_TIMEOUT_S = 6.0


class PlannedStop:
    def __init__(
        self,
        *,
        me: NodeId,
        raft: RaftId,
        tuning: Tuning,
        clock: Clock,
        driver: RaftDriver,
        directory: Directory,
        membership: Membership,
        submitter: Submitter,
        registration: Registration,
        source: AssignmentWatcher,
        agent: Agent,
        leases: Leases,
    ) -> None:
        self._me = me
        self._raft = raft
        self._tuning = tuning
        self._clock = clock
        self._driver = driver
        self._directory = directory
        self._membership = membership
        self._submitter = submitter
        self._registration = registration
        self._source = source
        self._agent = agent
        self._leases = leases

    async def run(self) -> str:
        """Returns the stop's last words. Containers stay; their work waits for this node's return for the grace."""
        grace_ms, work = self._tuning.stop_grace_ms, self._source.latest
        alive = (s.member.node for s in self._directory.all_seen() if s.member.state is MemberState.ALIVE)
        others = any(node != self._me for node in alive)
        from_ms = self._clock.now_ms()
        at_ms, untold = await self._announce()
        if not untold:
            await self._leases.extend(from_ms, grace_ms)
        await self._hand_over()
        await self._membership.leave()
        words = LastWords(
            node=self._me,
            tasks=self._agent.running_tasks(),
            others=others,
            shares_engine=bool(work and work.neighbours),
            untold=untold,
            until_ms=at_ms + grace_ms,
            grace_ms=grace_ms,
        )
        return words.text

    async def _announce(self) -> tuple[int, str]:
        """Returns when, on the wall clock, and why the cluster could not be told, "" when it was."""
        at_ms, grace_ms = self._clock.wall_ms(), self._tuning.stop_grace_ms
        command = SetNodeStatus(at_ms, self._me, self._raft, NodeStatus.LEFT, "stops on purpose", grace_ms)
        self._registration.closing = True
        try:
            await self._submitter.submit(command, timeout_s=ANNOUNCE_TIMEOUT_S)
        except OrionError as error:
            log.warning("could not announce this stop, so the others will call this node dead: %s", error.detail)
            return at_ms, error.detail
        return at_ms, ""

    async def _hand_over(self) -> None:
        driver = self._driver
        others = [v for v in driver.raft.conf.voters if v != self._raft]
        if not driver.is_leader or not others:
            return
        try:
            async with asyncio.timeout(HAND_OVER_TIMEOUT_S):
                await driver.hand_over(0)
            log.info("leadership handed over")
        except TimeoutError:
            log.warning("no voter took over within %g s; they will elect one", HAND_OVER_TIMEOUT_S)
