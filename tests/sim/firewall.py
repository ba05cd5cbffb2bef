"""The Firewall port of one process, to the rules of its machine, which outlive it. Others tamper with them."""

import asyncio
from collections.abc import AsyncGenerator

from orion.model.firewall import FirewallRules
from sim.kernel_part import KernelPart


class SimKernel(KernelPart[FirewallRules]):
    """The rules of one machine."""


class SimFirewall:
    def __init__(self, kernel: SimKernel) -> None:
        self._kernel = kernel

    async def apply(self, rules: FirewallRules) -> None:
        await asyncio.sleep(0.02)
        self._kernel.put(rules)

    async def matches(self, rules: FirewallRules) -> bool:
        await asyncio.sleep(0.01)
        return self._kernel.whole and self._kernel.applied == rules

    def changes(self) -> AsyncGenerator[None, None]:
        return self._kernel.changes()

    async def remove(self) -> None:
        await asyncio.sleep(0.02)
        self._kernel.put(None)
