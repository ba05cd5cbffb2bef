"""Containers that are to end. What the engine refuses is tried again after a growing wait, and is that container's
trouble alone; its allocation's reason says why meanwhile.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Iterator

import msgspec

from orion.model.allocation import AllocationStatus
from orion.model.errors import EngineDown, EngineError, OrionError
from orion.model.ids import AllocationId, NodeId
from orion.node.agent.confirm import Confirm, Confirmed
from orion.node.agent.hooks.hooks import Hooks
from orion.node.agent.isolation import isolated
from orion.node.agent.observed import ObservedContainers
from orion.node.runtime.alarm import Alarm
from orion.ports.clock import Clock
from orion.ports.engine import Engine
from orion.reconcile.containers import Remove, Stop, backoff_ms

log = logging.getLogger(__name__)

ASK_AGAIN_S = 1.0  # whether a node is gone for good
LEAST_GRACE_MS = 1_000  # behind hooks that took all of it: the program hears that it is to end
LEFT_MS = 2_000  # what a dead node left behind answers for so long: clients learn of the death meanwhile
OVERDUE_S = 5.0  # what takes longer than it should by so much is told before it is over


class _Refusals(msgspec.Struct):
    """Refusals of one action on one container, in a row."""

    times: int = 0
    again_at_ms: int = 0
    words: str = ""


class Teardown:
    """Outlives the engine's absences: what was refused before is not asked for at once after."""

    def __init__(
        self,
        *,
        clock: Clock,
        engine: Engine,
        seen: ObservedContainers,
        confirm: Callable[[Confirm], Awaitable[Confirmed]],
        hooks: Hooks,
        report: Callable[[AllocationId, AllocationStatus], None],
        on_end: Callable[[AllocationId, AllocationStatus], None],
        on_change: Callable[[], None],
        rng: random.Random,
        alarm: Alarm,
    ) -> None:
        self._clock = clock
        self._engine = engine
        self._seen = seen
        self._confirm = confirm
        self._hooks = hooks
        self._report = report
        self._on_end = on_end
        self._on_change = on_change
        self._rng = rng
        self._alarm = alarm
        self.removing: set[str] = set()  # containers
        # By the action too: one that could not be stopped and has ended since may well be removed.
        self._refusals: dict[tuple[type, str], _Refusals] = {}
        self._pre_stopped: set[str] = set()  # containers whose hooks were run
        self._left: dict[str, int] = {}  # of other nodes' containers: when they are to be removed

    def due(self, action: Stop | Remove) -> bool:
        refusals = self._refusals.get((type(action), action.container))
        if refusals is not None and self._clock.now_ms() < refusals.again_at_ms:
            self._alarm.set(refusals.again_at_ms)
            return False
        return not isinstance(action, Remove) or not action.drains or self._is_drained(action.container)

    def _is_drained(self, container: str) -> bool:
        """Once its time is over, that holds while it is asked again and again: later its node has been back."""
        now_ms, due_ms = self._clock.now_ms(), self._left.get(container, 0)
        if now_ms > due_ms + LEFT_MS:
            due_ms = now_ms + LEFT_MS
        self._left[container] = max(due_ms, now_ms)
        if now_ms < due_ms:
            self._alarm.set(due_ms)
        return now_ms >= due_ms

    def forget(self) -> None:
        """Forgets the containers that are gone."""
        self._refusals = {key: r for key, r in self._refusals.items() if key[1] in self._seen.containers}
        self._pre_stopped &= self._seen.containers.keys()
        self._left = {c: due_ms for c, due_ms in self._left.items() if c in self._seen.containers}

    async def stop(self, action: Stop) -> None:
        if action.before is not None:
            self._report(action.before.allocation, action.before.status)
        try:
            with (
                self._told_when_overdue(action, action.grace_ms / 1000, "still runs"),
                isolated(f"stopping container {action.container[:12]}"),
            ):
                grace_ms = await self._pre_stop(action)
                await self._engine.stop(action.container, grace_ms)
                await self._seen.look(action.container)
        except EngineDown:
            raise
        except EngineError as error:
            self._refused(action, "can't be stopped", error)
        else:
            self._refusals.pop((type(action), action.container), None)
            self._pre_stopped.discard(action.container)  # it may be started again, as it is

    async def _pre_stop(self, action: Stop) -> int:
        """Runs what the task wants to be run before its end, once. Returns what is left of the grace."""
        if not action.hooks or action.container in self._pre_stopped:
            return action.grace_ms
        self._pre_stopped.add(action.container)
        over_ms = self._clock.now_ms() + action.grace_ms
        for hook in action.hooks:
            left_ms = over_ms - self._clock.now_ms()
            if left_ms <= 0:
                break
            within_ms = min(hook.timeout_ms, left_ms)
            try:
                result = await self._engine.exec(action.container, hook.command, within_ms)
            except EngineDown:
                raise
            except EngineError as error:
                log.warning("pre_stop of %08x failed: %s: %s", action.allocation, hook.command[0], error.detail)
            else:
                if result.exit_code != 0:
                    words = result.words(hook.command[0], within_ms)
                    log.warning("pre_stop of %08x failed: %s", action.allocation, words)
        return max(min(LEAST_GRACE_MS, action.grace_ms), over_ms - self._clock.now_ms())

    async def remove(self, action: Remove) -> None:
        container, owner = action.container, action.owner
        known = self._seen.containers.get(container)
        try:
            if owner is not None and not await self._is_gone(owner):
                await asyncio.sleep(ASK_AGAIN_S)
                return
            if owner is not None:
                log.info("removing container %s, left behind by %s", container[:12], owner)
            with (
                self._told_when_overdue(action, 0.0, "is still there"),
                isolated(f"removing container {container[:12]}"),
            ):
                await self._engine.remove(container)
            self._refusals.pop((Remove, container), None)
            self._seen.removed(container)
            if owner is None and known is not None:
                released = await self._hooks.stop(AllocationId(known.labels.allocation))
            else:
                released = True
            if action.then is not None and released:  # else the next look finds it ended, and asks again
                self._on_end(action.then.allocation, action.then.status)
        except EngineDown:
            raise
        except EngineError as error:
            self._refused(action, "can't be removed", error)
        finally:
            self.removing.discard(container)
            self._on_change()

    async def _is_gone(self, owner: NodeId) -> bool:
        """As the cluster has it: this node may be behind, or cut off."""
        try:
            return owner in (await self._confirm(Confirm((), (owner,)))).gone
        except OrionError as error:
            log.info("not removing what %s left behind yet: %s", owner, error.detail)
            return False

    @contextlib.contextmanager
    def _told_when_overdue(self, action: Stop | Remove, due_s: float, still: str) -> Iterator[None]:
        """An engine that hangs over one container says nothing by itself, for a minute at least."""
        late_s = due_s + OVERDUE_S

        def tell() -> None:
            words = f"its container {still} {late_s:.0f} s after it was told to end: the engine does not end it"
            log.warning("container %s: %s", action.container[:12], words)
            if action.meanwhile is not None:
                status = action.meanwhile.status.because(f"{words}, and is waited for")
                self._report(action.meanwhile.allocation, status)

        timer = asyncio.get_running_loop().call_later(late_s, tell)
        try:
            yield
        finally:
            timer.cancel()

    def _refused(self, action: Stop | Remove, what: str, error: EngineError) -> None:
        meanwhile = action.meanwhile
        refusals = self._refusals.setdefault((type(action), action.container), _Refusals())
        refusals.times += 1
        wait_ms = backoff_ms(refusals.times, self._rng.random())
        refusals.again_at_ms = self._clock.now_ms() + wait_ms
        level = logging.DEBUG if error.detail == refusals.words else logging.WARNING
        refusals.words = error.detail
        log.log(level, "container %s %s: %s", action.container[:12], what, error.detail)
        if meanwhile is not None:
            reason = f"its container {what}: {error.detail}; trying again in {max(1, round(wait_ms / 1000))} s"
            self._report(meanwhile.allocation, meanwhile.status.because(reason))
