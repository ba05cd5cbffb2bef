"""A hook of the agent: a part in the life of every allocation's container on this node. As in Nomad, it has any of

    prestart ......... before the container is made, and before each start of it
    prerun ........... just before each start of the program: nothing that takes time comes between
    poststart ........ once it runs
    update ........... the cluster wants something else of the allocation
    stop ............. the allocation has ended, and is not yet said to have

Each is called for one allocation at a time, never two at once for the same. What the engine refuses a hook fails
what was under way as if the engine had refused that; so does a bug (isolation.py).
"""

from typing import Protocol, runtime_checkable

import msgspec

from orion.model.allocation import Allocation
from orion.model.container import Attachment, File, Mount, SharedNamespaces
from orion.model.ids import AllocationId
from orion.model.job import TaskSpec


class NotYet(Exception):
    """A start has to wait for somebody; `str` says for what. It is tried again after a growing wait, and is no
    failure of the task's.
    """


class StartRequest(msgspec.Struct, frozen=True):
    """`container`: "" while it is to be made. `ran`: it has run before, and is started again as it is."""

    allocation: Allocation
    spec: TaskSpec
    container: str = ""
    ran: bool = False


class Prepared(msgspec.Struct, frozen=True):
    """The spec of a container, the files that are put into it before it starts, what it shares, the network that
    it is on if that is not its spec's, and paths of this machine that it has.
    """

    spec: TaskSpec
    files: tuple[File, ...] = ()
    share: SharedNamespaces = SharedNamespaces()
    attach: Attachment | None = None
    mounts: tuple[Mount, ...] = ()


class Hook(Protocol):
    name: str


@runtime_checkable
class PrestartHook(Hook, Protocol):
    async def prestart(self, start: StartRequest, prepared: Prepared) -> Prepared:
        """Returns what hooks before this one have `prepared`, with what this one adds. Raises NotYet; another
        OrionError that is not the engine's is logged, and the start tried again soon.

        Called before the cluster is asked a last time, so also for a start that does not come. A container that was
        made and not started may lack its files: this process's predecessor may have died between.
        """


@runtime_checkable
class PrerunHook(Hook, Protocol):
    def prerun(self, start: StartRequest) -> None:
        """Raises NotYet where what it had prepared is not so any more: this process may have been stalled since."""


@runtime_checkable
class PoststartHook(Hook, Protocol):
    async def poststart(self, start: StartRequest) -> None:
        """Begins what goes along with a container that runs, and returns: until then nothing else is done for its
        allocation. A failure is logged; the container runs on.
        """


@runtime_checkable
class UpdateHook(Hook, Protocol):
    async def update(self, allocation: Allocation, spec: TaskSpec) -> None:
        """Not called for what this process sees for the first time, nor for statuses, which come from here. A
        failure is logged.
        """


@runtime_checkable
class StopHook(Hook, Protocol):
    async def stop(self, allocation: AllocationId) -> None:
        """Releases what the allocation held. Called again until it succeeds, and after a restart of this process,
        so that finding nothing is no failure; and for an allocation that was never prepared here.
        """
