"""Health of a task: how it is checked, what was found, and what is run in its container around its life."""

import enum

import msgspec

from orion.model.levels import since


class CheckKind(enum.StrEnum):
    HTTP = "http"  # a GET of `path` is answered with `status`, or with 200 to 399
    TCP = "tcp"  # a connection to the port is accepted
    EXEC = "exec"  # a command in the container ends with exit code 0
    DOCKER = "docker"  # the engine's own HEALTHCHECK: the image's, or `command` in its place


@since(2, "REPLACE")
class UnhealthyAction(enum.StrEnum):
    """The consequence of a check whose retries are exhausted."""

    RESTART = "restart"  # the container is started again in its place, which counts as a restart
    NONE = "none"  # it is only shown
    REPLACE = "replace"  # another node runs the task; while there is none, as RESTART after REPLACED_WITHIN_MS


REPLACED_WITHIN_MS = 30_000


class HealthCheck(msgspec.Struct, frozen=True, array_like=True):
    """A check, as Docker defines its own: after `retries` failures in a row a task is unhealthy, after one success
    healthy. Failures before `start_period_ms` have passed, or before the first interval has, do not count unless
    the check has succeeded since the start.
    """

    kind: CheckKind
    port: int = 0  # of http and tcp: the container's
    path: str = ""  # of http
    command: tuple[str, ...] = ()  # of exec and docker
    interval_ms: int = 10_000
    timeout_ms: int = 5_000
    retries: int = 3
    start_period_ms: int = 0
    headers: tuple[tuple[str, str], ...] = ()  # of http; sorted by name
    status: int = 0  # of http: the only one that is healthy; 0: 200 to 399
    action: UnhealthyAction = UnhealthyAction.RESTART


class Health(enum.StrEnum):
    NONE = "none"  # nothing is checked
    STARTING = "starting"  # the check has not succeeded yet, nor failed too often
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class ProbeResult(msgspec.Struct, frozen=True):
    """`output`: words on a failure, or what a command wrote."""

    ok: bool
    output: str = ""


class CheckResult(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One result of a health check, as its node remembers it. `at_ms` is when the check began, in Unix time."""

    at_ms: int
    ok: bool
    took_ms: int
    output: str = ""


class HookCommand(msgspec.Struct, frozen=True, array_like=True):
    """A command that is run in a task's container."""

    command: tuple[str, ...]
    timeout_ms: int = 10_000


class TaskHooks(msgspec.Struct, frozen=True, array_like=True):
    """Commands around a container's life, in their order. A task is not ready before those of `post_start` have
    succeeded. Those of `pre_stop` run before the stop signal, within the grace.
    """

    post_start: tuple[HookCommand, ...] = ()
    pre_stop: tuple[HookCommand, ...] = ()
