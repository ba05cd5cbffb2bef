"""The GuardKernel port of one process, to the rules of its machine, which outlive it. Others tamper with them."""

import asyncio
from collections.abc import AsyncGenerator

from orion.model.guard import GuardRules


class SimGuardRules:
    """The guards of one machine."""

    def __init__(self) -> None:
        self.applied: GuardRules | None = None
        self.whole = True  # False once somebody has taken a part of them away
        self._listening: set[asyncio.Event] = set()

    def put(self, rules: GuardRules | None) -> None:
        self.applied, self.whole = rules if rules is not None and rules.guards else None, True
        self._tell()

    def tamper(self) -> None:
        """As whoever flushes all, or deletes one rule."""
        self.whole = self.applied is None
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


class SimGuard:
    def __init__(self, rules: SimGuardRules) -> None:
        self._rules = rules

    async def apply(self, rules: GuardRules) -> None:
        await asyncio.sleep(0.02)
        self._rules.put(rules)

    async def matches(self, rules: GuardRules) -> bool:
        await asyncio.sleep(0.01)
        return self._rules.whole and self._rules.applied == (rules if rules.guards else None)

    def changes(self) -> AsyncGenerator[None, None]:
        return self._rules.changes()

    async def remove(self) -> None:
        await asyncio.sleep(0.02)
        self._rules.put(None)
