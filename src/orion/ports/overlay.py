"""The OverlayKernel port: the kernel's state of an overlay's device, read and changed."""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from orion.model.errors import OrionError
from orion.model.overlay import OverlayState, Route
from orion.reconcile.overlay import Step


class OverlayFailed(OrionError):
    """The kernel refuses what the overlay needs, or does not answer; `detail` says what to do about it."""

    title = "The overlay network failed"
    code = "overlay"


class NoSuchUnderlay(OverlayFailed):
    """No interface has the address, or not yet."""


class OverlayKernel(Protocol):
    """All calls but `changes` return, or raise OverlayFailed, before a deadline."""

    async def read(self, name: str) -> OverlayState:
        """Returns the state of the device of this name. Raises OverlayFailed where the name is that of another kind
        of device.
        """

    async def carry_out(self, steps: Sequence[Step]) -> None:
        """Carries the steps out in their order. One that finds done what it is for has succeeded. When one fails,
        those after it are tried all the same, and what is raised is about the first that failed.
        """

    async def underlay_mtu(self, address: str) -> int:
        """Returns the MTU of the interface that has the address, the least when several have it. Raises
        NoSuchUnderlay when none has it, or while the kernel still looks for another host that has it.
        """

    def changes(self) -> AsyncGenerator[None, None]:
        """Yields once at the beginning, when it listens, and then whenever something may have changed: links,
        addresses, routes, and neighbours and forwarding of devices that were read. Many changes may come as one.
        """

    async def devices(self) -> dict[str, str]:
        """Returns the alias of each VXLAN device of this host, by name."""

    async def route_container(self, pid: int, routes: Sequence[Route]) -> None:
        """Has the network namespace of a process have these routes, and none but them by way of their gateways. The
        gateways are in subnets that its interfaces have addresses of. A process that has ended needs none.
        """

    async def remove(self, name: str) -> None:
        """Deletes the device with all that it has; nothing happens when there is none."""
