"""reconcile/health.py: results of checks, and the clock, into the health of one run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from orion.model.allocation import AllocationState, AllocationStatus
from orion.model.container import Container, ContainerState, Labels
from orion.model.health import (
    REPLACED_WITHIN_MS,
    CheckKind,
    Health,
    HealthCheck,
    HookCommand,
    ProbeResult,
    TaskHooks,
    UnhealthyAction,
)
from orion.model.ids import NodeId
from orion.model.job import PortBinding, TaskSpec
from orion.reconcile import health
from orion.reconcile.health import TELL_AFTER_MS, TELL_EVERY_MS

CHECK = HealthCheck(CheckKind.HTTP, 80, "/", interval_ms=2_000, retries=3)
CONTAINER = Container("c1", Labels(1, NodeId("node1"), "web", 0, 1), ContainerState.RUNNING, started_at_ms=500)
OK, BAD = ProbeResult(ok=True), ProbeResult(ok=False, output="status 503")
HOOKS = TaskHooks(post_start=(HookCommand(("warm",)),))
WALL_MS = 1_700_000_000_000


def spec(check=CHECK, **fields):
    return TaskSpec("nginx", health=check, **fields)


def first(of, status=None, now_ms=0):
    return health.first(of, CONTAINER, status or AllocationStatus(), now_ms)


def after(of, *results, checked=None):
    """`results`: pairs of a time and a result."""
    checked = checked or first(of)
    for now_ms, result in results:
        checked = health.after_probe(of, checked, result, began_ms=now_ms, now_ms=now_ms, wall_ms=WALL_MS + now_ms)
    return checked


def test_it_is_starting_until_the_check_succeeds():
    assert first(spec()).health is Health.STARTING
    found = after(spec(), (10, OK))
    assert (found.health, found.ready_since_ms, found.failed) == (Health.HEALTHY, WALL_MS + 10, "")


def test_it_is_ready_since_the_first_of_the_successes():
    assert after(spec(), (10, OK), (2_010, OK)).ready_since_ms == WALL_MS + 10


def test_failures_before_the_first_interval_do_not_count():
    found = after(spec(), (0, BAD), (500, BAD), (1_000, BAD), (1_999, BAD))
    assert (found.health, found.failures) == (Health.STARTING, 0)


def test_nor_do_those_of_the_start_period():
    slow = spec(replace(CHECK, start_period_ms=60_000))
    found = after(slow, *((ms, BAD) for ms in range(0, 60_000, 1_000)))
    assert (found.health, found.failures) == (Health.STARTING, 0)
    found = after(slow, (60_000, BAD), (62_000, BAD), checked=found)
    assert found.health is Health.STARTING
    assert after(slow, (64_000, BAD), checked=found).health is Health.UNHEALTHY


def test_after_the_first_success_failures_count_though_the_start_period_goes_on():
    slow = spec(replace(CHECK, start_period_ms=60_000))
    assert after(slow, (0, OK), (1_000, BAD), (2_000, BAD), (3_000, BAD)).health is Health.UNHEALTHY


def test_it_is_unhealthy_after_as_many_failures_in_a_row_as_it_has_retries():
    found = after(spec(), (0, OK), (2_000, BAD), (4_000, BAD))
    assert (found.health, found.ready_since_ms) == (Health.HEALTHY, WALL_MS)
    found = after(spec(), (6_000, BAD), checked=found)
    assert (found.health, found.ready_since_ms) == (Health.UNHEALTHY, 0)
    assert found.failed == found.reason == "health check failed: status 503"


def test_a_success_between_begins_the_count_anew():
    found = after(spec(), (0, OK), (2_000, BAD), (4_000, BAD), (6_000, OK), (8_000, BAD), (10_000, BAD))
    assert found.health is Health.HEALTHY


def test_with_the_action_none_it_is_shown_and_may_recover():
    shown = spec(replace(CHECK, action=UnhealthyAction.NONE, retries=1))
    found = after(shown, (0, OK), (2_000, BAD))
    assert (found.health, found.failed, found.ready_since_ms) == (Health.UNHEALTHY, "", 0)
    assert not health.is_over(shown, found)
    found = after(shown, (4_000, OK), checked=found)
    assert (found.health, found.reason, found.ready_since_ms) == (Health.HEALTHY, "", WALL_MS + 4_000)


def test_with_the_action_replace_it_ends_only_if_nobody_takes_over_in_time():
    moved = spec(replace(CHECK, action=UnhealthyAction.REPLACE, retries=1))
    found = after(moved, (0, OK), (2_000, BAD))
    assert (found.health, found.failed, found.ready_since_ms) == (Health.UNHEALTHY, "", 0)
    found = after(moved, (2_000 + REPLACED_WITHIN_MS - 1, BAD), checked=found)
    assert found.failed == ""
    assert after(moved, (2_000 + REPLACED_WITHIN_MS, OK), checked=found).health is Health.HEALTHY
    found = after(moved, (2_000 + REPLACED_WITHIN_MS, BAD), checked=found)
    assert found.failed == "health check failed: status 503"


def test_after_a_restart_of_the_process_the_wait_begins_anew():
    moved = spec(replace(CHECK, action=UnhealthyAction.REPLACE, retries=1))
    ill = running(after(moved, (0, OK), (2_000, BAD)))
    found = first(moved, ill)
    assert (found.health, found.failed) == (Health.UNHEALTHY, "")


def test_what_goes_on_after_its_node_was_down_is_as_it_was():
    """Its hooks are not run again, and who used it may go on."""
    well = replace(running(after(spec(), (0, OK))), state=AllocationState.SCHEDULED)
    found = first(spec(), well)
    assert (found.health, found.hooked, found.succeeded) == (Health.HEALTHY, True, True)
    assert found.ready_since_ms == well.ready_since_ms > 0


def test_what_was_to_end_is_to_end_after_its_node_was_down():
    """The reason was lost with the run, and is not asked of the check again."""
    ill = running(after(spec(), (0, OK), (1_000, BAD), (2_000, BAD), (3_000, BAD)))
    assert ill.health is Health.UNHEALTHY
    found = first(spec(), replace(ill, state=AllocationState.SCHEDULED, reason=""))
    assert (found.health, found.failed) == (Health.UNHEALTHY, health.ILL_BEFORE)


def test_a_page_is_a_reason_of_one_line():
    page = "<html>\n" + "  <p>so sorry</p>\n" * 10_000
    words = health.one_line(page)
    assert words.startswith("<html> <p>so sorry</p> <p>")
    assert len(words) == 200


def test_it_is_checked_often_while_it_starts_and_then_at_its_interval():
    slow = spec(replace(CHECK, interval_ms=30_000))
    assert health.wait_ms(slow, first(slow), 0) == 1_000
    assert health.wait_ms(slow, first(slow), 30_000) == 30_000
    assert health.wait_ms(slow, after(slow, (0, OK)), 1) == 30_000
    assert health.wait_ms(spec(replace(CHECK, interval_ms=200)), first(spec()), 0) == 200


def test_a_check_that_began_in_the_start_period_does_not_count_whenever_it_ends():
    of = spec(replace(CHECK, start_period_ms=60_000, timeout_ms=10_000, retries=1))
    found = health.after_probe(of, first(of), BAD, began_ms=59_999, now_ms=69_999, wall_ms=WALL_MS)
    assert (found.health, found.failures) == (Health.STARTING, 0)
    found = health.after_probe(of, found, BAD, began_ms=60_000, now_ms=60_001, wall_ms=WALL_MS)
    assert found.health is Health.UNHEALTHY


def test_who_goes_on_with_the_checks_of_another_waits_for_the_next_one():
    of = spec()
    assert health.left_ms(of, first(of), 500) == 0
    found = after(of, (1_000, OK))
    assert [health.left_ms(of, found, now_ms) for now_ms in (1_000, 2_500, 9_000)] == [2_000, 500, 0]


def test_why_it_is_not_healthy_yet_is_told_late_and_seldom():
    slow = spec(replace(CHECK, start_period_ms=60_000))
    assert after(slow, (TELL_AFTER_MS - 1, BAD)).reason == ""
    found = after(slow, (TELL_AFTER_MS, BAD))
    assert found.reason == "health check: status 503"
    other = ProbeResult(ok=False, output="status 504")
    assert after(slow, (TELL_AFTER_MS + TELL_EVERY_MS - 1, other), checked=found).reason == found.reason
    found = after(slow, (TELL_AFTER_MS + TELL_EVERY_MS, other), checked=found)
    assert found.reason == "health check: status 504"
    assert after(slow, (TELL_AFTER_MS + TELL_EVERY_MS + 1, OK), checked=found).reason == ""


def test_without_a_check_it_is_ready_once_its_first_tcp_port_accepts():
    ports = (PortBinding(53, "udp"), PortBinding(80, "tcp"), PortBinding(81, "tcp"))
    plain = spec(None, ports=ports)
    assert health.probe_of(plain).port == 80
    found = after(plain, (0, BAD))
    assert (found.health, found.ready_since_ms, health.is_over(plain, found)) == (Health.NONE, 0, False)
    found = after(plain, (100, OK), checked=found)
    assert (found.health, found.ready_since_ms) == (Health.NONE, WALL_MS + 100)
    assert health.is_over(plain, found)


def test_without_check_and_tcp_port_there_is_nothing_to_be_found_out():
    for plain in (spec(None), spec(None, ports=(PortBinding(53, "udp"),))):
        assert not plain.tells_ready
        assert health.is_over(plain, first(plain))


def test_a_port_that_never_accepts_is_never_unhealthy():
    plain = spec(None, ports=(PortBinding(80, "tcp"),))
    found = after(plain, *((ms, BAD) for ms in range(0, 100_000, 250)))
    assert (found.health, found.failed) == (Health.NONE, "")
    assert found.reason == "its port 80/tcp does not accept yet: status 503"


def test_a_port_is_looked_at_often_at_first_and_then_less():
    plain = spec(None, ports=(PortBinding(80, "tcp"),))
    waits = [health.wait_ms(plain, first(plain, now_ms=1_000), 1_000 + age_ms) for age_ms in (0, 10_000, 60_000)]
    assert waits == [250, 1_000, 5_000]


def test_commands_after_the_start_come_first_and_make_it_ready_where_nothing_else_does():
    for of in (spec(hooks=HOOKS), spec(None, hooks=HOOKS)):
        assert not first(of).hooked
        assert not health.is_over(of, first(of))
    found = health.after_hooks(spec(None, hooks=HOOKS), first(spec(None, hooks=HOOKS)), "", WALL_MS)
    assert (found.hooked, found.ready_since_ms) == (True, WALL_MS)
    found = health.after_hooks(spec(hooks=HOOKS), first(spec(hooks=HOOKS)), "", WALL_MS)
    assert (found.hooked, found.health, found.ready_since_ms) == (True, Health.STARTING, 0)


def test_a_command_after_the_start_that_fails_ends_the_run():
    of = spec(None, hooks=HOOKS)
    found = health.after_hooks(of, first(of), "warm: exit code 1", WALL_MS)
    assert (found.health, found.ready_since_ms) == (Health.UNHEALTHY, 0)
    assert found.failed == "post_start failed: warm: exit code 1"
    assert health.is_over(of, found)


@pytest.mark.parametrize(
    ("by_engine", "ready", "failed"),
    [
        (Health.STARTING, False, ""),
        (Health.HEALTHY, True, ""),
        (Health.UNHEALTHY, False, "health check failed: oh no"),
    ],
)
def test_the_engines_own_check_is_taken_as_it_is(by_engine, ready, failed):
    of = spec(HealthCheck(CheckKind.DOCKER))
    assert health.probe_of(of) is None
    container = replace(CONTAINER, health=by_engine, health_output="oh no")
    found = health.after_engine(of, first(of), container, 0, WALL_MS)
    assert (found.health, bool(found.ready_since_ms), found.failed) == (by_engine, ready, failed)


def test_an_image_without_a_healthcheck_is_told():
    of = spec(HealthCheck(CheckKind.DOCKER))
    found = health.after_engine(of, first(of), CONTAINER, 0, WALL_MS)
    assert (found.health, found.failed) == (Health.STARTING, "")
    assert "no HEALTHCHECK" in found.reason


def running(checked, **changes):
    return AllocationStatus(
        AllocationState.RUNNING,
        checked.reason,
        started_at_ms=checked.started_at_ms,
        container=checked.container,
        health=checked.health,
        ready_since_ms=checked.ready_since_ms,
        **changes,
    )


@pytest.mark.parametrize("of", [spec(), spec(None, ports=(PortBinding(80, "tcp"),)), spec(hooks=HOOKS)])
def test_after_a_restart_of_the_process_what_the_status_says_of_this_run_is_known(of):
    found = after(of, (0, OK), checked=replace(first(of), hooked=True))
    again = first(of, running(found), now_ms=7_000)
    assert (again.health, again.ready_since_ms) == (found.health, found.ready_since_ms)
    assert again.hooked
    assert health.is_over(of, again) == health.is_over(of, found)


def test_after_a_restart_of_the_process_an_unhealthy_run_is_still_to_end():
    found = after(spec(), (0, OK), (2_000, BAD), (4_000, BAD), (6_000, BAD))
    again = first(spec(), running(found))
    assert (again.health, again.failed) == (Health.UNHEALTHY, found.failed)
    starting = replace(running(found), state=AllocationState.STARTING)
    assert first(spec(), starting).failed == found.failed


def test_commands_after_the_start_run_again_if_nobody_knows_that_they_have():
    assert not first(spec(hooks=HOOKS), running(first(spec(hooks=HOOKS)))).hooked


def test_a_status_of_another_run_says_nothing():
    found = running(after(spec(), (0, OK)))
    for other in (replace(found, started_at_ms=501), replace(found, container="c2"), AllocationStatus()):
        assert first(spec(), other) == first(spec())


@given(
    st.lists(st.tuples(st.integers(0, 3_000), st.booleans()), max_size=30),
    st.integers(1, 4),
    st.sampled_from([0, 5_000]),
    st.sampled_from(list(UnhealthyAction)),
)
def test_ready_is_healthy_and_an_unhealthy_run_ends_or_is_shown(steps, retries, start_period_ms, action):
    of = spec(replace(CHECK, retries=retries, start_period_ms=start_period_ms, action=action))
    now_ms, checked = 0, first(of)
    for wait_ms, ok in steps:
        now_ms += wait_ms
        if health.is_over(of, checked):
            break
        checked = after(of, (now_ms, OK if ok else BAD), checked=checked)
        assert bool(checked.ready_since_ms) == (checked.health is Health.HEALTHY)
        if action is not UnhealthyAction.REPLACE:
            ends = checked.health is Health.UNHEALTHY and action is UnhealthyAction.RESTART
            assert bool(checked.failed) == ends
        assert not ok or checked.health is Health.HEALTHY
        assert checked.failures <= retries
        assert health.wait_ms(of, checked, now_ms) > 0
