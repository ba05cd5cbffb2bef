"""The watch on the quorum: it names the voters that are missing when too few are there, so that nobody waits for an
answer that can't come.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from orion.model.errors import NoMajority, Unavailable
from orion.model.ids import NodeId, RaftId, raft_text
from orion.model.membership import PRESENT
from orion.node.consensus.driver import RaftDriver
from orion.node.membership.directory import Directory

LOOK_EVERY_S = 0.1
PATIENCE_ELECTIONS = 2  # a candidate's timeout is at most two of them
MAX_NAMED = 5


class QuorumWatch:
    def __init__(self, *, me: NodeId, driver: RaftDriver, directory: Directory, election_ms: int) -> None:
        self._me = me
        self._driver = driver
        self._directory = directory
        self._patience_s = PATIENCE_ELECTIONS * election_ms / 1000

    def missing(self) -> str:
        """Returns words for the missing voters: "no majority: 2 of 3 voters (node2, node3) do not answer". Returns
        "" when there are enough by gossip, when a leader is known, or when this node is no member.
        """
        driver = self._driver
        if not driver.is_member or driver.standing.leader:
            return ""
        conf = driver.raft.conf
        for voters in (conf.voters, conf.voters_outgoing):
            absent = [RaftId(v) for v in voters if not self._may_answer(RaftId(v))]
            if voters and len(voters) - len(absent) <= len(voters) // 2:
                return f"no majority: {len(absent)} of {len(voters)} voters ({self._names(absent)}) do not answer"
        return ""

    def _may_answer(self, raft: RaftId) -> bool:
        if self._directory.node_of_raft(raft) == self._me:
            return True
        seen = self._directory.seen_raft(raft)
        return seen is not None and seen.member.state in PRESENT

    def _names(self, voters: list[RaftId]) -> str:
        names = sorted(self._directory.node_of_raft(v) or raft_text(v) for v in voters)
        return ", ".join(names[:MAX_NAMED] + ["…"] * (len(names) > MAX_NAMED))

    @asynccontextmanager
    async def deadline(self, seconds: float, words: str) -> AsyncGenerator[None, None]:
        """As deadline.deadline, but raises NoMajority once a majority has been missing for longer than an election
        takes.
        """
        lookout = _Lookout(self.missing, self._patience_s)
        try:
            async with asyncio.timeout(seconds) as scope:
                lookout.watch(scope)
                yield
        except TimeoutError:
            if lookout.missing:
                raise NoMajority(lookout.missing) from None
            raise Unavailable(f"{words} within {seconds:g} s") from None
        finally:
            lookout.timer.cancel()


class _Lookout:
    """Ends a timeout's block early once `look` has found something missing for `patience_s`."""

    def __init__(self, look: Callable[[], str], patience_s: float) -> None:
        self._find = look
        self._patience_s = patience_s
        self._loop = asyncio.get_running_loop()
        self._since: float | None = None
        self._scope: asyncio.Timeout
        self.missing = ""
        self.timer: asyncio.TimerHandle

    def watch(self, scope: asyncio.Timeout) -> None:
        self._scope = scope
        self.timer = self._loop.call_later(LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        if self._scope.expired():
            return  # the deadline itself has just passed
        now = self._loop.time()
        self.missing = self._find()
        if not self.missing:
            self._since = None
        elif self._since is None:
            self._since = now
        elif now - self._since >= self._patience_s:
            self._scope.reschedule(now)
            return
        self.timer = self._loop.call_later(LOOK_EVERY_S, self._look)
