"""The Reach port of one machine: probes come through where hosts reach each other and have addresses."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from orion.model.reach import Arrivals, Echo, Way
from orion.reconcile.local_network import DEVICE

if TYPE_CHECKING:
    from sim.cluster import Machine


class SimReach:
    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        self._rng = machine.world.rng("reach", machine.name)

    async def serve(self, addresses: Sequence[str], peers: Callable[[], Collection[str]]) -> None:
        await asyncio.get_running_loop().create_future()

    async def echo(self, source: str, target: str, size_bytes: int, *, tries: int, within_s: float) -> Echo:
        for _ in range(tries):
            if self._comes_back(target):
                await asyncio.sleep(0.001)
                return Echo(us=1_000)
            await asyncio.sleep(within_s / tries)
        return Echo()

    async def transfer(self, source: str, target: str, *, within_s: float) -> bool:
        await asyncio.sleep(0.001)
        return self._comes_back(target)

    async def send(self, way: Way, sizes: Sequence[int], underlay_sizes: Sequence[int]) -> None:
        await asyncio.sleep(0)

    async def listen(self, way: Way, device: str, *, within_s: float) -> tuple[Arrivals, str]:
        await asyncio.sleep(within_s)
        return Arrivals(), "a simulated kernel shows no packets"

    async def strict(self, device: str) -> bool:
        return False

    def _comes_back(self, target: str) -> bool:
        mine = self._machine
        for other in mine.cluster.machines.values():
            if target in _addresses(other) and other.up:
                if other.engine.kernel.is_deaf or mine.engine.kernel.is_deaf:
                    return False
                return mine.cluster.network.arrives(mine.host, other.host)
        return False


def _addresses(machine: "Machine") -> set[str]:
    """Its own in the network, and that of its bridge."""
    device = machine.engine.kernel.devices.get(DEVICE)
    own = {each.partition("/")[0] for each in device.addresses} if device is not None else set()
    return own | {f"{head}.1" for head, _, last in (each.rpartition(".") for each in own) if last == "0"}
