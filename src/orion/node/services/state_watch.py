"""State and gossip as what streams look at again whenever either has moved."""

import asyncio
from collections.abc import AsyncGenerator

from orion.model.errors import Unavailable
from orion.node.agent.assignments import LEADERLESS_LOOKS
from orion.node.consensus.driver import RaftDriver
from orion.node.membership.directory import Directory
from orion.node.rpc.request import SIGN_OF_LIFE_S

Position = tuple[int, int]


class StateWatch:
    def __init__(self, driver: RaftDriver, directory: Directory) -> None:
        self._driver = driver
        self._directory = directory

    @property
    def position(self) -> Position:
        """Another one than before once either has moved."""
        return self._driver.watch.index, self._directory.version

    async def waiting(self, at: Position, due_s: float | None = None) -> AsyncGenerator[bool, None]:
        """Yields each SIGN_OF_LIFE_S whether somebody leads. Ends once something has moved since `at`, this node
        follows the log no more, or it is `due_s` on the loop's clock. Raises Unavailable where it is cut off.
        """
        looks = 0  # in a row, without a leader
        while not await self._moved(at, due_s):
            led = bool(self._driver.standing.leader)
            looks = 0 if led else looks + 1
            if looks == LEADERLESS_LOOKS:
                raise Unavailable("this voter is cut off from its leader")
            yield led

    async def _moved(self, at: Position, due_s: float | None) -> bool:
        """False after SIGN_OF_LIFE_S."""
        now_s = asyncio.get_running_loop().time()
        patience_s = SIGN_OF_LIFE_S if due_s is None else min(SIGN_OF_LIFE_S, max(0.0, due_s - now_s))
        try:
            async with asyncio.timeout(patience_s):
                while self.position == at and self._driver.is_member:
                    await self._driver.watch.changed()
        except TimeoutError:
            return due_s is not None and now_s + patience_s >= due_s
        return True
