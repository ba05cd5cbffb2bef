"""The agent's loop: assignments and containers -> actions, one at a time for an allocation."""

import asyncio
import random
from collections.abc import Callable, Collection, Coroutine, Mapping
from functools import partial

from orion.model.allocation import TERMINAL, AllocationState, AllocationStatus
from orion.model.ids import AllocationId, NodeId
from orion.node.agent.assignment_stream import Assignment, AssignmentSet
from orion.node.agent.assignments import AssignmentWatcher
from orion.node.agent.health_checks import HealthChecks
from orion.node.agent.hooks.hooks import Hooks
from orion.node.agent.image_pulls import ImagePulls
from orion.node.agent.observed import ObservedContainers
from orion.node.agent.reports import Reports
from orion.node.agent.starter import Starter
from orion.node.agent.teardown import Teardown
from orion.node.runtime.alarm import Alarm
from orion.ports.clock import Clock
from orion.reconcile.containers import (
    Action,
    Attempts,
    BackOff,
    Desired,
    Drain,
    Remove,
    Report,
    Start,
    Stop,
    Wait,
    backoff_ms,
    reconcile,
)

_ActionRunner = Callable[[], Coroutine[None, None, None]]


class Reconciler:
    """Looks whenever the work, a container or a timer changes. Each action runs in a runner of its own, so that a
    slow pull holds up nobody else.
    """

    def __init__(
        self,
        *,
        me: NodeId,
        clock: Clock,
        source: AssignmentWatcher,
        seen: ObservedContainers,
        pulls: ImagePulls,
        hooks: Hooks,
        reports: Reports,
        starter: Starter,
        teardown: Teardown,
        health: HealthChecks,
        rng: random.Random,
        alarm: Alarm,
    ) -> None:
        self._me = me
        self._clock = clock
        self._source = source
        self._seen = seen
        self._pulls = pulls
        self._hooks = hooks
        self._reports = reports
        self._starter = starter
        self._teardown = teardown
        self._health = health
        self._rng = rng
        self._alarm = alarm
        self._busy: set[AllocationId] = set()
        self._attempts: dict[AllocationId, Attempts] = {}

    def begin_anew(self) -> None:
        """Actions of the time before have ended; those that were cancelled before they began did not say so."""
        self._busy.clear()
        self._reports.begin_anew()
        self._teardown.removing.clear()
        self._health.begin_anew()

    def acts_on(self, allocation: AllocationId) -> bool:
        return allocation in self._busy

    def hurry(self, allocations: Collection[AllocationId]) -> None:
        """Tries those that wait for somebody at once, not when their wait is over."""
        for each in allocations:
            tries = self._attempts.get(each)
            if tries is not None and tries.waits:
                tries.retry_at_ms = 0
        self._source.changed.set()

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Until cancelled; actions run in `group`."""
        await self._at_each_change(partial(self._act, group))

    async def watch(self, group: asyncio.TaskGroup) -> None:
        """Until cancelled, while there is no engine to act on: what can be found out without one is told."""
        await self._at_each_change(partial(self._look_on, group))

    async def _at_each_change(self, do: Callable[[AssignmentSet], None]) -> None:
        changed = self._source.changed
        while True:
            changed.clear()
            work = self._source.latest
            if work is not None and work.registered:
                do(work)
            await changed.wait()

    def _act(self, group: asyncio.TaskGroup, work: AssignmentSet) -> None:
        self._forget(work)
        self._abandon_pulls(work)
        self._tell_updates(work, group)
        self._health.follow(work, self._seen.containers.values(), group)
        for action in self._actions(work):
            self._perform(action, work, group)

    def _look_on(self, group: asyncio.TaskGroup, work: AssignmentSet) -> None:
        self._health.follow(work, self._seen.containers.values(), group, engine=False)
        known = {each.allocation.id: each.allocation.status for each in work.assigned}
        for action in self._actions(work):
            report = action.before if isinstance(action, Stop | Drain) else action
            if isinstance(report, Report) and _is_news_of_a_run(report, known):
                self._perform(report, work, group)

    def _actions(self, work: AssignmentSet) -> list[Action]:
        kept = frozenset(work.kept)
        return reconcile(
            self._me,
            {a.allocation.id: self._desired(a, work, kept) for a in work.assigned},
            list(self._seen.containers.values()),
            self._attempts,
            frozenset(work.neighbours),
            frozenset(self._busy),
            self._clock.now_ms(),
            frozenset(self._teardown.removing),
        )

    def _desired(self, each: Assignment, work: AssignmentSet, kept: frozenset[AllocationId]) -> Desired:
        id_ = each.allocation.id
        drains, may_return = id_ in work.drains, id_ in work.may_return
        return Desired(each.allocation, each.spec, id_ in kept, drains, self._health.of(id_), may_return)

    def _forget(self, work: AssignmentSet) -> None:
        """An allocation that state has forgotten never comes back."""
        assigned = {a.allocation.id for a in work.assigned}
        lost = {a.allocation.id for a in work.assigned if a.allocation.status.state is AllocationState.LOST}
        self._attempts = {a: t for a, t in self._attempts.items() if a in assigned}
        # One that was lost may go on, and then all is to be said of it again.
        self._reports.forget(assigned - lost)
        self._hooks.forget(assigned)
        self._teardown.forget()

    def _abandon_pulls(self, work: AssignmentSet) -> None:
        self._pulls.abandon_all_but(
            {a.allocation.id for a in work.assigned if a.allocation.wanted and not a.allocation.terminal}
        )

    def _tell_updates(self, work: AssignmentSet, group: asyncio.TaskGroup) -> None:
        for each in work.assigned:
            allocation = each.allocation
            if self._hooks.has_news(allocation, each.spec) and allocation.id not in self._busy:
                self._spawn(group, allocation.id, partial(self._hooks.update, allocation, each.spec))

    def _perform(self, action: Action, work: AssignmentSet, group: asyncio.TaskGroup) -> None:
        match action:
            case Report(allocation, status):
                if self._reports.is_due(allocation, status):
                    self._spawn(group, allocation, partial(self._tell, allocation, status))
            case Wait(_, until_ms):
                self._alarm.set(until_ms)
            case Drain():
                self._drain(action, group)
            case BackOff(allocation, attempt, ending, status):
                self._back_off(allocation, attempt, ending)
                self._spawn(group, allocation, partial(self._reports.tell, allocation, status))
            case Start(allocation=allocation):
                tries = self._attempts.setdefault(allocation.id, Attempts())
                tries.drained_at_ms = None  # that was the run before
                self._spawn(group, allocation.id, partial(self._starter.start, action, tries, work.cluster))
            case Stop() | Remove():
                self._end(action, group)

    def _back_off(self, allocation: AllocationId, attempt: int, ending: str) -> None:
        tries = self._attempts.setdefault(allocation, Attempts())
        tries.ending = ending
        tries.retry_at_ms = self._clock.now_ms() + backoff_ms(attempt, self._rng.random())
        self._alarm.set(tries.retry_at_ms)

    def _drain(self, action: Drain, group: asyncio.TaskGroup) -> None:
        tries = self._attempts.setdefault(action.allocation, Attempts())
        tries.drained_at_ms = self._clock.now_ms() + action.drain_ms
        self._alarm.set(tries.drained_at_ms)
        if action.before is not None:
            before = action.before
            self._spawn(group, before.allocation, partial(self._reports.tell, before.allocation, before.status))

    def _end(self, action: Stop | Remove, group: asyncio.TaskGroup) -> None:
        if not self._teardown.due(action):
            return
        if isinstance(action, Stop):
            self._spawn(group, action.allocation, partial(self._teardown.stop, action))
        else:
            self._remove(action, group)

    def _remove(self, action: Remove, group: asyncio.TaskGroup) -> None:
        self._teardown.removing.add(action.container)
        remove = partial(self._teardown.remove, action)
        if action.then is not None:
            self._spawn(group, action.then.allocation, remove)
        else:
            group.create_task(remove(), name=f"remove-{action.container[:12]}")

    async def _tell(self, allocation: AllocationId, status: AllocationStatus) -> None:
        """An end is told once nothing is held any more: what it held is given away then. Until then it is due again
        and again.
        """
        if status.state not in TERMINAL or await self._hooks.stop(allocation):
            await self._reports.tell(allocation, status)

    def _spawn(self, group: asyncio.TaskGroup, allocation: AllocationId, action: _ActionRunner) -> None:
        self._busy.add(allocation)
        group.create_task(self._guard(allocation, action), name=f"allocation-{allocation:08x}")

    async def _guard(self, allocation: AllocationId, action: _ActionRunner) -> None:
        try:
            await action()
        finally:
            self._busy.discard(allocation)
            self._source.changed.set()


def _is_news_of_a_run(report: Report, known: Mapping[AllocationId, AllocationStatus]) -> bool:
    status = report.status
    return status.state is AllocationState.RUNNING and status != known.get(report.allocation)
