"""One allocation's container, from nothing or from a halt to running; and what becomes of a start that fails."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from functools import partial

from orion.model.after import noted, waits_text
from orion.model.allocation import Allocation, AllocationState
from orion.model.container import Labels
from orion.model.errors import EngineDown, EngineError, OrionError, PortRefused
from orion.model.ids import NodeId, container_name
from orion.model.pull import PullProgress
from orion.node.agent.confirm import Confirm, Confirmed
from orion.node.agent.hooks.hook import NotYet, Prepared, StartRequest
from orion.node.agent.hooks.hooks import Hooks
from orion.node.agent.image_pulls import ImagePulls
from orion.node.agent.isolation import isolated
from orion.node.agent.observed import ObservedContainers
from orion.node.agent.reports import Reports
from orion.node.agent.turns import AskTurn, TurnAsker
from orion.node.runtime.alarm import Alarm
from orion.ports.clock import Clock
from orion.ports.engine import Engine
from orion.reconcile.containers import Attempts, Start, backoff_ms
from orion.reconcile.refusals import gives_up

log = logging.getLogger(__name__)

PARALLEL_STARTS = 8
CLUSTER_RETRY_MS = 1_000  # what the cluster was asked, and did not answer as hoped
FAILURES_TO_DISCARD = 2  # in a row, after which a container that does not start is given up for a new one
WAITS_TO_SLOWEST = 4  # 8 s: somebody who puts a missing config then watches the task

Confirmer = Callable[[Confirm], Awaitable[Confirmed]]


class Starter:
    """`confirm` asks the cluster what is still wanted, `ask_turn` what comes before a task."""

    def __init__(
        self,
        *,
        me: NodeId,
        clock: Clock,
        engine: Engine,
        seen: ObservedContainers,
        pulls: ImagePulls,
        hooks: Hooks,
        reports: Reports,
        confirm: Confirmer,
        ask_turn: TurnAsker,
        rng: random.Random,
        alarm: Alarm,
    ) -> None:
        self._me = me
        self._clock = clock
        self._engine = engine
        self._seen = seen
        self._pulls = pulls
        self._hooks = hooks
        self._reports = reports
        self._confirm = confirm
        self._ask_turn = ask_turn
        self._rng = rng
        self._alarm = alarm
        self._turn = asyncio.Semaphore(PARALLEL_STARTS)

    async def start(self, action: Start, tries: Attempts, cluster: int) -> None:
        """Raises EngineDown. Other refusals, and bugs, are this allocation's trouble: told, and tried again."""
        try:
            with isolated(f"starting {action.allocation.text}"):
                await self._try_to_start(action, tries, cluster)
            tries.failures = tries.refusals = 0
        except EngineDown:
            raise
        except EngineError as error:
            self._failed(action, tries, error)
            if action.container and tries.failures >= FAILURES_TO_DISCARD and not tries.gave_up:
                await self._discard(action.container)

    async def _try_to_start(self, action: Start, tries: Attempts, cluster: int) -> None:
        allocation, container = action.allocation, action.container
        if action.in_turn and not await self._is_its_turn(action, tries):
            return
        if not container:  # before its turn to start: a slow pull keeps only other pulls waiting
            await self._pulls.fetch(allocation.id, action.spec, partial(self._tell_pull, action, tries))
        async with self._turn:
            ran = self._was_seen_to_run(container)
            request = StartRequest(allocation, action.spec, container, ran)
            prepared = await self._prepare(action, request, tries)
            if prepared is None:
                return
            if not container:
                container = await self._create(action, tries, cluster, prepared)
            if not container:
                return
            self._reports.starting(action, AllocationState.STARTING, "", tries.failures)
            if prepared.files:
                await self._engine.put_files(container, prepared.files)
            try:
                self._hooks.prerun(request)
            except NotYet as wait:
                self._wait(action, tries, wait)
                return
            await self._engine.start(container)
            tries.restarts = action.restarts  # a start that fails is no restart
            await self._seen.look(container)
        await self._hooks.poststart(StartRequest(allocation, action.spec, container, ran))

    async def _is_its_turn(self, action: Start, tries: Attempts) -> bool:
        """Asks the cluster whether what comes first is there. While it is not, it is asked again and again: of
        other nodes' containers no event comes here.
        """
        try:
            waits = await self._ask_turn(AskTurn(action.allocation.id))
        except OrionError as error:
            log.info("not starting %s yet: %s", action.allocation.text, error.detail)
            self._retry(tries, CLUSTER_RETRY_MS)
            return False
        waits = noted(waits, tries.waits_for, self._clock.wall_ms())
        if waits and waits != tries.waits_for:
            self._reports.starting(action, AllocationState.STARTING, waits_text(waits), tries.failures)
        tries.waits_for = waits
        if waits:  # those that wait for the same do not all ask at the same time
            self._retry(tries, backoff_ms(1, self._rng.random()))
        return not waits

    def _tell_pull(self, action: Start, tries: Attempts, pull: PullProgress) -> None:
        """Tells it beside why the last try failed."""
        error = tries.last_error if tries.failures else ""
        self._reports.starting(action, AllocationState.PULLING, error, tries.failures, pull=pull)

    async def _prepare(self, action: Start, start: StartRequest, tries: Attempts) -> Prepared | None:
        """Returns None when something that the container needs is not there yet; the start is then tried again."""
        try:
            prepared = await self._hooks.prestart(start)
        except NotYet as wait:
            self._wait(action, tries, wait)
            return None
        except EngineError:
            raise
        except OrionError as error:
            log.info("not starting %s yet: %s", start.allocation.text, error.detail)
            self._retry(tries, CLUSTER_RETRY_MS)
            return None
        tries.waits = 0
        return prepared

    async def _create(self, action: Start, tries: Attempts, cluster: int, prepared: Prepared) -> str:
        """The new container's id, "" when the allocation is no longer wanted."""
        allocation = action.allocation
        if not await self._still_wanted(allocation, tries):
            return ""
        labels = Labels(cluster, self._me, allocation.job, allocation.index, allocation.id)
        name = container_name(allocation.job, allocation.index, allocation.id)
        container = await self._engine.create(
            allocation,
            prepared.spec,
            labels,
            name=name,
            share=prepared.share,
            attach=prepared.attach,
            mounts=prepared.mounts,
        )
        await self._seen.look(container)
        return container

    async def _still_wanted(self, allocation: Allocation, tries: Attempts) -> bool:
        """Ask the cluster just before a container comes into being: this node may be behind, or cut off. Asked
        again, but not at once, until the node's work says the same.
        """
        try:
            if allocation.id in (await self._confirm(Confirm((allocation.id,), ()))).wanted:
                return True
        except OrionError as error:
            log.info("not starting %s yet: %s", allocation.text, error.detail)
        self._retry(tries, CLUSTER_RETRY_MS)
        return False

    def _wait(self, action: Start, tries: Attempts, wait: NotYet) -> None:
        tries.waits += 1
        self._retry(tries, backoff_ms(min(tries.waits, WAITS_TO_SLOWEST), self._rng.random()))
        self._reports.starting(action, AllocationState.STARTING, str(wait), tries.failures)

    def _retry(self, tries: Attempts, wait_ms: int) -> None:
        tries.retry_at_ms = self._clock.now_ms() + wait_ms
        self._alarm.set(tries.retry_at_ms)

    def _failed(self, action: Start, tries: Attempts, error: EngineError) -> None:
        tries.failures += 1
        tries.refusals = tries.refusals + 1 if error.permanent else 0
        tries.last_error = error.detail
        if gives_up(tries.refusals, ran=self._has_run(action, tries)):
            tries.gave_up = True  # the next look reports it
            return
        wait_ms = backoff_ms(tries.failures, self._rng.random())
        self._retry(tries, wait_ms)
        port = _chosen_port(action, error)
        again = "another is chosen" if port else f"trying again in {max(1, round(wait_ms / 1000))} s"
        reason = f"{error.detail}; {again}"
        self._reports.starting(action, AllocationState.STARTING, reason, tries.failures, port)

    def _has_run(self, action: Start, tries: Attempts) -> bool:
        """Returns what state says, or what was seen here that state may not know yet."""
        return action.allocation.ran or tries.restarts is not None or self._was_seen_to_run(action.container)

    def _was_seen_to_run(self, container: str) -> bool:
        known = self._seen.containers.get(container)
        return known is not None and known.started_at_ms > 0

    async def _discard(self, container: str) -> None:
        """The next try makes a new one. An engine that was killed at the wrong moment never starts the old one: to
        containerd its task "already exists".
        """
        try:
            with isolated(f"discarding container {container[:12]}"):
                await self._engine.remove(container)
            self._seen.removed(container)
        except EngineDown:
            raise
        except EngineError as error:
            log.warning("could not remove container %s, which does not start: %s", container[:12], error.detail)


def _chosen_port(action: Start, error: EngineError) -> int:
    """The host port that the machine refuses, if Orion chose it; else 0."""
    if not isinstance(error, PortRefused):
        return 0
    chosen = (
        port
        for port, binding in zip(action.allocation.ports, action.spec.ports, strict=True)
        if not binding.host_port
    )
    return error.port if error.port in chosen else 0
