"""The log's plain lines: who leads, who joined Raft, what was decided, what happened to whom."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from orion.model.ids import NodeId, RaftId, raft_text
from orion.node.consensus.driver import RaftDriver
from orion.node.membership.directory import Directory
from orion.raft.interface import Role, SoftState

log = logging.getLogger(__name__)

NAMES_PATIENCE_S = 5.0


class Story:
    """`on_configuration` is told of each that is new."""

    def __init__(
        self,
        *,
        me: NodeId,
        raft: RaftId,
        driver: RaftDriver,
        directory: Directory,
        on_configuration: Callable[[], None],
    ) -> None:
        self._me = me
        self._raft = raft
        self._driver = driver
        self._directory = directory
        self._on_configuration = on_configuration
        self._voters: set[int] = set()
        self._learners: set[int] = set()

    async def run(self) -> None:
        """Until cancelled. Events are told by the leader alone."""
        events = self._driver.watch.events(None, follow=True)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tell_configurations(), name="story-conf")
            async for event in events:
                if event is not None and self._driver.is_leader:
                    log.info("%s", event.text)

    def tell_standing(self, standing: SoftState) -> None:
        if standing.role is Role.LEADER:
            log.info("%s leads in term %d", self._me, standing.term)
        elif standing.leader:
            log.info("following %s in term %d", self._name_of(RaftId(standing.leader)), standing.term)

    async def _tell_configurations(self) -> None:
        told = None
        while True:
            seen, conf = self._driver.watch.moves, self._driver.raft.conf
            if conf != told:
                told = conf
                self._on_configuration()
                voters, learners = {*conf.voters, *conf.voters_outgoing}, {*conf.learners, *conf.learners_next}
                await self._until_named(voters | learners)
                self._tell(voters, learners)
            await self._driver.watch.changed(seen)

    async def _until_named(self, members: set[int]) -> None:
        """At a start, names come with the log and with gossip; until then there are only numbers."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(NAMES_PATIENCE_S):
                while any(self._name_of(RaftId(raft)) == raft_text(RaftId(raft)) for raft in members):
                    await self._driver.watch.changed()

    def _tell(self, voters: set[int], learners: set[int]) -> None:
        for raft in sorted(learners - self._learners - self._voters):
            log.info("%s added to Raft as learner", self._name_of(RaftId(raft)))
        for raft in sorted(voters - self._voters):
            word = "caught up, promoted to voter" if raft in self._learners else "is a voter"
            log.info("%s %s", self._name_of(RaftId(raft)), word)
        for raft in sorted((self._voters | self._learners) - voters - learners):
            log.info("%s removed from Raft", self._name_of(RaftId(raft)))
        for raft in sorted((self._voters & learners) - voters):
            log.info("%s demoted to learner", self._name_of(RaftId(raft)))
        self._voters, self._learners = voters, learners

    def _name_of(self, raft: RaftId) -> str:
        if raft == self._raft:
            return self._me
        return self._directory.node_of_raft(raft) or raft_text(raft)
