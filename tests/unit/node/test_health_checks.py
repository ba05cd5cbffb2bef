"""The agent finds out whether its tasks work, and ends them in order."""

import asyncio

import msgspec
import pytest
from agent_kit import Bench, run

from orion.model.allocation import AllocationState
from orion.model.health import (
    CheckKind,
    CheckResult,
    Health,
    HealthCheck,
    HookCommand,
    ProbeResult,
    TaskHooks,
    UnhealthyAction,
)
from orion.model.job import RestartMode, RestartPolicy
from orion.node.agent import check_memory
from sim.engine import FAILS, HANGS

CHECK = HealthCheck(CheckKind.HTTP, 80, "/", interval_ms=1_000, timeout_ms=500, retries=3)


def status(bench, identity):
    return bench.assigned[identity].allocation.status


def until_health(bench, identity, health):
    return bench.until(lambda: status(bench, identity).health is health)


def happened(bench, identity):
    name = bench.held(identity).name
    return [what for _, what, of in bench.engine.history if of == name]


def fall_ill(bench, identity):
    bench.engine.ill.add(bench.held(identity).shown.id)


def test_a_task_becomes_healthy_and_each_change_is_reported_once():
    async def main(bench):
        one = bench.assign(1, health=CHECK)
        await until_health(bench, one, Health.HEALTHY)
        assert status(bench, one).ready_since_ms > 0
        told = len(bench.reports)
        await bench.until(lambda: bench.world.now_ms > 30_000, seconds=60)
        again = bench.reports[told:]
        assert all(each == (one, status(bench, one)) for each in again), "never one for each check"
        assert len(again) <= 3, "a report is made again only to outlast a late copy"

    run(main)


def test_an_ill_task_is_restarted_and_the_reason_says_why():
    async def main(bench):
        one = bench.assign(1, health=CHECK)
        await until_health(bench, one, Health.HEALTHY)
        fall_ill(bench, one)
        await until_health(bench, one, Health.UNHEALTHY)
        assert status(bench, one).reason == "health check failed: GET /: it is ill"
        assert status(bench, one).ready_since_ms == 0
        await until_health(bench, one, Health.HEALTHY)
        assert status(bench, one).restarts == 1
        assert status(bench, one).reason == ""

    run(main)


def test_one_that_is_ill_again_and_again_ends_by_its_restart_policy():
    async def main(bench):
        one = bench.assign(1, health=CHECK, restart=RestartPolicy(RestartMode.ON_FAILURE, 1))
        await until_health(bench, one, Health.HEALTHY)
        fall_ill(bench, one)
        await bench.until(lambda: status(bench, one).restarts == 1 and bench.running(one))
        fall_ill(bench, one)
        await bench.until(lambda: status(bench, one).state is AllocationState.FAILED)
        assert status(bench, one).reason.startswith("health check failed: GET /: it is ill")

    run(main)


def test_with_the_action_none_it_is_shown_and_runs_on():
    async def main(bench):
        one = bench.assign(1, health=msgspec.structs.replace(CHECK, action=UnhealthyAction.NONE))
        await until_health(bench, one, Health.HEALTHY)
        fall_ill(bench, one)
        await until_health(bench, one, Health.UNHEALTHY)
        bench.engine.ill.clear()
        await until_health(bench, one, Health.HEALTHY)
        assert happened(bench, one) == ["create", "start"]

    run(main)


def test_a_task_with_a_port_is_ready_once_it_accepts():
    async def main(bench):
        one = bench.assign(1, ports=(8080,))
        await bench.until(lambda: status(bench, one).ready_since_ms > 0)
        assert status(bench, one).health is Health.NONE

    run(main)


def test_of_a_task_without_check_and_port_nothing_is_written_but_that_it_runs():
    async def main(bench):
        one = bench.assign(1)
        await bench.until(lambda: status(bench, one).state is AllocationState.RUNNING)
        await bench.until(lambda: bench.world.now_ms > 20_000, seconds=60)
        assert (status(bench, one).health, status(bench, one).ready_since_ms) == (Health.NONE, 0)

    run(main)


def test_a_command_is_a_check_too():
    async def main(bench):
        good = bench.assign(1, health=HealthCheck(CheckKind.EXEC, command=("true",), interval_ms=1_000))
        bad = bench.assign(2, health=HealthCheck(CheckKind.EXEC, command=(FAILS,), interval_ms=1_000, retries=1))
        slow = bench.assign(3, health=HealthCheck(CheckKind.EXEC, command=(HANGS,), interval_ms=1_000, retries=1))
        await until_health(bench, good, Health.HEALTHY)
        await until_health(bench, bad, Health.UNHEALTHY)
        assert status(bench, bad).reason == f"health check failed: {FAILS}: exit code 1: so sorry"
        await until_health(bench, slow, Health.UNHEALTHY)
        assert status(bench, slow).reason == f"health check failed: {HANGS}: not over within 5 s"

    run(main)


def test_the_engines_own_check_is_followed():
    async def main(bench):
        one = bench.assign(1, health=HealthCheck(CheckKind.DOCKER))
        await bench.until(lambda: "no HEALTHCHECK" in status(bench, one).reason)
        for health in (Health.STARTING, Health.HEALTHY, Health.UNHEALTHY):
            held = bench.held(one)
            held.shown = msgspec.structs.replace(held.shown, health=health, health_output="oh no")
            for subscriber in bench.engine._subscribers:
                subscriber.tell(held, None)
            await until_health(bench, one, health)
        assert status(bench, one).reason == "health check failed: oh no"

    run(main)


def test_a_paused_container_is_left_alone():
    async def main(bench):
        one = bench.assign(1, health=CHECK)
        await until_health(bench, one, Health.HEALTHY)
        held = bench.held(one)
        held.shown = msgspec.structs.replace(held.shown, paused=True)
        await bench.until(lambda: status(bench, one).reason.startswith("paused"))
        fall_ill(bench, one)
        since = bench.world.now_ms
        await bench.until(lambda: bench.world.now_ms > since + 20_000, seconds=60)
        assert status(bench, one).health is Health.HEALTHY
        bench.engine.ill.clear()
        held.shown = msgspec.structs.replace(held.shown, paused=False)
        await bench.until(lambda: status(bench, one).reason == "")

    run(main)


def test_a_new_process_goes_on_with_what_was_known():
    async def main(bench):
        one = bench.assign(1, health=CHECK)
        await until_health(bench, one, Health.HEALTHY)
        ready_since_ms = status(bench, one).ready_since_ms
        successor = Bench(bench.world)
        successor.engine.containers = bench.engine.containers
        successor.assigned, successor.wanted = dict(bench.assigned), set(bench.wanted)
        runner = successor.start()
        await successor.until(lambda: successor.agent.engine_info is not None)
        since = bench.world.now_ms
        await successor.until(lambda: bench.world.now_ms > since + 5_000, seconds=60)
        assert all(told.ready_since_ms == ready_since_ms for _, told in successor.reports)
        fall_ill(successor, one)
        await until_health(successor, one, Health.UNHEALTHY)
        runner.cancel()

    run(main)


def test_nothing_is_asked_of_what_is_not_wanted():
    async def main(bench):
        one = bench.assign(1, ports=(8080,), health=CHECK, drain_ms=20_000)
        await until_health(bench, one, Health.HEALTHY)
        bench.drains.add(one)
        bench.unwant(one)
        fall_ill(bench, one)
        since = bench.world.now_ms
        await bench.until(lambda: bench.world.now_ms > since + 15_000, seconds=60)
        assert bench.running(one)
        assert status(bench, one).health is Health.HEALTHY
        await bench.until(lambda: status(bench, one).state is AllocationState.STOPPED)

    run(main)


# --- what is remembered for people -------------------------------------------------------------------------


def oks(results):
    return [each.ok for each in results]


def test_the_last_results_of_a_check_are_remembered_over_a_restart_of_the_task():
    async def main(bench):
        since_ms = bench.agent.checks_since_ms
        one = bench.assign(1, health=msgspec.structs.replace(CHECK, retries=2))
        await until_health(bench, one, Health.HEALTHY)
        fall_ill(bench, one)
        await bench.until(lambda: status(bench, one).restarts == 1)
        await until_health(bench, one, Health.HEALTHY)
        results = await bench.agent.check_results(one)
        assert [a for a, b in zip(oks(results), oks(results)[1:], strict=False) if a != b] == [True, False]
        failed = [each for each in results if not each.ok]
        assert [each.output for each in failed] == ["GET /: it is ill"] * 2
        assert all(0 < each.took_ms < 500 for each in failed)
        assert since_ms <= results[0].at_ms < results[-1].at_ms

    run(main)


def test_results_of_commands_are_remembered_too():
    async def main(bench):
        bad = bench.assign(1, health=HealthCheck(CheckKind.EXEC, command=(FAILS,), interval_ms=1_000, retries=1))
        await until_health(bench, bad, Health.UNHEALTHY)
        (*_, last) = await bench.agent.check_results(bad)
        assert (last.ok, last.output) == (False, f"{FAILS}: exit code 1: so sorry")

    run(main)


def test_of_a_port_alone_nothing_is_remembered():
    async def main(bench):
        one = bench.assign(1, ports=(8080,))
        await bench.until(lambda: status(bench, one).ready_since_ms > 0)
        assert await bench.agent.check_results(one) == ()

    run(main)


def test_the_engines_own_results_are_asked_for_and_those_seen_stay_when_it_does_not_answer():
    async def main(bench):
        one = bench.assign(1, health=HealthCheck(CheckKind.DOCKER))
        await bench.until(lambda: bench.running(one))
        log = tuple(CheckResult(second * 1_000, second != 3, 20, "a\nline") for second in range(1, 6))

        def show(results):
            held = bench.held(one)
            held.shown = msgspec.structs.replace(held.shown, health=Health.HEALTHY, health_log=results)

        show(log[:3])
        await bench.until(lambda: len(bench.agent._health.memory.of(one)) == 3)  # before anybody has asked
        show(log[:4])
        assert [each.at_ms for each in await bench.agent.check_results(one)] == [1_000, 2_000, 3_000, 4_000]
        show(log[1:])
        found = await bench.agent.check_results(one)
        assert [each.at_ms for each in found] == [1_000, 2_000, 3_000, 4_000, 5_000]
        assert {each.output for each in found} == {"a line"}
        bench.client.inspect = hangs
        async with asyncio.timeout(60):
            assert await bench.agent.check_results(one) == found
        del bench.client.inspect

    run(main)


async def hangs(_container):
    await asyncio.Event().wait()


def test_what_has_ended_is_remembered_for_a_while_and_no_longer(monkeypatch):
    monkeypatch.setattr(check_memory, "ENDED_KEPT", 1)

    async def main(bench):
        one, two = (bench.assign(number, health=CHECK) for number in (1, 2))
        for each in (one, two):
            await until_health(bench, each, Health.HEALTHY)
            bench.unwant(each)
            await bench.until(lambda each=each: status(bench, each).state is AllocationState.STOPPED)
        bench.drop(one)
        bench.publish()
        three = bench.assign(3, health=CHECK)
        await until_health(bench, three, Health.HEALTHY)
        assert oks(await bench.agent.check_results(one))[:1] == [True]
        bench.drop(two)
        bench.publish()
        await bench.until(lambda: not bench.agent._health.memory.of(one))
        assert oks(await bench.agent.check_results(two))[:1] == [True]

    run(main)


def test_those_that_ended_first_are_forgotten_first_whatever_came_back_between(monkeypatch):
    monkeypatch.setattr(check_memory, "ENDED_KEPT", 2)
    memory = check_memory.CheckMemory(0)
    for ended in (1, 2, 1, 3):
        memory.add(ended, (CheckResult(ended, True, 1),))
        memory.forget_all_but(())
    assert [each for each in (1, 2, 3) if memory.of(each)] == [1, 3]


# --- hooks, and the order at an end ------------------------------------------------------------------------


def hooks(*, post_start=(), pre_stop=()):
    return TaskHooks(
        tuple(HookCommand((each,), 3_000) for each in post_start),
        tuple(HookCommand((each,), 3_000) for each in pre_stop),
    )


def test_commands_after_the_start_make_a_task_ready_once():
    async def main(bench):
        one = bench.assign(1, hooks=hooks(post_start=("warm", "up")))
        await bench.until(lambda: status(bench, one).ready_since_ms > 0)
        assert happened(bench, one) == ["create", "start", "exec warm", "exec up"]

    run(main)


def test_a_command_after_the_start_that_fails_has_it_restarted():
    async def main(bench):
        one = bench.assign(1, hooks=hooks(post_start=(FAILS, "up")))
        await bench.until(lambda: status(bench, one).restarts == 1)
        reasons = {told.reason for _, told in bench.reports}
        assert f"post_start failed: {FAILS}: exit code 1: so sorry" in reasons
        assert all(told.ready_since_ms == 0 for _, told in bench.reports)
        assert "exec up" not in happened(bench, one)

    run(main)


@pytest.mark.parametrize("first", ["bye", FAILS, HANGS])
def test_a_task_ends_in_order_drain_commands_signal(first):
    async def main(bench):
        one = bench.assign(1, ports=(8080,), drain_ms=4_000, hooks=hooks(pre_stop=(first, "now")))
        await bench.until(lambda: status(bench, one).ready_since_ms > 0)
        bench.drains.add(one)
        since, name = bench.world.now_ms, bench.held(one).name
        bench.unwant(one)
        await bench.until(lambda: status(bench, one).state is AllocationState.STOPPED)
        told = [(at - since, what) for at, what, of in bench.engine.history if of == name and at > since]
        assert [what.split()[0] for _, what in told] == ["exec", "exec", "die", "remove"]
        assert told[0][1] == f"exec {first}"
        assert told[0][0] >= 4_000

    run(main)


def test_commands_before_the_stop_take_no_more_than_the_grace():
    async def main(bench):
        one = bench.assign(1, hooks=hooks(pre_stop=(HANGS, HANGS, HANGS)), stop_grace_ms=4_000)
        await bench.until(lambda: status(bench, one).state is AllocationState.RUNNING)
        name = bench.held(one).name
        bench.unwant(one)
        await bench.until(lambda: status(bench, one).state is AllocationState.STOPPED)
        told = [what for _, what, of in bench.engine.history if of == name]
        assert told.count(f"exec {HANGS}") == 2, "the third has no time left"

    run(main)


def test_a_drain_holds_up_nothing_else():
    async def main(bench):
        one = bench.assign(1, ports=(8080,), drain_ms=60_000)
        await bench.until(lambda: status(bench, one).ready_since_ms > 0)
        bench.drains.add(one)
        bench.unwant(one)
        two = bench.assign(2)
        await bench.until(lambda: bench.running(two))
        bench.drains.clear()  # its job is stopped meanwhile
        bench.publish()
        await bench.until(lambda: status(bench, one).state is AllocationState.STOPPED, seconds=20)

    run(main)


class BrokenProbe:
    async def http(self, _targets, _question, _timeout_s):
        raise ValueError("a bug")

    async def tcp(self, _targets, _timeout_s):
        return ProbeResult(ok=True)


def test_a_bug_in_a_probe_is_that_tasks_trouble_alone():
    async def main(bench):
        bench.agent._reconciler._health._probe = BrokenProbe()
        one = bench.assign(1, health=msgspec.structs.replace(CHECK, retries=1))
        two = bench.assign(2, ports=(8080,))
        await bench.until(lambda: status(bench, two).ready_since_ms > 0)
        await until_health(bench, one, Health.UNHEALTHY)
        assert "a bug in Orion" in status(bench, one).reason

    run(main)
