"""The Ingress port of one process, to the ports of its machine, which outlive it. Others tamper with them."""

import asyncio
from collections.abc import AsyncGenerator, Collection

import msgspec

from orion.model.ingress import Backend, IngressPort, IngressRules, Listener
from sim.kernel_part import SparsePart


class SimIngressKernel(SparsePart[IngressRules]):
    """Published ports of one machine, and the connections that came by them."""

    def __init__(self) -> None:
        super().__init__()
        self.connections: list[Backend] = []
        self.listeners: list[Listener] = []

    def put(self, rules: IngressRules | None) -> None:
        super().put(_as_kept(rules))

    def backends(self, port: int, protocol: str) -> tuple[Backend, ...]:
        """Returns where a new connection to the port may go; none where the port is not published."""
        ports = self.applied.ports if self.applied and self.whole else ()
        return next((each.backends for each in ports if (each.port, each.protocol) == (port, protocol)), ())


class SimIngress:
    def __init__(self, kernel: SimIngressKernel) -> None:
        self._kernel = kernel

    async def apply(self, rules: IngressRules) -> None:
        await asyncio.sleep(0.02)
        self._kernel.put(rules)

    async def matches(self, rules: IngressRules) -> bool:
        await asyncio.sleep(0.01)
        return self._kernel.whole and self._kernel.applied == _as_kept(rules)

    def changes(self) -> AsyncGenerator[None, None]:
        return self._kernel.changes()

    async def cut(self, backends: Collection[Backend]) -> int:
        await asyncio.sleep(0.01)
        left = [each for each in self._kernel.connections if each not in backends]
        count, self._kernel.connections = len(self._kernel.connections) - len(left), left
        return count

    async def listeners(self, ports: Collection[IngressPort]) -> tuple[Listener, ...]:
        await asyncio.sleep(0.01)
        wanted = {(each.port, each.protocol) for each in ports}
        return tuple(each for each in self._kernel.listeners if (each.port, each.protocol) in wanted)

    async def remove(self) -> None:
        await asyncio.sleep(0.02)
        self._kernel.put(None)


def _as_kept(rules: IngressRules | None) -> IngressRules | None:
    """Without what is of no matter. Without networks or ports there is nothing."""
    if rules is None or not rules.networks or not rules.ports:
        return None
    ports = (msgspec.structs.replace(each, backends=tuple(sorted(each.backends))) for each in rules.ports)
    hosts = tuple(sorted({each for each in rules.hosts if ":" not in each}))
    return msgspec.structs.replace(rules, ports=tuple(sorted(ports, key=_key)), hosts=hosts)


def _key(port: IngressPort) -> tuple[str, int]:
    return port.protocol, port.port
