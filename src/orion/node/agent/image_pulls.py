"""Images on their way to the engine, so many at a time; a pull that nobody wants any more ends."""

import asyncio
from collections.abc import Collection

from orion.model.container_options import ContainerOptions
from orion.model.errors import EngineError
from orion.model.ids import AllocationId
from orion.model.images import is_pinned
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
        image, options = spec.image, spec.options or _NO_OPTIONS
        if options.pull_policy != "always" or is_pinned(image):  # what a digest names never changes
            if await self._engine.has_image(image, options.platform):
                return
            if options.pull_policy == "never":  # another node may have it
                raise EngineError(f"the image {image} is not on this node, and is never to be pulled")
        runner = asyncio.current_task()
        assert runner is not None
        self._runners[allocation] = runner
        try:
            tell(PullProgress())
            async with self._turn:
                await self._engine.pull(image, tell, options.platform)
        finally:
            self._runners.pop(allocation, None)

    def abandon_all_but(self, wanted: Collection[AllocationId]) -> None:
        """Cancels the runners that pull for others: of those, nothing was created yet."""
        for allocation in [a for a in self._runners if a not in wanted]:
            self._runners.pop(allocation).cancel()
