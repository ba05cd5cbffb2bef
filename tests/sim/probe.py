"""The Probe port of one process, to the containers of its machine's engine: they accept as long as they run, but
for those that are ill, and some answers get lost.
"""

import asyncio
from collections.abc import Sequence

from orion.model.health import ProbeResult
from orion.ports.probe import HttpQuestion, Target
from sim.engine import SimEngine


class SimProbe:
    def __init__(self, engine: SimEngine) -> None:
        self._engine = engine

    async def tcp(self, targets: Sequence[Target], timeout_s: float) -> ProbeResult:
        return await self._ask(targets, timeout_s)

    async def http(self, targets: Sequence[Target], question: HttpQuestion, timeout_s: float) -> ProbeResult:
        result = await self._ask(targets, timeout_s)
        return result if result.ok else ProbeResult(ok=False, output=f"GET {question.path}: {result.output}")

    async def _ask(self, targets: Sequence[Target], timeout_s: float) -> ProbeResult:
        engine = self._engine
        if not targets:
            return ProbeResult(ok=False, output="its container has no address")
        if engine.faults and engine.rng.random() < engine.faults:
            engine.world.count("probe that nobody answered")
            await asyncio.sleep(timeout_s)
            return ProbeResult(ok=False, output=f"no answer within {timeout_s:g} s")
        await asyncio.sleep(engine.rng.uniform(0.001, 0.02))
        held = engine.at(targets[0].host)
        if held is None:
            return ProbeResult(ok=False, output=f"{targets[0].host} refuses connections")
        if held.shown.id in engine.ill:
            engine.world.count("probe of a task that is ill")
            return ProbeResult(ok=False, output="it is ill")
        engine.passed.add((held.shown.id, held.shown.started_at_ms))
        return ProbeResult(ok=True)
