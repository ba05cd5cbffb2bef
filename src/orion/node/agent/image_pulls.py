"""Images on their way to the engine, so many at a time; a pull that nobody wants any more ends."""

import asyncio
from collections.abc import Collection

from orion.model.container_options import ContainerOptions
from orion.model.errors import EngineError
from orion.model.ids import AllocationId
from orion.model.images import image_text, is_pinned
from orion.model.job import TaskSpec
from orion.model.pull import PullProgress
from orion.ports.engine import Engine, PullListener

PARALLEL_PULLS = 8
_NO_OPTIONS = ContainerOptions()


class ImagePulls:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._turn = asyncio.Semaphore(PARALLEL_PULLS)
        self._runners: dict[AllocationId, asyncio.Task[None]] = {}

    async def fetch(self, allocation: AllocationId, spec: TaskSpec, tell: PullListener) -> None:
        """Returns when the engine has the image. `tell` is told how far it is, if it has to be pulled at all."""
        options = spec.options or _NO_OPTIONS
        if await self._is_there(spec.image, options.platform, options.pull_policy):
            return
        runner = asyncio.current_task()
        assert runner is not None
        self._runners[allocation] = runner
        try:
            tell(PullProgress())
            async with self._turn:
                await self._engine.pull(spec.image, tell, options.platform)
        finally:
            self._runners.pop(allocation, None)

    async def ahead(self, image: str, platform: str, policy: str) -> None:
        """As `fetch`, for an allocation that is yet to come. Nothing is told of it."""
        if not await self._is_there(image, platform, policy):
            async with self._turn:
                await self._engine.pull(image, lambda _: None, platform)

    async def _is_there(self, image: str, platform: str, policy: str) -> bool:
        """Returns whether it need not be pulled. Raises EngineError where it may not be, either."""
        if policy == "always" and not is_pinned(image):  # what a digest names never changes
            return False
        if await self._engine.has_image(image, platform):
            return True
        if policy == "never":  # another node may have it
            raise EngineError(f"the image {image_text(image)} is not on this node, and is never to be pulled")
        return False

    def abandon_all_but(self, wanted: Collection[AllocationId]) -> None:
        """Cancels the runners that pull for others: of those, nothing was created yet."""
        for allocation in [a for a in self._runners if a not in wanted]:
            self._runners.pop(allocation).cancel()
