"""The last results of the health checks of a task's runs. Each run's are in the memory of its node."""

import asyncio
from collections.abc import Sequence
from typing import ClassVar

import msgspec

from orion.model.allocation import TERMINAL
from orion.model.api.checks import CheckView, RunChecksView
from orion.model.api.tasks import AllocationView, TaskView
from orion.model.health import CheckResult
from orion.model.ids import AllocationId, NodeId
from orion.model.times import moment_text, rfc3339
from orion.node.agent.agent import Agent
from orion.node.consensus.driver import RaftDriver
from orion.node.membership.directory import Directory
from orion.node.routing.forward import Forward
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import CallRequest, Place
from orion.node.services.logs import Logs
from orion.node.services.one_node import answer_or_why
from orion.node.views import render
from orion.ports.peers import Principal

NODE_TIMEOUT_S = 3.0  # a little more than a node gives its engine
MAX_RUNS = 16  # that one node is asked about
_ENDED = frozenset(str(state) for state in TERMINAL)


class RememberedChecks(msgspec.Struct, frozen=True, array_like=True):
    """The results of each allocation that was asked for, in that order. The node forgot all before `since_ms`."""

    since_ms: int
    results: tuple[tuple[CheckResult, ...], ...] = ()


class AskChecks(CallRequest[RememberedChecks], frozen=True, tag=45):
    """The last results of the health checks of these allocations, as their node remembers them."""

    at: ClassVar = Place.NODE

    allocations: tuple[AllocationId, ...]

    def fault(self) -> str:
        return f"more than {MAX_RUNS} allocations at a time" if len(self.allocations) > MAX_RUNS else ""


class Checks:
    def __init__(
        self,
        *,
        me: NodeId,
        driver: RaftDriver,
        directory: Directory,
        forward: Forward,
        registry: Registry,
        agent: Agent,
        logs: Logs,
    ) -> None:
        self._me = me
        self._driver = driver
        self._directory = directory
        self._forward = forward
        self._agent = agent
        self._logs = logs
        registry.answer_call(AskChecks, self._answer)

    async def of(self, task: str, *, timeout_s: float) -> list[RunChecksView]:
        """As service.Service has it."""
        within_s = min(NODE_TIMEOUT_S, timeout_s / 2)
        view, _ = await self._logs.task(task)
        checked = [run for run in view.allocations if _is_checked(view, run)][-MAX_RUNS:]
        runs: dict[str, list[AllocationView]] = {}
        for run in checked:
            runs.setdefault(run.node_id, []).append(run)
        asked = await asyncio.gather(*(self._on(NodeId(node), found, within_s) for node, found in runs.items()))
        by_run = {each.allocation: each for found in asked for each in found}
        return [by_run[run.id] for run in checked]

    async def _on(self, node: NodeId, runs: Sequence[AllocationView], within_s: float) -> list[RunChecksView]:
        """Returns those of one node; why there are none, where it can't be asked."""
        if why := self._why_gone(node):
            return [_unknown(run, why) for run in runs]
        request = AskChecks(tuple(AllocationId(int(run.id, 16)) for run in runs))
        found = await answer_or_why(self._forward, node, request, within_s)
        if isinstance(found, str):
            return [_unknown(run, found) for run in runs]
        results = [*found.results, *((),) * len(runs)]
        return [_known(run, found.since_ms, each) for run, each in zip(runs, results, strict=False)]

    def _why_gone(self, node: NodeId) -> str:
        known, seen = self._driver.view.node(node), self._directory.seen(node)
        gone = render.why_gone(known, seen, led=bool(self._driver.standing.leader))
        return f"{node} remembers them, and {gone}" if gone and node != self._me else ""

    # --- nodes ask ----------------------------------------------------------------------------------------

    async def _answer(self, request: AskChecks, _: Principal) -> RememberedChecks:
        results = await asyncio.gather(*map(self._agent.check_results, request.allocations))
        return RememberedChecks(self._agent.checks_since_ms, tuple(results))


def _is_checked(view: TaskView, run: AllocationView) -> bool:
    """Its version may be another than that of the job now."""
    return view.health_check is not None or run.health != "none"


def _unknown(run: AllocationView, why: str) -> RunChecksView:
    return RunChecksView(run.id, run.node_id, None, [], why)


def _known(run: AllocationView, since_ms: int, results: Sequence[CheckResult]) -> RunChecksView:
    shown = [CheckView(rfc3339(each.at_ms), each.ok, each.took_ms / 1000, each.output) for each in results]
    return RunChecksView(run.id, run.node_id, rfc3339(since_ms), shown, _gap(run, since_ms, bool(results)))


def _gap(run: AllocationView, since_ms: int, any_known: bool) -> str:
    """Returns why results are missing, "" where none are."""
    if run.created_at and run.created_at < rfc3339(since_ms):
        return f"{run.node_id} has forgotten what was before {moment_text(since_ms)}, when its program started"
    if any_known:
        return ""
    if run.state in _ENDED:
        return f"{run.node_id} has forgotten them since it ended, or has never checked it"
    return "it has not been checked yet"
