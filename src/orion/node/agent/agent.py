"""Assigned allocations -> containers on this node, for as long as its engine answers.

    assignments, containers, time ─► reconciler ─┬─► starter: image, hooks, create, start
                                                 ├─► teardown: stop, remove
                                                 ├─► health checks
                                                 └─► reports ─► status updates ─► the log

What the agent sees becomes the allocation's status through the log, never directly.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncGenerator, Callable, Collection, Sequence

from msgspec.structs import replace

from orion.model.container import Container, ContainerState, EngineInfo, LogEntry, LogQuery
from orion.model.errors import ContainerGone, EngineDown, EngineError, NotFound
from orion.model.health import CheckResult
from orion.model.ids import AllocationId, JobName, NodeId, task_id
from orion.node.agent.assignments import AssignmentWatcher
from orion.node.agent.health_checks import HealthChecks
from orion.node.agent.hooks.hook import Hook
from orion.node.agent.hooks.hooks import Hooks
from orion.node.agent.image_pulls import ImagePulls
from orion.node.agent.observed import ObservedContainers
from orion.node.agent.reconciler import Reconciler
from orion.node.agent.reports import Reporter, Reports
from orion.node.agent.starter import Confirmer, Starter
from orion.node.agent.teardown import Teardown
from orion.node.agent.turns import Runs, TurnAsker
from orion.node.runtime.alarm import Alarm
from orion.ports.clock import Clock
from orion.ports.engine import Engine
from orion.ports.probe import Probe
from orion.reconcile.containers import Desired
from orion.reconcile.run_status import running_status

log = logging.getLogger(__name__)

ENGINE_RETRY_S = 1.0
CANCEL_AGAIN_S = 0.1
RESYNC_S = 10.0  # look at every container again this often, whatever the event stream said


class Agent:
    """`engine_info` is None while the engine does not answer; `engine_down` then says why."""

    def __init__(
        self,
        *,
        me: NodeId,
        clock: Clock,
        engine: Engine,
        probe: Probe,
        source: AssignmentWatcher,
        confirm: Confirmer,
        ask_turn: TurnAsker,
        hooks: Sequence[Hook],
        report: Reporter,
        rng: random.Random,
        on_engine: Callable[[], None],
        on_leftovers: Callable[[list[Container]], None],
    ) -> None:
        self._me = me
        self._engine = engine
        self._source = source
        self._on_engine = on_engine
        self._on_leftovers = on_leftovers
        self._looked_for_leftovers = False
        self._in_sight = False  # all containers were looked at since the engine answers
        self._seen = seen = ObservedContainers(engine)
        self._alarm = alarm = Alarm(clock, source.changed.set)
        reports = Reports(clock=clock, engine=engine, seen=seen, report=report, alarm=alarm)
        called = Hooks(hooks)
        self._pulls = pulls = ImagePulls(engine)
        starter = Starter(
            me=me,
            clock=clock,
            engine=engine,
            seen=seen,
            pulls=pulls,
            hooks=called,
            reports=reports,
            confirm=confirm,
            ask_turn=ask_turn,
            rng=rng,
            alarm=alarm,
        )
        teardown = Teardown(
            clock=clock,
            engine=engine,
            seen=seen,
            confirm=confirm,
            hooks=called,
            report=report,
            on_end=reports.removed,
            on_change=source.changed.set,
            rng=rng,
            alarm=alarm,
        )
        self._health = health = HealthChecks(
            me=me, clock=clock, engine=engine, probe=probe, changed=source.changed.set
        )
        self._reconciler = Reconciler(
            me=me,
            clock=clock,
            source=source,
            seen=seen,
            pulls=pulls,
            hooks=called,
            reports=reports,
            starter=starter,
            teardown=teardown,
            health=health,
            rng=rng,
            alarm=alarm,
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
                self._in_sight = False
                error = _first(group)
                if isinstance(error, EngineDown):
                    self._set_engine(None, error.detail)
                else:
                    log.warning("looking at all containers again: %s", error.detail)
                await self._wait_for_engine()

    async def _wait_for_engine(self) -> None:
        """Containers outlive an engine, or die with it: those that can be asked without it are."""
        self._reconciler.begin_anew()
        async with asyncio.TaskGroup() as group:
            watcher = group.create_task(self._watch(), name="agent-watch")
            while True:
                await asyncio.sleep(ENGINE_RETRY_S)
                try:
                    await self._info()
                except EngineDown as error:
                    self._set_engine(None, error.detail)
                else:
                    break
            watcher.cancel()

    async def _watch(self) -> None:
        async with asyncio.TaskGroup() as group:
            await self._reconciler.watch(group)

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
        self._reconciler.begin_anew()
        async with asyncio.TaskGroup() as group:
            cluster = await self._cluster()
            listening = asyncio.Event()
            group.create_task(self._follow_changes(cluster, listening), name="agent-changes")
            await listening.wait()
            await self._seen.look_at_all(cluster)
            self._in_sight = True
            # It may have restarted before anybody listened, while this node waited to be registered.
            self._set_engine(await self._info(), "")
            await self._look_for_leftovers(cluster)
            group.create_task(self._resync(cluster), name="agent-resync")
            group.create_task(self._reconciler.run(group), name="agent-reconcile")

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

    # --- what others ask ----------------------------------------------------------------------------------

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

    @property
    def has_engine(self) -> bool:
        return self.engine_info is not None and not self.engine_down

    async def image_digest(self, image: str, *, local: bool) -> str:
        """As Engine.digest. Raises EngineError."""
        return await self._engine.digest(image, local=local)

    async def pull_ahead(self, image: str, platform: str, policy: str) -> None:
        """As ImagePulls.ahead. Raises EngineError."""
        if not self.has_engine:
            raise EngineDown(self.engine_down)
        await self._pulls.ahead(image, platform, policy)

    @property
    def containers(self) -> list[Container] | None:
        """All of the cluster's on its engine, whichever node's; None while none is in sight."""
        return list(self._seen.containers.values()) if self._in_sight else None

    def may_run(self, allocation: AllocationId) -> bool:
        """Returns whether a container of it runs, or may be about to: always so while none is in sight."""
        if not self._in_sight or self._reconciler.acts_on(allocation):
            return True
        found = (each for each in self._seen.containers.values() if each.labels.allocation == allocation)
        return any(each.state is ContainerState.RUNNING for each in found)

    def hurry(self, allocations: Collection[AllocationId]) -> None:
        """Tries their starts again at once: something that they may wait for is there."""
        self._reconciler.hurry(allocations)

    def runs(self, allocations: Collection[AllocationId]) -> Runs:
        """Returns those that run, and that are ready, as far as this node sees its engine's containers."""
        work = self._source.latest
        if work is None or not self._in_sight:
            return Runs()
        assigned = {each.allocation.id: each for each in work.assigned}
        running: list[AllocationId] = []
        ready: list[AllocationId] = []
        for id_ in allocations:
            container, each = self._seen.of(id_), assigned.get(id_)
            if each is None or container is None or container.state is not ContainerState.RUNNING:
                continue
            running.append(id_)
            checked = Desired(each.allocation, each.spec, checked=self._health.of(id_)).health_of(container)
            seen = replace(each.allocation, status=running_status(container, 0, checked))
            if seen.ready_since_ms(each.spec):
                ready.append(id_)
        return Runs(tuple(running), tuple(ready))

    @property
    def checks_since_ms(self) -> int:
        """The Unix time since when results of checks are remembered here."""
        return self._health.memory.since_ms

    async def check_results(self, allocation: AllocationId) -> tuple[CheckResult, ...]:
        """Returns the last results of its health check that are remembered here, oldest first."""
        if (container := self._seen.of(allocation)) is not None:
            await self._health.look_again(allocation, container)
        return self._health.memory.of(allocation)

    def container_of(self, allocation: AllocationId) -> Container | None:
        return self._seen.of(allocation)

    def engine_of(self, allocation: AllocationId) -> tuple[Engine, str]:
        """Returns the engine and its id of the container. Raises NotFound."""
        container = self.container_of(allocation)
        if container is None:
            raise NotFound(f"allocation {allocation:08x} has no container on {self._me}")
        return self._engine, container.id

    async def logs(self, allocation: AllocationId, query: LogQuery) -> AsyncGenerator[list[LogEntry], None]:
        container = self.container_of(allocation)
        if container is None:
            raise NotFound(f"allocation {allocation:08x} has no container on {self._me}, so no logs yet")
        try:
            async with contextlib.aclosing(self._engine.logs(container.id, query)) as batches:
                async for entries in batches:
                    yield entries
        except ContainerGone:
            raise NotFound(f"the container of allocation {allocation:08x} is gone from {self._me}") from None


def _first(group: BaseExceptionGroup[EngineError]) -> EngineError:
    """That the engine is down, if any of them says so, else the first."""
    down = group.subgroup(EngineDown)
    inner: BaseException = down or group
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    assert isinstance(inner, EngineError)
    return inner
