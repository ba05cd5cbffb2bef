"""The networks that are up on this machine: whose address is on which, and routes of containers on several."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from orion.model.allocation import Allocation
from orion.model.container import Attachment, ContainerState
from orion.model.dns import Answer, Forward, Question
from orion.model.ids import JobName
from orion.model.network import SUBNET_SIZE, address_number
from orion.node.agent.assignments import AssignmentWatcher
from orion.ports.dns import Resolve
from orion.ports.engine import Engine
from orion.ports.overlay import OverlayKernel
from orion.reconcile.container_routes import container_routes
from orion.reconcile.local_network import LocalPart


class Asker(NamedTuple):
    """Who asks for a name. `job` is "" for one that is no task's, and None for this machine itself."""

    networks: tuple[int, ...]
    job: JobName | None


class LocalParts:
    """`parts` are those that are up, the default one first."""

    def __init__(self, *, source: AssignmentWatcher, engine: Engine, kernel: Callable[[], OverlayKernel]) -> None:
        self._source = source
        self._engine = engine
        self._kernel = kernel
        self._askers: tuple[object, dict[int, Asker]] = (None, {})  # as of what, and by address
        self.parts: tuple[LocalPart, ...] = ()

    def keep(self, wanted: Sequence[LocalPart]) -> None:
        """Those that are to be otherwise are not up any more."""
        still = {(part.number, part.engine) for part in wanted}
        self.parts = tuple(part for part in self.parts if (part.number, part.engine) in still)

    def at(self, address: int) -> LocalPart | None:
        return next((part for part in self.parts if 0 <= address - part.first < SUBNET_SIZE), None)

    def of(self, allocation: Allocation) -> list[LocalPart]:
        """Returns the networks that a task of this node is on, in its job's order, as far as they are up."""
        return [part for address in allocation.addresses if (part := self.at(address)) is not None]

    def asker_at(self, client: int) -> Asker:
        """Returns who asks from this address: a container is on the networks of its job, in their order, and this
        machine itself on all.
        """
        work = self._source.latest
        as_of = work, self.parts
        if self._askers[0] != as_of:
            mine = [each.allocation for each in work.assigned] if work is not None else []
            known = {
                address: Asker(tuple(part.number for part in self.of(allocation)), allocation.job)
                for allocation in mine
                if not allocation.terminal
                for address in allocation.addresses
            }
            self._askers = as_of, known
        found = self._askers[1].get(client)
        if found is not None:
            return found
        part = self.at(client)
        if part is None or client == part.first + 1:
            return Asker(tuple(each.number for each in self.parts), None)
        return Asker((part.number,), JobName(""))

    def asked(self, resolve: Callable[[Question, Asker], Answer | Forward]) -> Resolve:
        """Returns a way to ask `resolve` by the address of who asks."""
        return lambda question, client: resolve(question, self.asker_at(address_number(client)))

    # --- routes of containers -----------------------------------------------------------------------------

    async def connect(self, container: str, attach: Attachment) -> None:
        await self._engine.connect(container, attach)

    async def route(self, container: str, allocation: Allocation) -> None:
        """Gives a container that runs the routes to its networks on other nodes."""
        found = await self._engine.inspect(container)
        if found is not None and found.pid:
            await self._kernel().route_container(found.pid, container_routes(self.of(allocation)))

    async def route_all(self) -> None:
        work = self._source.latest
        if work is None:
            return
        mine = (each.allocation for each in work.assigned)
        several: dict[int, Allocation] = {each.id: each for each in mine if each.more_ips}
        for container in await self._engine.containers(work.cluster) if several else ():
            allocation = several.get(container.labels.allocation)
            if allocation is not None and container.state is ContainerState.RUNNING and container.pid:
                routes = container_routes(self.of(allocation))
                await self._kernel().route_container(container.pid, routes)
