"""The Firewall port of one process, to the rules of its machine, which outlive it. Others tamper with them."""

import asyncio
from collections.abc import AsyncGenerator

from orion.model.firewall import FirewallRules


class SimKernel:
    """The rules of one machine."""

    def __init__(self) -> None:
        self.applied: FirewallRules | None = None
        self.whole = True  # False once somebody has taken a part of them away
        self._listening: set[asyncio.Event] = set()

    def put(self, rules: FirewallRules | None) -> None:
        self.applied, self.whole = rules, True
        self._tell()

    def tamper(self) -> None:
        """As whoever flushes all, or deletes one rule."""
        self.whole = False
        self._tell()

    async def changes(self) -> AsyncGenerator[None, None]:
        changed = asyncio.Event()
        self._listening.add(changed)
        try:
            yield
            while True:
                await changed.wait()
                changed.clear()
                yield
        finally:
            self._listening.discard(changed)

    def _tell(self) -> None:
        for each in self._listening:
            each.set()


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
