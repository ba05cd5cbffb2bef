"""node/services/checks.py: the last results of a task's checks, from whichever node is asked, on whole simulated
nodes.
"""

import asyncio

from cluster_kit import run
from msgspec.structs import replace

from orion.model.api.health_fields import HealthCheckRequest, HttpCheckRequest
from orion.model.api.jobs import JobRequest
from orion.model.health import CheckResult
from orion.node.services.checks import RememberedChecks
from sim.engine import FOREVER

WEB = JobRequest(
    FOREVER,
    restart_policy="always",
    health_check=HealthCheckRequest(http=HttpCheckRequest(80), interval_seconds=0.5, on_unhealthy="none"),
)


async def deployed(nodes, request=WEB):
    """Returns the machine of its task, once that runs."""
    await nodes.leader.ask(
        lambda s: s.jobs.put("web", request, if_version=-1, plan="", idempotency_key="", timeout_s=5.0)
    )
    await nodes.until(lambda: home_of(nodes) is not None)
    return home_of(nodes)


def home_of(nodes):
    runs = [a for a in nodes.leader.node.driver.view.allocations_of_job("web") if a.wanted]
    return next((m for a in runs for m in nodes.machines if m.name == a.node and a.status.state == "running"), None)


def checks(machine, timeout_s=10.0):
    return asyncio.shield(machine.run.process.spawn(machine.node.service.checks("web", timeout_s=timeout_s)))


async def checked(nodes, machine):
    """Returns what is told of the newest run, once there is any."""
    async with asyncio.timeout(30):
        while not (found := (await checks(machine))[-1]).checks:  # noqa: ASYNC110 -- any node's memory
            await asyncio.sleep(0.1)
    return found


def test_every_node_tells_the_same_a_worker_too():
    async def main(nodes):
        home = await deployed(nodes)
        await checked(nodes, home)
        (held,) = home.engine.running()
        home.engine.ill.add(held.shown.id)
        await nodes.until(lambda: not home.node.agent._health.memory.of(held.shown.labels.allocation)[-1].ok)
        for machine in nodes.machines:
            (found,) = await checks(machine)
            assert (found.allocation, found.node_id) == (f"{held.shown.labels.allocation:08x}", home.name)
            assert found.reason == ""
            assert [each.ok for each in found.checks][:1] == [True]
            assert (found.checks[-1].ok, found.checks[-1].output) == (False, "GET /: it is ill")
            assert found.since < found.checks[0].at < found.checks[-1].at
            assert found.checks[-1].seconds > 0

    run(main, count=8, voters=5)


def test_a_task_without_a_check_has_none():
    async def main(nodes):
        home = await deployed(nodes, JobRequest(FOREVER))
        assert await checks(home) == []

    run(main)


def test_a_run_of_a_version_that_had_a_check_is_shown():
    async def main(nodes):
        home = await deployed(nodes)
        known = await checked(nodes, home)
        logs = home.node.service._logs
        view, index = await logs.task("web")

        async def without(_task):
            return replace(view, health_check=None, allocations=runs), index

        logs.task = without
        for health, shown in (("healthy", [known.allocation]), ("none", [])):
            runs = [replace(view.allocations[-1], health=health)]
            assert [each.allocation for each in await checks(home)] == shown

    run(main)


def test_a_run_that_was_not_checked_yet_says_so():
    async def main(nodes):
        slow = replace(WEB, health_check=replace(WEB.health_check, interval_seconds=60))
        home = await deployed(nodes, slow)
        home.node.agent._health.memory.forget_all_but(())
        home.node.agent._health.memory._ended.clear()
        (found,) = await checks(nodes.leader)
        assert (found.checks, found.reason) == ([], "it has not been checked yet")
        home.node.agent._health.memory.since_ms += 3_600_000
        (found,) = await checks(nodes.leader)
        assert found.reason.startswith(f"{home.name} has forgotten what was before ")
        assert found.reason.endswith(", when its program started")
        home.node.agent._health.memory.since_ms = 0
        await nodes.leader.ask(lambda s: s.stop_task("web", timeout_s=5.0))
        await nodes.until(lambda: not home.engine.running())
        home.node.agent._health.memory.forget_all_but(())
        home.node.agent._health.memory._ended.clear()
        await nodes.until(lambda: nodes.leader.node.driver.view.allocations_of_job("web")[0].terminal)
        (found,) = await checks(nodes.leader)
        assert found.reason == f"{home.name} has forgotten them since it ended, or has never checked it"

    run(main)


def test_a_node_that_is_dead_is_a_reason_and_so_is_one_that_forgot():
    async def main(nodes):
        await nodes.leader.ask(lambda s: s.drain(nodes.leader.name, draining=True, timeout_s=5))
        home = await deployed(nodes)
        await checked(nodes, nodes.leader)
        home.kill()
        (found,) = await checks(nodes.leader)
        assert (found.checks, found.since) == ([], None)
        assert home.name in found.reason
        await nodes.until(lambda: home_of(nodes) not in (None, home))
        lost, _ = await checks(nodes.leader)
        assert lost.reason.startswith(f"{home.name} remembers them, and is dead since ")
        home.boot()
        await nodes.until(lambda: nodes.leader.node.driver.view.node(home.name).status == "ready")
        lost, now = await checks(nodes.leader)
        assert lost.reason.startswith(f"{home.name} has forgotten what was before ")
        assert now.node_id != home.name

    run(main)


def test_a_node_that_hangs_is_a_reason_before_the_request_is_over():
    async def main(nodes):
        home = await deployed(nodes)
        other = next(m for m in nodes.machines if m is not home)

        async def hangs(_allocation):
            await asyncio.sleep(3_600)

        home.node.agent.check_results = hangs
        for timeout_s, within in ((10.0, "3 s"), (1.0, "0.5 s")):
            for asked in (home, other):
                (found,) = await checks(asked, timeout_s)
                assert (found.checks, found.since) == ([], None)
                assert within in found.reason

    run(main)


def test_a_node_that_answers_for_fewer_runs_than_were_asked_for_breaks_nothing():
    async def main(nodes):
        home = await deployed(nodes)
        results = ((CheckResult(1_000, True, 1),), (CheckResult(2_000, True, 1),))

        async def odd(node, request, *, timeout_s):
            return RememberedChecks(0, answer)

        home.node.service._checks._forward.ask_node = odd
        for answer in ((), results):
            (found,) = await checks(home)
            assert len(found.checks) == min(1, len(answer))

    run(main)
