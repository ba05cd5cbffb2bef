"""The GuardKernel port of one process, to the rules of its machine, which outlive it. Others tamper with them."""

import asyncio
import random
from collections.abc import AsyncGenerator

from orion.model.guard import GuardRules
from sim.kernel_part import SparsePart


class SimGuardRules(SparsePart[GuardRules]):
    """The guards of one machine."""

    def put(self, rules: GuardRules | None) -> None:
        super().put(rules if rules is not None and rules.guards else None)


APPLY_S = (0.02, 0.02, 0.02, 1.0)  # a program is started for it, which a busy machine lets wait


class SimGuard:
    def __init__(self, rules: SimGuardRules, rng: random.Random) -> None:
        self._rules = rules
        self._rng = rng

    async def apply(self, rules: GuardRules) -> None:
        await asyncio.sleep(self._rng.choice(APPLY_S))
        self._rules.put(rules)

    async def matches(self, rules: GuardRules) -> bool:
        await asyncio.sleep(0.01)
        return self._rules.whole and self._rules.applied == (rules if rules.guards else None)

    def changes(self) -> AsyncGenerator[None, None]:
        return self._rules.changes()

    async def remove(self) -> None:
        await asyncio.sleep(0.02)
        self._rules.put(None)
