"""Tells duties that the cluster has changed, and that time has passed."""

import asyncio

from orion.node.consensus.driver import RaftDriver
from orion.node.membership.directory import Directory
from orion.node.membership.liveness import Liveness
from orion.raft.messages import ConfState

LOOK_AGAIN_S = 0.5  # duties look at least this often: graces run out without any event

_Version = tuple[int, int, int, int, ConfState]


class ClusterWatch:
    def __init__(self, driver: RaftDriver, directory: Directory, liveness: Liveness) -> None:
        self._driver = driver
        self._directory = directory
        self._liveness = liveness

    async def changed(self) -> None:
        """Returns when nodes, gossip's view of them or the configuration have moved, or after LOOK_AGAIN_S. Not
        every write counts: with hundreds of nodes a look at all of them is not free.
        """
        before = self._version()
        try:
            async with asyncio.timeout(LOOK_AGAIN_S):
                while self._version() == before:
                    await self._driver.watch.changed()
        except TimeoutError:
            return

    def _version(self) -> _Version:
        driver = self._driver
        return (
            driver.installs,
            driver.view.facts_epoch,
            self._directory.version,
            self._liveness.version,
            driver.raft.conf,
        )
