"""The VXLAN devices of this node, one for each network that it has a part in, and what goes with them."""

from collections.abc import Awaitable, Callable, Sequence

from orion.model.errors import Conflict
from orion.model.ids import NodeId
from orion.model.network import DEFAULT_NUMBER
from orion.ports.engine import Engine
from orion.ports.machine import Machine
from orion.ports.overlay import OverlayFailed, OverlayKernel
from orion.reconcile.local_network import DEVICE, LocalPart, engine_name, number_of, owner_text
from orion.reconcile.overlay import steps

MAX_ROUNDS = 3  # of changes in a row


class Devices:
    """A device is this node's by its alias."""

    def __init__(self, me: NodeId, engine: Engine, machine: Machine, kernel: Callable[[], OverlayKernel]) -> None:
        self._me = me
        self._engine = engine
        self._machine = machine
        self._kernel = kernel

    async def bring(self, part: LocalPart) -> None:
        """Looks again at what it has done: changes are told of a device that was read. Raises OrionError."""
        name = part.device.name
        state = await self._kernel().read(name)
        if state.device is not None and state.device.alias != part.device.alias:
            await self.require_own(name, part.engine.cluster)
        for _ in range(MAX_ROUNDS):
            found = steps(part.device, part.peers, state)
            if not found:
                return
            await self._kernel().carry_out(found)
            state = await self._kernel().read(name)
        raise OverlayFailed(f"somebody else changes {name} all the time: {found[0]}")

    async def require_own(self, name: str, cluster: int) -> None:
        """Raises Conflict where another's device has the name."""
        device = (await self._kernel().read(name)).device
        if device is not None and device.alias != owner_text(cluster, self._me):
            whose = f"is of {device.alias!r}" if device.alias else "is not Orion's"
            raise Conflict(
                f"the device {name} of this machine {whose}: one node of a machine can be on the cluster's"
                f" network. If nobody needs it any more: ip link delete {name}"
            )

    # --- away ---------------------------------------------------------------------------------------------

    async def take_rest_away(self, kept: Sequence[LocalPart]) -> None:
        """Takes away all but these, at least one. Raises OrionError while containers are on one."""
        names = {part.device.name for part in kept}
        cluster = kept[0].engine.cluster
        for name in await self.own(cluster):
            if name not in names:
                await take_away(self._engine, self._kernel(), name, cluster)

    async def take_all_away(
        self, cluster: int, known: Sequence[str], before_last: Callable[[], Awaitable[None]]
    ) -> None:
        """Takes away this node's devices, and those that it knows of. `before_last` is called when only the default
        network's device is left. Raises OrionError while containers are on one.
        """
        mine = {*known, *await self.own(cluster)}
        for name in sorted(mine - {DEVICE}):
            await take_away(self._engine, self._kernel(), name, cluster)
        if DEVICE in mine:
            await self._engine.remove_network(engine_name(DEFAULT_NUMBER), cluster)
            await before_last()
            await self._kernel().remove(DEVICE)

    def may_be_there(self) -> bool:
        """Returns whether the machine has a device of a network's name: a process that was killed may have left one
        of which the cluster never heard, or has heard no more. Loads nothing.
        """
        return any(number_of(name) is not None for name in self._machine.interfaces())

    async def own(self, cluster: int) -> list[str]:
        mine = owner_text(cluster, self._me)
        return [name for name, alias in (await self._kernel().devices()).items() if alias == mine]


async def take_away(engine: Engine, kernel: OverlayKernel, name: str, cluster: int) -> None:
    """Takes away a network's device, and the engine's network before that: the device says what there is to take
    away. Raises OrionError while containers are on it.
    """
    number = number_of(name)
    if number is not None:
        await engine.remove_network(engine_name(number), cluster)
        await kernel.remove(name)
