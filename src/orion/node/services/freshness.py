"""Answers from applied state, as fresh as a read demands."""

import logging
from collections.abc import Callable, Hashable, Iterable

import msgspec

from orion.model.errors import NoMajority, Unavailable
from orion.node.consensus.driver import RaftDriver
from orion.node.consensus.read_barrier import Barrier
from orion.node.membership.quorum_watch import QuorumWatch
from orion.node.rpc.lists import Captured, Lists
from orion.node.rpc.reads import Epoch, Listing, Read

log = logging.getLogger(__name__)


class Freshness:
    """One per node: those who want a barrier pass the same one."""

    def __init__(self, *, driver: RaftDriver, quorum: QuorumWatch, lists: Lists) -> None:
        self._driver = driver
        self._quorum = quorum
        self._lists = lists
        self._barrier = Barrier(driver)

    async def reached(self, read: Read) -> int:
        """Returns when applied state is as fresh as the read demands: an index that state which will do is at, or
        past.
        """
        driver = self._driver
        at_least = 0
        if read.after_index:
            try:
                async with self._quorum.deadline(read.wait_s, f"nothing past {read.after_index}"):
                    await driver.watch.polled(read.after_index + 1)
                at_least = read.after_index + 1
            except Unavailable as error:
                if isinstance(error, NoMajority) and not read.stale:
                    raise
                log.debug("long poll: %s", error.detail)
        if read.stale:
            return driver.applied_index
        async with self._quorum.deadline(read.timeout_s, "no majority of the voters answered"):
            return max(at_least, await self._barrier.passed())

    async def listing(
        self,
        read: Read,
        key: Hashable,
        rows: Callable[[], tuple[Iterable[msgspec.Struct], str]],
        epoch: Callable[[], Epoch] = tuple,
    ) -> Listing:
        """The list called `key`. `rows` gives its views, untouched by later commands, and the id past which there
        are more; `epoch` what the list depends on besides the log.
        """
        at_least = await self.reached(read)

        def capture() -> Captured:
            views, following = rows()
            return Captured(self._driver.applied_index, epoch(), following, iter(views))

        return await self._lists.get(key, at_least, epoch, capture)
