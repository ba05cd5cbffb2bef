"""Containers that are to end. What the engine refuses is tried again after a growing wait, and is that container's
trouble alone; its allocation's reason says why meanwhile.
"""

import logging
import random
from collections.abc import Callable

import msgspec

from orion.model.allocation import AllocationStatus
from orion.model.errors import EngineDown, EngineError
from orion.model.ids import AllocationId
from orion.node.alarm import Alarm
from orion.node.sightings import Sightings
from orion.ports import Clock, Engine
from orion.reconcile.containers import Report, Stop, backoff_ms

log = logging.getLogger(__name__)


class _Refusals(msgspec.Struct):
    """Of one action on one container, in a row."""

    times: int = 0
    again_at_ms: int = 0
    words: str = ""


class Endings:
    """Outlives the engine's absences: what was refused before is not asked for at once after."""

    def __init__(
        self,
        *,
        clock: Clock,
        engine: Engine,
        seen: Sightings,
        report: Callable[[AllocationId, AllocationStatus], None],
        rng: random.Random,
        alarm: Alarm,
    ) -> None:
        self._clock = clock
        self._engine = engine
        self._seen = seen
        self._report = report
        self._rng = rng
        self._alarm = alarm
        # By the action too: one that could not be stopped and has ended since may well be removed.
        self._refusals: dict[tuple[type, str], _Refusals] = {}

    def due(self, action: Stop) -> bool:
        refusals = self._refusals.get((type(action), action.container))
        if refusals is None or self._clock.now_ms() >= refusals.again_at_ms:
            return True
        self._alarm.set(refusals.again_at_ms)
        return False

    def forget(self) -> None:
        """What is known of containers that are gone."""
        self._refusals = {key: r for key, r in self._refusals.items() if key[1] in self._seen.containers}

    async def stop(self, action: Stop) -> None:
        try:
            await self._engine.stop(action.container, action.grace_ms)
        except EngineDown:
            raise
        except EngineError as error:
            self._refused(action, "can't be stopped", error, action.meanwhile)
        else:
            self._refusals.pop((type(action), action.container), None)
            await self._seen.look(action.container)

    def _refused(self, action: Stop, what: str, error: EngineError, meanwhile: Report | None) -> None:
        refusals = self._refusals.setdefault((type(action), action.container), _Refusals())
        refusals.times += 1
        wait_ms = backoff_ms(refusals.times, self._rng.random())
        refusals.again_at_ms = self._clock.now_ms() + wait_ms
        level = logging.DEBUG if error.detail == refusals.words else logging.WARNING
        refusals.words = error.detail
        log.log(level, "container %s %s: %s", action.container[:12], what, error.detail)
        if meanwhile is not None:
            reason = f"{what}: {error.detail}; trying again in {max(1, round(wait_ms / 1000))} s"
            self._report(meanwhile.allocation, msgspec.structs.replace(meanwhile.status, reason=reason))
