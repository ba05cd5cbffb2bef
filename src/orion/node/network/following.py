"""Has a part of this machine's kernel be as the cluster says, whoever else changes it, while there is a network."""

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Coroutine
from typing import Any, ClassVar

from orion.model.errors import OrionError
from orion.node.network.node_network import NodeNetwork
from orion.node.runtime.isolation import UNFORESEEN

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 30.0  # something may have changed that nobody told of
FAILED_AGAIN_S = 2.0


class KernelFollower(ABC):
    """`why`: why the kernel is not as it should be; "" when it is. `words` name its part. `look` has it looked at.

    Loads nothing where there is no network. NodeNetwork takes away what there is when that ends.
    """

    words: ClassVar[str]

    def __init__(self, network: NodeNetwork) -> None:
        self._network = network
        self._doubt = True  # somebody else may have changed what was applied
        self._look = asyncio.Event()
        self.why = ""
        network.on_change.append(self._look.set)

    @abstractmethod
    def _begin(self) -> None:
        """Forgets what was known of the kernel: it may have anything."""

    @abstractmethod
    def _changes(self) -> AsyncGenerator[None, None]:
        """Tells of changes in the kernel, as its port says."""

    @abstractmethod
    async def _reconcile(self) -> None:
        """Raises OrionError."""

    def _beside(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """Returns what else runs meanwhile."""
        return ()

    async def run(self) -> None:
        while True:
            self._look.clear()
            if self._network.networks.parts:
                await self._follow()
                self._begin()
                self.why = ""
            else:
                await self._look.wait()

    async def _follow(self) -> None:
        """Returns when this node has no part in a network any more."""
        async with asyncio.TaskGroup() as group:
            runners = [group.create_task(each, name=self.words) for each in (self._watch_kernel(), *self._beside())]
            self._begin()
            self._doubt = True
            while self._network.networks.parts:
                self._look.clear()
                ok = await self._tried()
                if not await self._woken(LOOK_AGAIN_S if ok else FAILED_AGAIN_S):
                    self._doubt = True
            for runner in runners:
                runner.cancel()

    async def _woken(self, again_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(again_s):
                return await self._look.wait()
        return False

    async def _watch_kernel(self) -> None:
        """Changes that can't be watched are found by looking now and then."""
        while True:
            try:
                async with contextlib.aclosing(self._changes()) as told:
                    async for _ in told:
                        self._doubt = True
                        self._look.set()
            except OrionError as error:
                log.debug("changes of the kernel's %s are not told: %s", self.words, error.detail)
            except UNFORESEEN:
                log.exception("a bug in Orion: changes of the kernel's %s are not told", self.words)
            await asyncio.sleep(LOOK_AGAIN_S)

    async def _tried(self) -> bool:
        """Returns whether it succeeded; why it did not is told once. A bug harms this part alone."""
        try:
            await self._reconcile()
        except (OrionError, *UNFORESEEN) as error:
            known = isinstance(error, OrionError)
            why = str(error) if known else f"a bug in Orion ({type(error).__name__}: {error})"
            if why != self.why:
                log.warning("%s: %s", self.words, why, exc_info=not known)
            self.why = why
            self._doubt = True
            return False
        if self.why:
            log.info("%s are as they should be", self.words)
        self.why = ""
        return True
