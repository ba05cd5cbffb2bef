"""Images that a deployment has nodes pull before it ends the tasks that are there.

Nothing of it is in the log: whoever leads next asks again, and a node that has the image says so at once.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection

from orion.model.container_options import ContainerOptions
from orion.model.deployment import Deployment
from orion.model.errors import EngineDown, EngineError, OrionError, Unavailable
from orion.model.ids import NodeId
from orion.model.job import TaskSpec
from orion.node.routing.forward import Forward
from orion.node.routing.pull_image import PullImage
from orion.node.rpc.request import NotUnderstood
from orion.ports.clock import Clock
from orion.reconcile.containers import backoff_ms
from orion.reconcile.deployment_look import FAILED_STARTS, Memory

log = logging.getLogger(__name__)

NODE_AGAIN_S = 1.0
_NO_OPTIONS = ContainerOptions()

Key = tuple[int, NodeId, str]  # deployment, node, image


class ImagesAhead:
    """The pulls of one term. `told` is called when a memory has something new."""

    def __init__(self, *, clock: Clock, forward: Forward, told: Callable[[], None]) -> None:
        self._clock = clock
        self._forward = forward
        self._told = told
        self._runners: dict[Key, asyncio.Task[None]] = {}

    def want(self, row: Deployment, nodes: Collection[NodeId], spec: TaskSpec, memory: Memory) -> None:
        """Has the nodes pull the image, each once; what comes of it is in the deployment's memory."""
        for node in nodes:
            key = row.id, node, spec.image
            if key not in self._runners:
                self._runners[key] = asyncio.create_task(
                    self._pull(node, spec, memory), name=f"pull-ahead-{row.id}-{node}"
                )

    def keep(self, deployments: Collection[int]) -> None:
        """Gives up what is pulled for others."""
        for key in [key for key in self._runners if key[0] not in deployments]:
            self._runners.pop(key).cancel()

    async def close(self) -> None:
        runners = list(self._runners.values())
        self.keep(())
        if runners:
            await asyncio.wait(runners)

    async def _pull(self, node: NodeId, spec: TaskSpec, memory: Memory) -> None:
        options = spec.options or _NO_OPTIONS
        request = PullImage(spec.image, options.platform, options.pull_policy)
        why, failures = "", 0
        while failures < FAILED_STARTS:
            try:
                async with contextlib.aclosing(self._forward.stream_of_node(node, request)) as items:
                    async for _ in items:
                        pass
                why = ""
                break
            except (EngineDown, Unavailable) as error:
                if isinstance(error, NotUnderstood):
                    break
                log.debug("%s does not pull %s now: %s", node, spec.image, error.detail)
                await asyncio.sleep(NODE_AGAIN_S)
            except EngineError as error:
                failures += 1
                why = error.detail
                if failures < FAILED_STARTS:
                    await asyncio.sleep(backoff_ms(failures, 0.5) / 1000)
            except OrionError as error:  # a node of a former version pulls when it starts the task
                log.debug("%s pulls nothing ahead: %s", node, error.detail)
                why = ""
                break
        memory.pulls[node, spec.image] = why
        self._told()
