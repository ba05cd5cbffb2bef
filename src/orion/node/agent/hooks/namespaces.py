"""A hook: a container has the network, or sees the processes, of a task of another job on this node.

A network ends with the container that it is of, also when that one is only started again. So whoever has it is
started again after that one, with a new container where it is a new one.
"""

import logging
from collections.abc import Callable

from msgspec.structs import replace

from orion.model.container import Container, ContainerState, SharedNamespaces
from orion.model.ids import AllocationId, NodeId
from orion.model.placement_rules import Alongside
from orion.node.agent.hooks.hook import NotYet, Prepared, StartRequest
from orion.ports.engine import Engine

log = logging.getLogger(__name__)


class Namespaces:
    """`cluster`: the number of the cluster, once it is known."""

    name = "namespaces"

    def __init__(self, me: NodeId, engine: Engine, cluster: Callable[[], int]) -> None:
        self._me = me
        self._engine = engine
        self._cluster = cluster
        self._joined: dict[AllocationId, tuple[str, str, int]] = {}  # the other's job and container; own grace, ms

    async def prestart(self, start: StartRequest, prepared: Prepared) -> Prepared:
        wish = start.spec.rules.alongside if start.spec.rules else None
        if wish is None or not (wish.network or wish.pid):
            return prepared
        other = await self._running(wish)
        _, joined, _ = self._joined.get(start.allocation.id, ("", "", 0))
        if start.container and joined and joined != other.id:
            await self._engine.remove(start.container)
            del self._joined[start.allocation.id]
            raise NotYet(f"{wish.job} has a new container: one that shares with it is made")
        self._joined[start.allocation.id] = (wish.job, other.id, start.spec.stop_grace_ms)
        return replace(
            prepared, share=SharedNamespaces(other.id if wish.network else "", other.id if wish.pid else "")
        )

    async def _running(self, wish: Alongside) -> Container:
        """Returns the one that was started last. Raises NotYet."""
        found = [
            container
            for container in await self._engine.containers(self._cluster())
            if container.labels.node == self._me
            and container.labels.job == wish.job
            and container.state is ContainerState.RUNNING
        ]
        if not found:
            what = " and ".join(word for word in ("network", "pid") if getattr(wish, word))
            raise NotYet(f"waits until {wish.job} runs on this node: it has the {what} of its container")
        return max(found, key=lambda container: (container.started_at_ms, container.id))

    async def poststart(self, start: StartRequest) -> None:
        """Stops those that have the network of the container's former run; each is started again by itself."""
        theirs = {a: grace for a, (job, _, grace) in self._joined.items() if job == start.allocation.job}
        if not theirs:
            return
        for container in await self._engine.containers(self._cluster()):
            grace_ms = theirs.get(AllocationId(container.labels.allocation))
            if grace_ms is not None and container.state is ContainerState.RUNNING:
                log.info("%s was started: what shares with it is too: %s", start.container[:12], container.id[:12])
                await self._engine.stop(container.id, grace_ms)

    async def stop(self, allocation: AllocationId) -> None:
        self._joined.pop(allocation, None)
