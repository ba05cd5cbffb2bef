"""Calls the hooks: in their order when something begins or changes, the other way round when it ends."""

import logging
from collections.abc import Collection, Sequence

from orion.model.allocation import Allocation
from orion.model.errors import EngineDown, OrionError
from orion.model.ids import AllocationId
from orion.model.job import TaskSpec
from orion.node.agent.hooks.hook import (
    Hook,
    PoststartHook,
    Prepared,
    PrerunHook,
    PrestartHook,
    StartRequest,
    StopHook,
    UpdateHook,
)
from orion.node.agent.isolation import isolated

log = logging.getLogger(__name__)

# What the cluster wants of an allocation: all but its status, which this node says itself.
_Wish = tuple[bool, tuple[int, ...], TaskSpec]


class Hooks:
    def __init__(self, hooks: Sequence[Hook]) -> None:
        self._prestart = [hook for hook in hooks if isinstance(hook, PrestartHook)]
        self._prerun = [hook for hook in hooks if isinstance(hook, PrerunHook)]
        self._poststart = [hook for hook in hooks if isinstance(hook, PoststartHook)]
        self._update = [hook for hook in hooks if isinstance(hook, UpdateHook)]
        self._stop = [hook for hook in reversed(hooks) if isinstance(hook, StopHook)]
        self._wishes: dict[AllocationId, _Wish] = {}  # as hooks were last told

    async def prestart(self, start: StartRequest) -> Prepared:
        """Raises NotYet, and what else hooks raise."""
        prepared = Prepared(start.spec)
        for hook in self._prestart:
            prepared = await hook.prestart(start, prepared)
        return prepared

    def prerun(self, start: StartRequest) -> None:
        """Raises NotYet."""
        for hook in self._prerun:
            hook.prerun(start)

    async def poststart(self, start: StartRequest) -> None:
        for hook in self._poststart:
            try:
                with isolated(f"in hook {hook.name} after the start of {start.allocation.text}"):
                    await hook.poststart(start)
            except EngineDown:
                raise
            except OrionError as error:
                log.warning("hook %s failed after the start of %s: %s", hook.name, start.allocation.text, error)

    def has_news(self, allocation: Allocation, spec: TaskSpec) -> bool:
        """Returns whether hooks are to be told of an update. What is seen for the first time is none."""
        if not self._update:
            return False
        wish = _wish(allocation, spec)
        return self._wishes.setdefault(allocation.id, wish) != wish

    async def update(self, allocation: Allocation, spec: TaskSpec) -> None:
        self._wishes[allocation.id] = _wish(allocation, spec)
        for hook in self._update:
            try:
                with isolated(f"in hook {hook.name} at an update of {allocation.text}"):
                    await hook.update(allocation, spec)
            except EngineDown:
                raise
            except OrionError as error:
                log.warning("hook %s failed at an update of %s: %s", hook.name, allocation.text, error)

    async def stop(self, allocation: AllocationId) -> bool:
        """Returns whether all hooks have released what they hold of it. After one that can't, those that came
        before it at the start are not asked: it may still use what they hold.
        """
        for hook in self._stop:
            try:
                with isolated(f"in hook {hook.name} at the end of {allocation:08x}"):
                    await hook.stop(allocation)
            except EngineDown:
                raise
            except OrionError as error:
                log.warning("hook %s can't release what %08x held, trying again: %s", hook.name, allocation, error)
                return False
        return True

    def forget(self, assigned: Collection[AllocationId]) -> None:
        """All but these."""
        self._wishes = {a: wish for a, wish in self._wishes.items() if a in assigned}


def _wish(allocation: Allocation, spec: TaskSpec) -> _Wish:
    return allocation.wanted, allocation.ports, spec
