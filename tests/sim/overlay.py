"""The network of one machine's kernel, as far as an overlay is concerned, and the OverlayKernel port of one process
to it. The network outlives the processes that talk to it. No packets.
"""

import asyncio
import functools
from collections.abc import AsyncGenerator, Sequence

from orion.model.overlay import (
    NOTHING,
    Forwarding,
    FoundDevice,
    Neighbour,
    OverlayDevice,
    OverlayState,
    Route,
)
from orion.ports.overlay import NoSuchUnderlay, OverlayFailed
from orion.reconcile.overlay import (
    AddAddress,
    AddRoute,
    CreateDevice,
    DeleteDevice,
    RemoveAddress,
    RemoveForwarding,
    RemoveNeighbour,
    RemoveRoute,
    SetDevice,
    SetForwarding,
    SetNeighbour,
    Step,
)
from sim.loop import Process
from sim.world import World

Remote = tuple[str, int, int]  # underlay, port and VNI


class SimDevice:
    """One VXLAN device. A MAC is permanent or not with all its remotes, of which only that of zeros has several."""

    def __init__(self, found: FoundDevice) -> None:
        self.found = found
        self.addresses: dict[str, None] = {}
        self.neighbours: dict[str, str] = {}
        self.remotes: dict[str, list[Remote]] = {}
        self.fleeting: set[str] = set()  # MACs
        self.routes: set[Route] = set()

    def state(self) -> OverlayState:
        return OverlayState(
            self.found,
            frozenset(self.addresses),
            frozenset(Neighbour(*each) for each in self.neighbours.items()),
            frozenset(
                Forwarding(mac, *remote, permanent=mac not in self.fleeting)
                for mac, remotes in self.remotes.items()
                for remote in remotes
            ),
            frozenset(self.routes),
        )

    @functools.singledispatchmethod
    def take(self, step: Step) -> None:
        raise AssertionError(f"no step of a device that is there: {step}")

    @take.register
    def _(self, step: SetDevice) -> None:
        old = self.found
        self.found = FoundDevice(
            old.vni, old.port, old.local, old.mac, step.mtu, step.alias, learning=old.learning, up=True
        )

    @take.register
    def _(self, step: AddAddress) -> None:
        self.addresses[step.address] = None

    @take.register
    def _(self, step: RemoveAddress) -> None:
        if step.address in self.addresses:
            del self.addresses[step.address]
            if not self.addresses:
                self.routes.clear()

    @take.register
    def _(self, step: SetNeighbour) -> None:
        self.neighbours[step.neighbour.address] = step.neighbour.mac

    @take.register
    def _(self, step: RemoveNeighbour) -> None:
        self.neighbours.pop(step.neighbour.address, None)

    @take.register
    def _(self, step: SetForwarding) -> None:
        if "." not in step.forwarding.underlay and ":" not in step.forwarding.underlay:
            raise OverlayFailed(f"{step} has an address that is none")
        if (":" in step.forwarding.underlay) != (":" in self.found.local):
            raise OverlayFailed(
                f"forwarding to {step.forwarding.underlay}: the device's address is of the other family"
            )
        self.remotes[step.forwarding.mac] = [_remote(step.forwarding)]
        self.fleeting.discard(step.forwarding.mac)

    @take.register
    def _(self, step: RemoveForwarding) -> None:
        remotes = self.remotes.get(step.forwarding.mac, [])
        if _remote(step.forwarding) in remotes:
            remotes.remove(_remote(step.forwarding))
        if not remotes:
            self.remotes.pop(step.forwarding.mac, None)
            self.fleeting.discard(step.forwarding.mac)

    @take.register
    def _(self, step: AddRoute) -> None:
        if not self.found.up:
            raise OverlayFailed(f"routing {step.route.subnet}: the kernel says: Network is down")
        for other in self.routes:
            if (other.subnet, other.metric) == (step.route.subnet, step.route.metric) and other != step.route:
                raise OverlayFailed(f"routing {step.route.subnet}: this host routes it already")
        self.routes.add(step.route)

    @take.register
    def _(self, step: RemoveRoute) -> None:
        self.routes.discard(step.route)


class HostNetwork:
    """`underlay`: the addresses of the machine, with the MTU of the interface of each."""

    def __init__(self, world: World, name: str, underlay: dict[str, int]) -> None:
        self.world = world
        self.rng = world.rng("host network", name)
        self.underlay = underlay
        self.devices: dict[str, SimDevice] = {}
        self.refuses = ""  # words, while every step fails
        self.is_deaf = False  # what comes by the overlay is dropped
        self.containers: dict[int, frozenset[Route]] = {}  # routes in containers, by process
        self._listeners: dict[asyncio.Event, Process] = {}

    def take(self, step: Step) -> None:
        if self.refuses:
            raise OverlayFailed(self.refuses)
        device = self.devices.get(step.device)
        if isinstance(step, DeleteDevice):
            self.devices.pop(step.device, None)
        elif isinstance(step, CreateDevice):
            self._create(step.wanted)
        elif device is None:
            raise OverlayFailed(f"the device {step.device} is not there any more")
        else:
            device.take(step)
        self.changed()

    def changed(self) -> None:
        for event, process in self._listeners.items():
            process.post(event.set)

    def listen(self, process: Process, event: asyncio.Event) -> None:
        self._listeners = {each: owner for each, owner in self._listeners.items() if owner.alive}
        self._listeners[event] = process

    def forget(self, event: asyncio.Event) -> None:
        self._listeners.pop(event, None)

    def _create(self, wanted: OverlayDevice) -> None:
        if wanted.name in self.devices:
            raise OverlayFailed(f"creating {wanted.name}: a device of this name has been made meanwhile")
        for name, device in self.devices.items():
            if (device.found.vni, device.found.port) == (wanted.vni, wanted.port):
                raise OverlayFailed(
                    f"creating {wanted.name}: the device {name} has VNI {wanted.vni} at port {wanted.port} already"
                )
        found = FoundDevice(wanted.vni, wanted.port, wanted.local, wanted.mac, wanted.mtu, "", up=False)
        self.devices[wanted.name] = SimDevice(found)


class SimOverlay:
    """The OverlayKernel port of one process."""

    def __init__(self, network: HostNetwork, process: Process) -> None:
        self._network = network
        self._process = process

    async def read(self, name: str) -> OverlayState:
        await self._pass_time()
        device = self._network.devices.get(name)
        return device.state() if device else NOTHING

    async def carry_out(self, steps: Sequence[Step]) -> None:
        failed: list[OverlayFailed] = []
        for step in steps:
            if isinstance(step, CreateDevice | DeleteDevice):  # a process may die between
                await self._pass_time()
            try:
                self._network.take(step)
            except OverlayFailed as error:
                failed.append(error)
        await self._pass_time()
        if failed:
            raise failed[0]

    async def underlay_mtu(self, address: str) -> int:
        await self._pass_time()
        if address not in self._network.underlay:
            raise NoSuchUnderlay(f"no interface of this host has the address {address}")
        return self._network.underlay[address]

    async def changes(self) -> AsyncGenerator[None, None]:
        changed = asyncio.Event()
        self._network.listen(self._process, changed)
        try:
            while True:
                changed.clear()
                yield
                await changed.wait()
                await asyncio.sleep(0.05)
        finally:
            self._network.forget(changed)

    async def devices(self) -> dict[str, str]:
        await self._pass_time()
        return {name: device.found.alias for name, device in self._network.devices.items()}

    async def route_container(self, pid: int, routes: Sequence[Route]) -> None:
        await self._pass_time()
        if pid in self._network.containers:  # it runs
            self._network.containers[pid] = frozenset(routes)

    async def remove(self, name: str) -> None:
        await self._pass_time()
        if self._network.devices.pop(name, None):
            self._network.changed()

    async def _pass_time(self) -> None:
        await asyncio.sleep(self._network.rng.uniform(0.0005, 0.01))


def _remote(forwarding: Forwarding) -> Remote:
    return forwarding.underlay, forwarding.port, forwarding.vni
