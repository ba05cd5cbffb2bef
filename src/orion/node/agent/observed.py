"""The containers on this node's engine, each as it was last seen."""

from orion.model.container import Container
from orion.model.ids import AllocationId
from orion.ports.engine import Engine


class ObservedContainers:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.containers: dict[str, Container] = {}  # by the engine's id
        self._looks = 0
        self._seen_by: dict[str, int] = {}  # container -> the number of the look that saw it last

    def of(self, allocation: AllocationId) -> Container | None:
        return next((c for c in self.containers.values() if c.labels.allocation == allocation), None)

    async def look_at_all(self, cluster: int) -> None:
        look = self._next_look()
        found = {c.id: c for c in await self._engine.containers(cluster)}
        for container in dict.fromkeys((*found, *self.containers)):
            self._saw(container, found.get(container), look)
        self._seen_by = {c: seen for c, seen in self._seen_by.items() if c in self.containers or seen >= look}

    async def look(self, container: str) -> None:
        look = self._next_look()
        self._saw(container, await self._engine.inspect(container), look)

    def removed(self, container: str) -> None:
        self._saw(container, None, self._next_look())

    def _next_look(self) -> int:
        self._looks += 1
        return self._looks

    def _saw(self, container: str, found: Container | None, look: int) -> None:
        """Looks overlap: what a later one saw is not undone by the answer to an earlier one."""
        if look < self._seen_by.get(container, 0):
            return
        self._seen_by[container] = look
        if found is None:
            self.containers.pop(container, None)
        else:
            self.containers[container] = found
