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

_GRACE_MS = 10_000  # Docker's own, of a container that was started before this program was


class Namespaces:
    """`cluster`: the number of the cluster, once it is known. The engine knows what shares with what, so that this
    program may have been started later.
    """

    name = "namespaces"

    def __init__(self, me: NodeId, engine: Engine, cluster: Callable[[], int]) -> None:
        self._me = me
        self._engine = engine
        self._cluster = cluster
        self._graces_ms: dict[AllocationId, int] = {}

    async def prestart(self, start: StartRequest, prepared: Prepared) -> Prepared:
        wish = start.spec.rules.alongside if start.spec.rules else None
        if wish is None or not (wish.network or wish.pid):
            return prepared
        mine = await self._mine()
        other = _running(mine, wish)
        joined = next((_joined(each) for each in mine if each.id == start.container), "")
        if joined and joined != other.id:
            await self._engine.remove(start.container)
            raise NotYet(f"{wish.job} has a new container: one that shares with it is made")
        self._graces_ms[start.allocation.id] = start.spec.stop_grace_ms
        return replace(
            prepared, share=SharedNamespaces(other.id if wish.network else "", other.id if wish.pid else "")
        )

    async def poststart(self, start: StartRequest) -> None:
        """Stops those that have the network of a former run; each is started again by itself."""
        mine = {each.id: each for each in await self._mine()}
        for each in mine.values():
            if not (joined := _joined(each)) or each.state is not ContainerState.RUNNING:
                continue
            other = mine.get(joined)
            if other is None or (other.id == start.container and each.started_at_ms < other.started_at_ms):
                log.info("%s was started: what shares with it is too: %s", start.container[:12], each.id[:12])
                grace_ms = self._graces_ms.get(AllocationId(each.labels.allocation), _GRACE_MS)
                await self._engine.stop(each.id, grace_ms)

    async def stop(self, allocation: AllocationId) -> None:
        self._graces_ms.pop(allocation, None)

    async def _mine(self) -> list[Container]:
        return [each for each in await self._engine.containers(self._cluster()) if each.labels.node == self._me]


def _joined(container: Container) -> str:
    return container.shares.network or container.shares.pid


def _running(mine: list[Container], wish: Alongside) -> Container:
    """Returns the one that was started last. Raises NotYet."""
    found = [each for each in mine if each.labels.job == wish.job and each.state is ContainerState.RUNNING]
    if not found:
        what = " and ".join(word for word in ("network", "pid") if getattr(wish, word))
        raise NotYet(f"waits until {wish.job} runs on this node: it has the {what} of its container")
    return max(found, key=lambda container: (container.started_at_ms, container.id))
