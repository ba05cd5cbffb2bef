"""The health of one run of a container, from what is found out about it: commands after its start, its checks, its
port. It is called with each result, and says when the next is due.

    post_start failed ............ the run is to end, as an end by itself
    check succeeded .............. healthy, and ready since then
    check failed:
        in the time to start ..... starting: nothing is counted before the first success
        less often than retries .. as it was
        retries times in a row ... unhealthy, not ready; with the action restart the run is to end, with replace if
                               no other node has taken over in time
    no check, port accepts ....... ready since then
"""

import msgspec
from msgspec.structs import replace

from orion.model.allocation import AllocationState, AllocationStatus
from orion.model.container import Container
from orion.model.health import (
    REPLACED_WITHIN_MS,
    CheckKind,
    Health,
    HealthCheck,
    ProbeResult,
    UnhealthyAction,
)
from orion.model.job import TaskSpec

# While it starts, and nothing is counted: a task that is ready is to be known as such soon, at any interval.
STARTING_INTERVAL_MS = 1_000
# A port that does not accept for long may never: up to an age, a wait.
_PORT_WAITS = ((10_000, 250), (60_000, 1_000))
PORT_INTERVAL_LAST_MS = 5_000
PORT_TIMEOUT_MS = 2_000
# Why it is not ready is told after a while, for most are ready before, and again at most so often.
TELL_AFTER_MS = 5_000
TELL_EVERY_MS = 10_000
_SHOWN = 200  # characters of its output
_LOOKED_AT = 4_096
_PORT_CHECK = HealthCheck(CheckKind.TCP, timeout_ms=PORT_TIMEOUT_MS)


class Checked(msgspec.Struct, frozen=True):
    """The health of the run of `container` that began at `started_at_ms`. Times beside `ready_since_ms` are
    monotonic.
    """

    container: str
    started_at_ms: int
    health: Health = Health.NONE
    ready_since_ms: int = 0
    reason: str = ""  # for people, as long as it runs
    failed: str = ""  # why the run is to end, "" while it is not
    hooked: bool = True  # its commands after the start have succeeded
    succeeded: bool = False  # its check has, since the start
    failures: int = 0  # in a row, as far as they count
    begun_at_ms: int = 0  # known since
    told_at_ms: int = 0  # `reason` changed
    was_ready: bool = False  # before it failed: others may use it still
    ill_since_ms: int = 0  # it has failed, and is to be replaced
    checked_at_ms: int = -1  # last, -1 for never

    def is_of(self, container: Container) -> bool:
        return (self.container, self.started_at_ms) == (container.id, container.started_at_ms)


def one_line(output: str) -> str:
    """Returns the beginning of what a check or a command has written: it goes into the log, and may be a page."""
    return " ".join(output[:_LOOKED_AT].split())[:_SHOWN]


ILL_BEFORE = "it was unhealthy before its node went down"


def first(spec: TaskSpec, container: Container, status: AllocationStatus, now_ms: int = 0) -> Checked:
    """Returns what is known before anything is found out: what `status` says, if it is of this run, as after a
    restart of this process.
    """
    hooked = spec.hooks is None or not spec.hooks.post_start
    start = Health.STARTING if spec.health is not None else Health.NONE
    new = Checked(
        container.id, container.started_at_ms, start, hooked=hooked, begun_at_ms=now_ms, told_at_ms=now_ms
    )
    if not new.is_of(container) or not _tells_of(status, container):
        return new
    health = status.health if spec.health is not None or status.health is Health.UNHEALTHY else Health.NONE
    if spec.health is not None and health is Health.NONE:
        health = Health.STARTING
    ill = status.reason or ILL_BEFORE  # of one that goes on after its node was down, nobody knows it any more
    known = status.ready_since_ms > 0 or health in (Health.HEALTHY, Health.UNHEALTHY)
    to_end = health is Health.UNHEALTHY and (spec.health is None or spec.health.action is UnhealthyAction.RESTART)
    return replace(
        new,
        health=health,
        ready_since_ms=status.ready_since_ms,
        reason=ill if health is Health.UNHEALTHY else "",
        failed=ill if to_end else "",
        hooked=hooked or known,
        succeeded=known,
        ill_since_ms=now_ms,
    )


def _tells_of(status: AllocationStatus, container: Container) -> bool:
    """A restart after a failed check is told as `starting`, with the run before it. One that has a container and
    is `scheduled` goes on after its node was down.
    """
    told = status.state in (AllocationState.RUNNING, AllocationState.SCHEDULED) or (
        status.state is AllocationState.STARTING and status.health is Health.UNHEALTHY
    )
    return told and (status.container, status.started_at_ms) == (container.id, container.started_at_ms)


def probe_of(spec: TaskSpec) -> HealthCheck | None:
    """Returns what is asked of a task again and again: its check, else whether its first TCP port accepts. None of
    what the engine checks by itself, and of what has neither.
    """
    if spec.health is not None:
        return None if spec.health.kind is CheckKind.DOCKER else spec.health
    port = spec.first_tcp_port
    return replace(_PORT_CHECK, port=port) if port else None


def needs_no_engine(spec: TaskSpec, checked: Checked) -> bool:
    """Returns whether what is to be found out next is asked over the network."""
    check = probe_of(spec)
    return checked.hooked and check is not None and check.kind in (CheckKind.HTTP, CheckKind.TCP)


def is_over(spec: TaskSpec, checked: Checked) -> bool:
    """Returns whether nothing more is to be found out about this run."""
    if checked.failed:
        return True
    if not checked.hooked:
        return False
    return probe_of(spec) is None or (spec.health is None and checked.ready_since_ms > 0)


def wait_ms(spec: TaskSpec, checked: Checked, now_ms: int) -> int:
    """Returns the time from one check to the next."""
    check = probe_of(spec)
    assert check is not None
    if spec.health is None:
        age_ms = now_ms - checked.begun_at_ms
        return next((wait for most, wait in _PORT_WAITS if age_ms < most), PORT_INTERVAL_LAST_MS)
    if not checked.succeeded and now_ms < _counts_from_ms(check, checked):
        return min(check.interval_ms, STARTING_INTERVAL_MS)
    return check.interval_ms


def left_ms(spec: TaskSpec, checked: Checked, now_ms: int) -> int:
    """Returns the time to the next check: also who goes on with the checks of another one waits for it."""
    since_ms = checked.checked_at_ms
    return max(0, since_ms + wait_ms(spec, checked, since_ms) - now_ms) if since_ms >= 0 else 0


def after_hooks(spec: TaskSpec, checked: Checked, failure: str, wall_ms: int) -> Checked:
    """Its commands after the start have ended: `failure` says why one has failed, "" when none has."""
    if failure:
        words = f"post_start failed: {failure}"
        return replace(checked, health=Health.UNHEALTHY, ready_since_ms=0, failed=words, reason=words)
    ready = wall_ms if not spec.health and not spec.first_tcp_port else 0
    return replace(checked, hooked=True, ready_since_ms=ready)


def after_probe(
    spec: TaskSpec, checked: Checked, result: ProbeResult, *, began_ms: int, now_ms: int, wall_ms: int
) -> Checked:
    """As with Docker, a check that began in the start period does not count."""
    check = probe_of(spec)
    assert check is not None
    checked = replace(checked, checked_at_ms=now_ms)
    if result.ok:
        health = Health.HEALTHY if spec.health is not None else Health.NONE
        ready = checked.ready_since_ms or wall_ms
        return replace(checked, health=health, ready_since_ms=ready, reason="", succeeded=True, failures=0)
    if spec.health is None:
        return _told(checked, f"its port {check.port}/tcp does not accept yet: {result.output}", now_ms)
    if not checked.succeeded and began_ms < _counts_from_ms(check, checked):
        return _told(checked, f"health check: {result.output}", now_ms)
    failed = replace(checked, failures=min(checked.failures + 1, check.retries))
    if failed.failures < check.retries:
        return (
            failed
            if checked.health is not Health.STARTING
            else _told(failed, f"health check: {result.output}", now_ms)
        )
    return _unhealthy(check, failed, result.output, now_ms)


def after_engine(spec: TaskSpec, checked: Checked, container: Container, now_ms: int, wall_ms: int) -> Checked:
    """Returns what follows from the engine's own HEALTHCHECK."""
    check = spec.health
    assert check is not None
    match container.health:
        case Health.HEALTHY:
            ready = checked.ready_since_ms or wall_ms
            return replace(checked, health=Health.HEALTHY, ready_since_ms=ready, reason="", succeeded=True)
        case Health.UNHEALTHY:
            return _unhealthy(check, checked, one_line(container.health_output), now_ms)
        case Health.NONE:
            words = "health check: its image has no HEALTHCHECK, and healthCheck.docker names no command"
            return replace(checked, health=Health.STARTING, reason=words)
        case _:
            return replace(checked, health=Health.STARTING, ready_since_ms=0)


def _unhealthy(check: HealthCheck, checked: Checked, output: str, now_ms: int) -> Checked:
    words = f"health check failed: {output}" if output else "health check failed"
    if checked.health is Health.UNHEALTHY:
        waited = now_ms - checked.ill_since_ms >= REPLACED_WITHIN_MS
        if check.action is UnhealthyAction.REPLACE and waited:
            return replace(checked, reason=words, failed=words)
        return _told(checked, words, now_ms)
    failed = words if check.action is UnhealthyAction.RESTART else ""
    return replace(
        checked,
        health=Health.UNHEALTHY,
        ready_since_ms=0,
        reason=words,
        failed=failed,
        told_at_ms=now_ms,
        was_ready=checked.ready_since_ms > 0,
        ill_since_ms=now_ms,
    )


def _told(checked: Checked, words: str, now_ms: int) -> Checked:
    """Each change is written into the log, and what a check says may be another each time."""
    since = TELL_EVERY_MS if checked.reason else TELL_AFTER_MS
    if words == checked.reason or now_ms < checked.told_at_ms + since:
        return checked
    return replace(checked, reason=words, told_at_ms=now_ms)


def _counts_from_ms(check: HealthCheck, checked: Checked) -> int:
    return checked.begun_at_ms + max(check.start_period_ms, check.interval_ms)
