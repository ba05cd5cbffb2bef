"""Assignment allocations -> containers on this node.

One runner reconciles whenever the work, a container or a timer changes; each action runs in a runner of its own,
one at a time for an allocation, so that a slow pull holds up nobody else. What the agent sees becomes the
allocation's status through the log, never directly.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from functools import partial

import msgspec

from orion.model.allocation import AllocationState, AllocationStatus
from orion.model.container import Container, EngineInfo, Labels, LogEntry, LogQuery
from orion.model.errors import EngineDown, EngineError, NotFound, OrionError, PortRefused
from orion.model.ids import AllocationId, JobName, NodeId, container_name, task_id
from orion.model.job import TaskSpec
from orion.node.agent.assignment_stream import AssignmentSet
from orion.node.agent.assignments import AssignmentWatcher
from orion.node.agent.config_injection import ConfigReader, Mounted, NotThere, mounted
from orion.node.agent.confirm import Confirm, Confirmed
from orion.node.agent.isolation import isolated
from orion.node.agent.observed import ObservedContainers
from orion.node.agent.teardown import Teardown
from orion.node.runtime.alarm import Alarm
from orion.ports.clock import Clock
from orion.ports.engine import Engine
from orion.reconcile.containers import (
    Action,
    Attempts,
    BackOff,
    Desired,
    Remove,
    Report,
    Start,
    Stop,
    Wait,
    backoff_ms,
    gives_up,
    reconcile,
)

log = logging.getLogger(__name__)

ENGINE_RETRY_S = 1.0
CANCEL_AGAIN_S = 0.1
WAITS_TO_SLOWEST = 4  # 8 s: somebody who puts a missing config then watches the task
RESYNC_S = 10.0  # look at every container again this often, whatever the event stream said
TELL_AGAIN_MS = 10_000  # a report that state does not show after so long is made again
PARALLEL_STARTS = 8
PARALLEL_PULLS = 8
FAILURES_TO_DISCARD = 2  # in a row, after which a container that does not start is given up for a new one
LAST_WORDS_LINES = 3
# The engine notes a start once the process runs, which by then may have said something; the run before ended longer
# ago than this (BACKOFF_FIRST_MS).
START_SLACK_MS = 500
LAST_WORDS_BYTES = 400

Confirmer = Callable[[Confirm], Awaitable[Confirmed]]
Reporter = Callable[[AllocationId, AllocationStatus], None]
ActionRunner = Callable[[], Coroutine[None, None, None]]


class _Told(msgspec.Struct, frozen=True):
    status: AllocationStatus
    at_ms: int


class Agent:
    """`engine_info` is None while the engine does not answer; `engine_down` then says why."""

    def __init__(
        self,
        *,
        me: NodeId,
        clock: Clock,
        engine: Engine,
        source: AssignmentWatcher,
        confirm: Confirmer,
        read_configs: ConfigReader,
        report: Reporter,
        rng: random.Random,
        on_engine: Callable[[], None],
        on_leftovers: Callable[[list[Container]], None],
    ) -> None:
        self._me = me
        self._clock = clock
        self._engine = engine
        self._source = source
        self._confirm = confirm
        self._read_configs = read_configs
        self._report = report
        self._rng = rng
        self._on_engine = on_engine
        self._on_leftovers = on_leftovers
        self._looked_for_leftovers = False
        self._busy: set[AllocationId] = set()
        self._attempts: dict[AllocationId, Attempts] = {}
        self._told: dict[AllocationId, _Told] = {}
        self._pulls: dict[AllocationId, asyncio.Task[None]] = {}
        self._seen = ObservedContainers(engine)
        self._starts = asyncio.Semaphore(PARALLEL_STARTS)
        self._pulling = asyncio.Semaphore(PARALLEL_PULLS)
        self._alarm = Alarm(clock, source.changed.set)
        self._endings = Teardown(
            clock=clock,
            engine=engine,
            seen=self._seen,
            confirm=confirm,
            report=report,
            on_end=self._ended,
            on_change=source.changed.set,
            rng=rng,
            alarm=self._alarm,
        )
        self.engine_info: EngineInfo | None = None
        self.engine_down = "it has not answered yet"
        self.asked = asyncio.Event()  # the engine has answered, or been found down, at least once

    # --- engine -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled. Survives the engine's absence, and nothing else.

        Before Python 3.13 a TaskGroup that ends with an error forgets that its task is cancelled in the same turn
        of the loop; and Docker and Orion are often told to stop at once. So the one that is cancelled has no group,
        and the other is cancelled until it has ended.
        """
        keeper = asyncio.create_task(self._keep_working(), name="agent-keeper")
        try:
            await asyncio.wait([keeper])
            keeper.result()
        finally:
            while not keeper.done():
                keeper.cancel()
                await asyncio.wait([keeper], timeout=CANCEL_AGAIN_S)
            self._alarm.cancel()

    async def _keep_working(self) -> None:
        while True:
            try:
                self._set_engine(await self._info(), "")
                await self._work_with_engine()
            except* EngineError as group:
                error = _first(group)
                if isinstance(error, EngineDown):
                    self._set_engine(None, error.detail)
                else:
                    log.warning("looking at all containers again: %s", error.detail)
                await asyncio.sleep(ENGINE_RETRY_S)

    async def _info(self) -> EngineInfo:
        """An engine that can't say what it is is as good as none."""
        try:
            return await self._engine.info()
        except EngineError as error:
            raise EngineDown(error.detail) from error

    def _set_engine(self, info: EngineInfo | None, down: str) -> None:
        if (info, down) == (self.engine_info, self.engine_down):
            return
        if info is not None:
            log.info("container engine %s answers (id %s)", info.version, info.id[:12])
        elif down != self.engine_down:
            log.warning("%s", down)
        self.engine_info, self.engine_down = info or self.engine_info, down
        self.asked.set()
        self._on_engine()

    async def _work_with_engine(self) -> None:
        # Actions of the time before have ended; those that were cancelled before they began did not say so.
        self._busy.clear()
        self._endings.removing.clear()
        async with asyncio.TaskGroup() as group:
            cluster = await self._cluster()
            listening = asyncio.Event()
            group.create_task(self._follow_changes(cluster, listening), name="agent-changes")
            await listening.wait()
            await self._seen.look_at_all(cluster)
            # It may have restarted before anybody listened, while this node waited to be registered.
            self._set_engine(await self._info(), "")
            await self._look_for_leftovers(cluster)
            group.create_task(self._resync(cluster), name="agent-resync")
            group.create_task(self._reconcile(group), name="agent-reconcile")

    async def _cluster(self) -> int:
        """Containers are this cluster's by its id, so nothing is looked at before it is known."""
        while (work := self._source.latest) is None or not work.registered:
            self._source.changed.clear()
            await self._source.changed.wait()
        assert work.cluster, "a node can't be registered with a cluster that has no id"
        return work.cluster

    async def _look_for_leftovers(self, cluster: int) -> None:
        """Once: what another cluster does later is not told."""
        if not self._looked_for_leftovers:
            self._on_leftovers(await self._engine.of_others(cluster))
            self._looked_for_leftovers = True

    async def _follow_changes(self, cluster: int, listening: asyncio.Event) -> None:
        async for container in self._engine.changes(cluster):
            if not container:
                listening.set()
                continue
            await self._seen.look(container)
            self._source.changed.set()
        raise EngineDown("the container engine closed its event stream")

    async def _resync(self, cluster: int) -> None:
        while True:
            await asyncio.sleep(RESYNC_S)
            await self._seen.look_at_all(cluster)
            self._source.changed.set()

    # --- reconcile ----------------------------------------------------------------------------------------

    async def _reconcile(self, group: asyncio.TaskGroup) -> None:
        changed = self._source.changed
        while True:
            changed.clear()
            work = self._source.latest
            if work is not None and work.registered:
                self._forget(work)
                self._abandon_pulls(work)
                for action in self._actions(work):
                    self._perform(action, work, group)
            await changed.wait()

    def _actions(self, work: AssignmentSet) -> list[Action]:
        kept = frozenset(work.kept)
        return reconcile(
            self._me,
            {a.allocation.id: Desired(a.allocation, a.spec, a.allocation.id in kept) for a in work.assigned},
            list(self._seen.containers.values()),
            self._attempts,
            frozenset(work.neighbours),
            frozenset(self._busy),
            self._clock.now_ms(),
            frozenset(self._endings.removing),
        )

    def _forget(self, work: AssignmentSet) -> None:
        assigned = {a.allocation.id for a in work.assigned}
        self._attempts = {a: t for a, t in self._attempts.items() if a in assigned}
        self._told = {a: s for a, s in self._told.items() if a in assigned}
        self._endings.forget()

    def _abandon_pulls(self, work: AssignmentSet) -> None:
        """A long pull for an allocation that is no longer wanted ends now; nothing was created yet."""
        wanted = {a.allocation.id for a in work.assigned if a.allocation.wanted and not a.allocation.terminal}
        for allocation in [a for a in self._pulls if a not in wanted]:
            self._pulls.pop(allocation).cancel()

    def _perform(self, action: Action, work: AssignmentSet, group: asyncio.TaskGroup) -> None:
        match action:
            case Report(allocation, status):
                told = self._told.get(allocation)
                now = self._clock.now_ms()
                if told is not None and told.status == status and now < told.at_ms + TELL_AGAIN_MS:
                    # On its way: whoever took the report repeats it until it is committed. A late copy of an older
                    # one may follow it into the log, so look again.
                    self._alarm.set(told.at_ms + TELL_AGAIN_MS)
                    return
                self._told[allocation] = _Told(status, now)
                self._spawn(group, allocation, partial(self._report_end, allocation, status))
            case Wait(_, until_ms):
                self._alarm.set(until_ms)
            case BackOff(allocation, attempt, ending, status):
                tries = self._attempts.setdefault(allocation, Attempts())
                tries.ending = ending
                tries.retry_at_ms = self._clock.now_ms() + backoff_ms(attempt, self._rng.random())
                self._alarm.set(tries.retry_at_ms)
                self._spawn(group, allocation, partial(self._report_end, allocation, status))
            case Start(allocation=allocation):
                self._spawn(group, allocation.id, partial(self._start, action, work))
            case Stop(allocation=allocation):
                if self._endings.due(action):
                    self._spawn(group, allocation, partial(self._endings.stop, action))
            case Remove(container):
                if self._endings.due(action):
                    self._endings.removing.add(container)
                    group.create_task(self._endings.remove(action), name=f"remove-{container[:12]}")

    def _spawn(self, group: asyncio.TaskGroup, allocation: AllocationId, action: ActionRunner) -> None:
        self._busy.add(allocation)
        group.create_task(self._guard(allocation, action), name=f"allocation-{allocation:08x}")

    async def _guard(self, allocation: AllocationId, action: ActionRunner) -> None:
        try:
            await action()
        finally:
            self._busy.discard(allocation)
            self._source.changed.set()

    # --- actions ------------------------------------------------------------------------------------------

    async def _start(self, action: Start, work: AssignmentSet) -> None:
        allocation = action.allocation
        tries = self._attempts.setdefault(allocation.id, Attempts())
        try:
            with isolated(f"starting {allocation.id:08x}"):
                await self._try_to_start(action, tries, work)
            tries.failures = tries.refusals = 0
        except EngineDown:
            raise
        except EngineError as error:
            self._start_failed(action, tries, error)
            if action.container and tries.failures >= FAILURES_TO_DISCARD and not tries.gave_up:
                await self._discard(action.container)

    async def _try_to_start(self, action: Start, tries: Attempts, work: AssignmentSet) -> None:
        if not action.container:
            await self._fetch_image(action, tries)
        async with self._starts:
            given = await self._given(action, tries)
            container = action.container
            if not container and given is not None:
                container = await self._create(action, tries, work, given.spec)
            if container and given is not None:
                self._tell(action, AllocationState.STARTING, "", tries.failures)
                if given.files:
                    await self._engine.put_files(container, given.files)
                await self._engine.start(container)
                tries.restarts = action.restarts  # a start that fails is no restart
                await self._seen.look(container)

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

    async def _fetch_image(self, action: Start, tries: Attempts) -> None:
        """Before its turn to start: a slow pull keeps only other pulls waiting."""
        allocation, image, runner = action.allocation.id, action.spec.image, asyncio.current_task()
        if await self._engine.has_image(image):
            return
        assert runner is not None
        self._pulls[allocation] = runner
        try:
            tell = partial(self._tell_pull, action, tries)
            tell(f"pulling {image}")
            async with self._pulling:
                await self._engine.pull(image, tell)
        finally:
            self._pulls.pop(allocation, None)

    def _tell_pull(self, action: Start, tries: Attempts, progress: str) -> None:
        """Beside why it failed the last time: of a registry that refuses, that is all there is to know."""
        text = f"{progress}; the last try: {tries.last_error}" if tries.failures else progress
        self._tell(action, AllocationState.PULLING, text, tries.failures)

    async def _given(self, action: Start, tries: Attempts) -> Mounted | None:
        """Returns the files to put into the container; none once it has run. Returns None when they are not there
        yet.

        One that was made and not started may lack its files: this process's predecessor may have died between.
        """
        spec = action.spec
        known = self._seen.containers.get(action.container)
        if not spec.configs or (known is not None and known.started_at_ms):
            return Mounted(spec)
        try:
            given = await mounted(spec, self._read_configs)
        except NotThere as error:
            tries.waits += 1
            self._retry(tries, backoff_ms(min(tries.waits, WAITS_TO_SLOWEST), self._rng.random()))
            self._tell(action, AllocationState.STARTING, str(error), tries.failures)
            return None
        except OrionError as error:
            log.info("not starting %08x yet: %s", action.allocation.id, error.detail)
            self._retry(tries, int(ENGINE_RETRY_S * 1000))
            return None
        tries.waits = 0
        return given

    def _retry(self, tries: Attempts, wait_ms: int) -> None:
        tries.retry_at_ms = self._clock.now_ms() + wait_ms
        self._alarm.set(tries.retry_at_ms)

    async def _create(self, action: Start, tries: Attempts, work: AssignmentSet, spec: TaskSpec) -> str:
        """The new container's id, "" when the allocation is no longer wanted."""
        allocation = action.allocation
        if not await self._still_wanted(allocation.id, tries):
            return ""
        labels = Labels(work.cluster, self._me, allocation.job, allocation.index, allocation.id)
        name = container_name(allocation.job, allocation.index, allocation.id)
        container = await self._engine.create(allocation, spec, labels, name=name)
        await self._seen.look(container)
        return container

    async def _still_wanted(self, allocation: AllocationId, tries: Attempts) -> bool:
        """Ask the cluster just before a container comes into being: this node may be behind, or cut off. Asked
        again, but not at once, until the node's work says the same.
        """
        try:
            if allocation in (await self._confirm(Confirm((allocation,), ()))).wanted:
                return True
        except OrionError as error:
            log.info("not starting %08x yet: %s", allocation, error.detail)
        self._retry(tries, int(ENGINE_RETRY_S * 1000))
        return False

    def _start_failed(self, action: Start, tries: Attempts, error: EngineError) -> None:
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
        self._tell(action, AllocationState.STARTING, f"{error.detail}; {again}", tries.failures, port)

    def _has_run(self, action: Start, tries: Attempts) -> bool:
        """Returns what state says, or what was seen here that state may not know yet."""
        known = self._seen.containers.get(action.container)
        seen = tries.restarts is not None or (known is not None and known.started_at_ms > 0)
        return action.allocation.ran or seen

    def _tell(
        self, action: Start, state: AllocationState, reason: str, failed_starts: int = 0, refused_port: int = 0
    ) -> None:
        self._told.pop(action.allocation.id, None)
        status = AllocationStatus(
            state,
            reason,
            action.restarts,
            failed_starts=failed_starts,
            container=action.container,
            refused_port=refused_port,
        )
        self._report(action.allocation.id, status)

    def _ended(self, end: Report) -> None:
        self._told[end.allocation] = _Told(end.status, self._clock.now_ms())
        self._report(end.allocation, end.status)

    async def _report_end(self, allocation: AllocationId, status: AllocationStatus) -> None:
        """With the container's last words, which usually say why."""
        words = await self._last_words(allocation) if status.exit_code else ""
        reason = f"{status.reason}: {words}" if words else status.reason
        self._report(allocation, msgspec.structs.replace(status, reason=reason))

    async def _last_words(self, allocation: AllocationId) -> str:
        container = self.container_of(allocation)
        if container is None:
            return ""
        text = b""
        try:
            async with asyncio.timeout(1.0):
                since_ms = max(0, container.started_at_ms - START_SLACK_MS)
                query = LogQuery(tail=LAST_WORDS_LINES, since_ns=since_ms * 1_000_000)
                with isolated(f"asking for the last words of {allocation:08x}"):
                    async for entries in self._engine.logs(container.id, query):
                        text += b"".join(entry.text for entry in entries)
        except (EngineError, TimeoutError) as error:
            log.debug("no last words of %08x: %s", allocation, error)
        return " / ".join(text[-LAST_WORDS_BYTES:].decode(errors="replace").split("\n")).strip(" /")

    def running_tasks(self) -> list[str]:
        """Whose containers run on this node, as far as they are wanted."""
        work = self._source.latest
        wanted = {a.allocation.id for a in work.assigned if a.allocation.wanted} if work else set()
        running = [c.labels for c in self._seen.containers.values() if c.state == "running"]
        return sorted(
            task_id(JobName(each.job), each.index)
            for each in running
            if each.node == self._me and each.allocation in wanted
        )

    # --- logs ---------------------------------------------------------------------------------------------

    def container_of(self, allocation: AllocationId) -> Container | None:
        return self._seen.of(allocation)

    async def logs(self, allocation: AllocationId, query: LogQuery) -> AsyncGenerator[list[LogEntry], None]:
        container = self.container_of(allocation)
        if container is None:
            raise NotFound(f"allocation {allocation:08x} has no container on {self._me}, so no logs yet")
        async with contextlib.aclosing(self._engine.logs(container.id, query)) as batches:
            async for entries in batches:
                yield entries


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


def _first(group: BaseExceptionGroup[EngineError]) -> EngineError:
    """That the engine is down, if any of them says so, else the first."""
    down = group.subgroup(EngineDown)
    inner: BaseException = down or group
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    assert isinstance(inner, EngineError)
    return inner
