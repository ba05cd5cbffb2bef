"""A hook: a task that may not go on without the cluster starts once somebody is there who would end it."""

from typing import Protocol

from orion.model.allocation import Allocation
from orion.model.ids import AllocationId
from orion.model.job import TaskSpec
from orion.node.agent.hooks.hook import Prepared, StartRequest


class Watch(Protocol):
    async def require(self, allocation: Allocation, spec: TaskSpec) -> None:
        """Raises NotYet while nobody is."""

    def require_time(self, allocation: AllocationId) -> None:
        """Raises NotYet once the time is over that it was given by `require`."""


class LeaseBeforeStart:
    name = "lease"

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    async def prestart(self, start: StartRequest, prepared: Prepared) -> Prepared:
        await self._watch.require(start.allocation, start.spec)
        return prepared

    def prerun(self, start: StartRequest) -> None:
        self._watch.require_time(start.allocation.id)
