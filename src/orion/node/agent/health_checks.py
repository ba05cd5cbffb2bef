"""Finds out on this node whether its tasks work: a runner for each container that runs and is wanted, until there
is nothing more to be found out. `reconcile/health.py` says what becomes of what it finds.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence

from orion.model.allocation import Allocation
from orion.model.container import Container, ContainerState
from orion.model.errors import EngineDown, EngineError
from orion.model.health import CheckKind, CheckResult, HealthCheck, ProbeResult
from orion.model.ids import AllocationId, NodeId
from orion.model.job import TaskSpec
from orion.model.node import EVERYWHERE
from orion.node.agent.assignment_stream import Assignment, AssignmentSet
from orion.node.agent.check_memory import CheckMemory
from orion.node.agent.isolation import isolated
from orion.ports.clock import Clock
from orion.ports.engine import Engine
from orion.ports.probe import HttpQuestion, Probe, Target
from orion.reconcile import health
from orion.reconcile.health import Checked

log = logging.getLogger(__name__)

LEVEL = 2  # of the cluster, since which an allocation's status says its health
PARALLEL_PROBES = 32
PARALLEL_EXECS = 8  # each is three requests to the engine, and a process
ENGINE_LOOK_S = 2.0  # for a person who asks: what was seen before is answered else


class HealthChecks:
    """`changed` is called when what `of` says has changed."""

    def __init__(
        self, *, me: NodeId, clock: Clock, engine: Engine, probe: Probe, changed: Callable[[], None]
    ) -> None:
        self._me = me
        self._clock = clock
        self._engine = engine
        self._probe = probe
        self._changed = changed
        self._known: dict[AllocationId, Checked] = {}
        self.memory = CheckMemory(clock.wall_ms())
        self._by_engine: frozenset[AllocationId] = frozenset()  # those that the engine checks
        self._runners: dict[AllocationId, tuple[tuple[str, int, str], asyncio.Task[None]]] = {}
        self._probes = asyncio.Semaphore(PARALLEL_PROBES)
        self._execs = asyncio.Semaphore(PARALLEL_EXECS)

    def of(self, allocation: AllocationId) -> Checked | None:
        """Returns what is known of its last run."""
        return self._known.get(allocation)

    def begin_anew(self) -> None:
        """The runners of the time before have ended."""
        self._runners.clear()

    def follow(
        self, work: AssignmentSet, containers: Iterable[Container], group: asyncio.TaskGroup, *, engine: bool = True
    ) -> None:
        """Runs what belongs to these containers, in `group`, and ends all else. Without `engine` only what needs
        none.
        """
        assigned = {each.allocation.id for each in work.assigned}
        self._known = {a: known for a, known in self._known.items() if a in assigned}
        self._by_engine = frozenset(each.allocation.id for each in work.assigned if _is_by_engine(each.spec))
        self.memory.forget_all_but(assigned)
        runs = self._runs(work, containers)
        for allocation, (run, runner) in list(self._runners.items()):
            if allocation not in runs or _run(runs[allocation][1]) != run:
                runner.cancel()
                del self._runners[allocation]
        for allocation, (each, container) in runs.items():
            self._look(each, container)
            known = self._known[allocation]
            if not engine and not health.needs_no_engine(each.spec, known):
                continue
            if allocation not in self._runners and not health.is_over(each.spec, known):
                runner = group.create_task(self._check(each, container), name=f"health-{allocation:08x}")
                self._runners[allocation] = (_run(container), runner)

    def _runs(
        self, work: AssignmentSet, containers: Iterable[Container]
    ) -> dict[AllocationId, tuple[Assignment, Container]]:
        """A paused container answers nobody, and is left as it is until it goes on."""
        if work.level < LEVEL:
            return {}
        running = {
            c.labels.allocation: c
            for c in containers
            if c.labels.node == self._me and c.state is ContainerState.RUNNING and not c.paused
        }
        return {
            each.allocation.id: (each, running[each.allocation.id])
            for each in work.assigned
            if each.allocation.wanted and not each.allocation.terminal and each.allocation.id in running
        }

    def _look(self, each: Assignment, container: Container) -> None:
        allocation, spec, now_ms = each.allocation, each.spec, self._clock.now_ms()
        known = self._known.get(allocation.id)
        if known is None or not known.is_of(container):
            known = self._known[allocation.id] = health.first(spec, container, allocation.status, now_ms)
        if not _is_by_engine(spec):
            return
        self.memory.add_log(allocation.id, container.health_log)
        if known.hooked and not known.failed:
            wall_ms = self._clock.wall_ms()
            self._known[allocation.id] = health.after_engine(spec, known, container, now_ms, wall_ms)

    async def look_again(self, allocation: AllocationId, container: Container) -> None:
        """Has `memory` know what the engine has found by now, where it is the engine that checks."""
        if allocation not in self._by_engine:
            return
        try:
            async with asyncio.timeout(ENGINE_LOOK_S):
                found = await self._engine.inspect(container.id)
        except (EngineError, TimeoutError) as error:
            log.debug("the engine does not say how the checks of %08x went: %s", allocation, error)
            return
        if found is not None and allocation in self._by_engine:
            self.memory.add_log(allocation, found.health_log)

    # --- one run ------------------------------------------------------------------------------------------

    async def _check(self, each: Assignment, container: Container) -> None:
        """Raises EngineDown."""
        allocation, spec = each.allocation, each.spec
        if not self._known[allocation.id].hooked:
            failure = await self._post_start(spec, container)
            self._learn(
                allocation,
                health.after_hooks(spec, self._known[allocation.id], failure, self._clock.wall_ms()),
            )
        while not health.is_over(spec, known := self._known[allocation.id]):
            clock, check = self._clock, health.probe_of(spec)
            assert check is not None
            await asyncio.sleep(health.left_ms(spec, known, clock.now_ms()) / 1000)
            began_ms = clock.now_ms()
            result = await self._ask(allocation, spec, container, check)
            if spec.health is not None:
                self.memory.add(allocation.id, (result,))
            found = ProbeResult(ok=result.ok, output=result.output)
            now_ms, wall_ms = clock.now_ms(), clock.wall_ms()
            known = health.after_probe(spec, known, found, began_ms=began_ms, now_ms=now_ms, wall_ms=wall_ms)
            self._learn(allocation, known)

    def _learn(self, allocation: Allocation, known: Checked) -> None:
        before, self._known[allocation.id] = self._known[allocation.id], known
        if _shown(before) != _shown(known):
            self._changed()

    async def _post_start(self, spec: TaskSpec, container: Container) -> str:
        """Returns why one of its commands has failed, "" when none has."""
        assert spec.hooks is not None
        for hook in spec.hooks.post_start:
            result = await self._exec(container, hook.command, hook.timeout_ms)
            if not result.ok:
                return result.output
        return ""

    async def _ask(
        self, allocation: Allocation, spec: TaskSpec, container: Container, check: HealthCheck
    ) -> CheckResult:
        if check.kind is CheckKind.EXEC:
            return await self._exec(container, check.command, check.timeout_ms)
        places, timeout_s = targets(allocation, spec, container, check.port), check.timeout_ms / 1000

        async def ask() -> ProbeResult:
            try:
                with isolated(f"checking {allocation.text}"):
                    if check.kind is CheckKind.TCP:
                        return await self._probe.tcp(places, timeout_s)
                    question = HttpQuestion(check.path, check.headers, check.status)
                    return await self._probe.http(places, question, timeout_s)
            except EngineError as error:
                return ProbeResult(ok=False, output=error.detail)

        return await self._timed(self._probes, ask)

    async def _exec(self, container: Container, command: Sequence[str], timeout_ms: int) -> CheckResult:
        """Raises EngineDown."""

        async def run() -> ProbeResult:
            try:
                with isolated(f"running a command in container {container.id[:12]}"):
                    result = await self._engine.exec(container.id, command, timeout_ms)
            except EngineDown:
                raise
            except EngineError as error:
                return ProbeResult(ok=False, output=f"{command[0]}: {error.detail}")
            return ProbeResult(ok=result.exit_code == 0, output=result.words(command[0], timeout_ms))

        return await self._timed(self._execs, run)

    async def _timed(self, room: asyncio.Semaphore, ask: Callable[[], Awaitable[ProbeResult]]) -> CheckResult:
        """Its output is one line, which goes into the log. The wait for `room` is not the task's time."""
        async with room:
            at_ms, began_ms = self._clock.wall_ms(), self._clock.now_ms()
            found = await ask()
            took_ms = self._clock.now_ms() - began_ms
        return CheckResult(at_ms, found.ok, took_ms, health.one_line(found.output))


def _is_by_engine(spec: TaskSpec) -> bool:
    return spec.health is not None and spec.health.kind is CheckKind.DOCKER


def _run(container: Container) -> tuple[str, int, str]:
    """One whose address was found out late, as that of a container that shares another one's, is asked there."""
    return container.id, container.started_at_ms, container.address


def _shown(known: Checked) -> tuple[object, ...]:
    return known.health, known.ready_since_ms, known.reason, known.failed


def targets(allocation: Allocation, spec: TaskSpec, container: Container, port: int) -> tuple[Target, ...]:
    """Returns where a port of a container may be reached from here: at its own address, and as it is published."""
    own = [Target(container.address, port)] if container.address else []
    published = [
        Target("127.0.0.1" if binding.host_ip in EVERYWHERE else binding.host_ip, host_port, proxy=True)
        for binding, host_port in zip(spec.ports, allocation.ports, strict=True)
        if (binding.container_port, binding.protocol) == (port, "tcp") and host_port
    ]
    return (*own, *published)
