"""A task's health check, hooks and drain time in JSON."""

import re
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from orion.model.api.container.network import ContainerFields
from orion.model.api.fields import Option, Reading, field, schema
from orion.model.api.words import FIRST_WORD, Word
from orion.model.errors import shown
from orion.model.health import CheckKind, HealthCheck, HookCommand, TaskHooks, UnhealthyAction
from orion.model.limits import MAX_CHECK_S, MAX_GRACE_S, MAX_HOOKS, MAX_RETRIES, MAX_STRING_BYTES, MAX_WORDS

MAX_PATH = 1024
MAX_HEADERS = 32
MAX_HEADER = 1024
MIN_CHECK_S = 0.1  # between two checks, and of one
_PATH = r"/[!-~]*"
_HEADER_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}"
_HEADER_VALUE = r"([!-~]([ \t!-~]*[!-~])?)?"

_Port = Annotated[int, schema("The container's.", minimum=1, maximum=65_535)]
_Command = Annotated[
    list[Word],
    Meta(
        description="The program and its arguments.",
        max_length=MAX_WORDS,
        extra_json_schema={"minItems": 1, **FIRST_WORD},
    ),
]


class HttpCheckRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """A GET that is answered."""

    port: _Port
    path: Annotated[str, schema("With its query.", pattern=f"^{_PATH}$", maxLength=MAX_PATH)] = "/"
    headers: Annotated[
        dict[str, Annotated[str, schema(pattern=f"^{_HEADER_VALUE}$", maxLength=MAX_HEADER)]],
        Meta(
            description="As Host or Authorization.",
            max_length=MAX_HEADERS,
            extra_json_schema={"propertyNames": {"pattern": f"^{_HEADER_NAME}$"}},
        ),
    ] = {}
    status: Annotated[
        int,
        schema(
            "The only status that is healthy; 0: each from 200 to 399.",
            anyOf=[{"const": 0}, {"minimum": 100, "maximum": 599}],
        ),
    ] = 0


class TcpCheckRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """A connection that is accepted."""

    port: _Port


class ExecCheckRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """A command in the container that ends with exit code 0."""

    command: _Command


class DockerCheckRequest(
    msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """The engine's own HEALTHCHECK."""

    command: Annotated[
        list[Word],
        Meta(
            description="In place of the image's; empty: the image's own, with its own times.",
            max_length=MAX_WORDS,
            extra_json_schema=FIRST_WORD,
        ),
    ] = []


class HealthCheckRequest(
    msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """One of http, tcp, exec and docker, and when it is done."""

    http: HttpCheckRequest | None = None
    tcp: TcpCheckRequest | None = None
    exec: ExecCheckRequest | None = None
    docker: DockerCheckRequest | None = None
    interval_seconds: Annotated[
        float, schema("From one check to the next.", minimum=MIN_CHECK_S, maximum=MAX_CHECK_S)
    ] = 10.0
    timeout_seconds: Annotated[float, schema("The longest of one check.", minimum=MIN_CHECK_S, maximum=3600)] = 5.0
    retries: Annotated[int, schema("Failures in a row that make it unhealthy.", minimum=1, maximum=MAX_RETRIES)] = 3
    start_period_seconds: Annotated[
        float,
        schema(
            "Time to start in, in which failures do not count; at least the first interval.",
            minimum=0,
            maximum=MAX_CHECK_S,
        ),
    ] = 0.0
    on_unhealthy: Annotated[
        str,
        schema(
            "restart: its container is started again, which counts as a restart; replace: another node takes over, "
            "and while none can, its container is started again after 30 s; none: it is only shown.",
            enum=[*UnhealthyAction],
        ),
    ] = UnhealthyAction.RESTART.value


_KINDS = {kind: kind.value for kind in CheckKind}
ONE_KIND = schema(
    oneOf=[
        {"type": "object", "required": [kind], "properties": {kind: {"type": "object"}}} for kind in _KINDS.values()
    ]
    + [{"type": "null"}]
)


class HookRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """A command in the container."""

    command: _Command
    timeout_seconds: Annotated[
        float, schema("The longest that it may run.", minimum=MIN_CHECK_S, maximum=MAX_GRACE_S)
    ] = 10.0


class HooksRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Commands in the container, around its life."""

    post_start: Annotated[
        list[HookRequest],
        Meta(description="After its start: it is not ready before they have succeeded.", max_length=MAX_HOOKS),
    ] = []
    pre_stop: Annotated[
        list[HookRequest],
        Meta(description="Before it is told to end, within stopGraceSeconds.", max_length=MAX_HOOKS),
    ] = []


# --- checks ------------------------------------------------------------------------------------------------


def read_health(asked: HealthCheckRequest | None, reading: Reading) -> HealthCheck | None:
    if asked is None:
        return None
    given = [kind for kind, name in _KINDS.items() if getattr(asked, name) is not None]
    if len(given) != 1:
        reading.wrong(f"{reading.name} needs one of {', '.join(_KINDS.values())}")
        return None
    known = len(reading.errors)
    made = HealthCheck(
        given[0],
        **_READERS[given[0]](getattr(asked, given[0].value), reading),
        interval_ms=_ms(asked.interval_seconds, MAX_CHECK_S, reading, "intervalSeconds"),
        timeout_ms=_ms(asked.timeout_seconds, 3600, reading, "timeoutSeconds"),
        start_period_ms=_ms(asked.start_period_seconds, MAX_CHECK_S, reading, "startPeriodSeconds", least=0),
        retries=asked.retries,
        action=_action(asked.on_unhealthy, reading),
    )
    if not 1 <= asked.retries <= MAX_RETRIES:
        reading.wrong(f"retries is {asked.retries}: give 1 to {MAX_RETRIES:,}", "retries")
    return made if len(reading.errors) == known else None


def _read_http(asked: HttpCheckRequest, reading: Reading) -> dict[str, Any]:
    _refuse_port(asked.port, reading, "http")
    if len(asked.path) > MAX_PATH or not re.fullmatch(_PATH, asked.path):
        message = f"path {shown(asked.path)} is not a request's: begin it with / and escape what is not ASCII"
        reading.wrong(message, "http", "path")
    if len(asked.headers) > MAX_HEADERS:
        reading.wrong(f"headers has {len(asked.headers)}; a check can have {MAX_HEADERS}", "http", "headers")
    for name, value in asked.headers.items():
        if not re.fullmatch(_HEADER_NAME, name):
            reading.wrong(f"{shown(name)} is not a header's name", "http", "headers", name)
        elif len(value) > MAX_HEADER or not re.fullmatch(_HEADER_VALUE, value):
            reading.wrong(f"header {name} can't have the value {shown(value)}", "http", "headers", name)
    if asked.status and not 100 <= asked.status <= 599:
        reading.wrong(
            f"status {asked.status} does not exist: give 100 to 599, or 0 for 200 to 399", "http", "status"
        )
    headers = tuple(sorted(asked.headers.items()))
    return {"port": asked.port, "path": asked.path, "headers": headers, "status": asked.status}


def _read_tcp(asked: TcpCheckRequest, reading: Reading) -> dict[str, Any]:
    _refuse_port(asked.port, reading, "tcp")
    return {"port": asked.port}


def _read_exec(asked: ExecCheckRequest, reading: Reading) -> dict[str, Any]:
    return {"command": _command(asked.command, reading, "exec", "command")}


def _read_docker(asked: DockerCheckRequest, reading: Reading) -> dict[str, Any]:
    return {"command": _command(asked.command, reading, "docker", "command", may_be_empty=True)}


_READERS: dict[CheckKind, Callable[..., dict[str, Any]]] = {
    CheckKind.HTTP: _read_http,
    CheckKind.TCP: _read_tcp,
    CheckKind.EXEC: _read_exec,
    CheckKind.DOCKER: _read_docker,
}


def _refuse_port(port: int, reading: Reading, kind: str) -> None:
    if not 1 <= port <= 65_535:
        reading.wrong(f"port {port} does not exist: ports go from 1 to 65535", kind, "port")


def _command(words: list[str], reading: Reading, *where: str | int, may_be_empty: bool = False) -> tuple[str, ...]:
    if not words and not may_be_empty:
        reading.wrong("command is empty: name a program first", *where)
    elif len(words) > MAX_WORDS:
        reading.wrong(f"command has {len(words):,} words; it can have {MAX_WORDS:,}", *where)
    elif words and not words[0]:
        reading.wrong("command starts with an empty word: name a program first", *where, 0)
    for at, word in enumerate(words[:MAX_WORDS]):
        if "\0" in word:
            reading.wrong(f"word {at} of command holds a zero byte, which no program can be given", *where, at)
        elif len(word.encode("utf-8", "surrogatepass")) > MAX_STRING_BYTES:
            reading.wrong(f"word {at} of command is longer than Linux allows", *where, at)
    return tuple(words)


def _ms(seconds: float, most: float, reading: Reading, *where: str | int, least: float = MIN_CHECK_S) -> int:
    if not least <= seconds <= most:
        reading.wrong(f"{where[-1]} is {seconds:g}: give {least:g} to {most:g} seconds", *where)
        return 0
    return round(seconds * 1000)


def _action(text: str, reading: Reading) -> UnhealthyAction:
    words = [*UnhealthyAction]
    if text not in words:
        message = f"onUnhealthy {shown(text)} is unknown: write {', '.join(words[:-1])} or {words[-1]}"
        reading.wrong(message, "onUnhealthy")
        return UnhealthyAction.RESTART
    return UnhealthyAction(text)


def show_health(check: HealthCheck | None) -> HealthCheckRequest | None:
    if check is None:
        return None
    return HealthCheckRequest(
        **{check.kind.value: _SHOWERS[check.kind](check)},
        interval_seconds=check.interval_ms / 1000,
        timeout_seconds=check.timeout_ms / 1000,
        retries=check.retries,
        start_period_seconds=check.start_period_ms / 1000,
        on_unhealthy=check.action.value,
    )


_SHOWERS: dict[CheckKind, Callable[[HealthCheck], Any]] = {
    CheckKind.HTTP: lambda check: HttpCheckRequest(check.port, check.path, dict(check.headers), check.status),
    CheckKind.TCP: lambda check: TcpCheckRequest(check.port),
    CheckKind.EXEC: lambda check: ExecCheckRequest(list(check.command)),
    CheckKind.DOCKER: lambda check: DockerCheckRequest(list(check.command)),
}


# --- hooks -------------------------------------------------------------------------------------------------


def read_hooks(asked: HooksRequest | None, reading: Reading) -> TaskHooks | None:
    if asked is None:
        return None
    return TaskHooks(
        _read_commands(asked.post_start, reading, "postStart"), _read_commands(asked.pre_stop, reading, "preStop")
    )


def _read_commands(asked: list[HookRequest], reading: Reading, when: str) -> tuple[HookCommand, ...]:
    if len(asked) > MAX_HOOKS:
        reading.wrong(f"{when} has {len(asked)} commands; it can have {MAX_HOOKS}", when)
        return ()
    return tuple(
        HookCommand(
            _command(hook.command, reading, when, at, "command"),
            _ms(hook.timeout_seconds, MAX_GRACE_S, reading, when, at, "timeoutSeconds"),
        )
        for at, hook in enumerate(asked)
    )


def show_hooks(hooks: TaskHooks | None) -> HooksRequest | None:
    if hooks is None:
        return None
    return HooksRequest(_show_commands(hooks.post_start), _show_commands(hooks.pre_stop))


def _show_commands(commands: tuple[HookCommand, ...]) -> list[HookRequest]:
    return [HookRequest(list(each.command), each.timeout_ms / 1000) for each in commands]


# --- drain -------------------------------------------------------------------------------------------------


def read_drain(seconds: float | None, reading: Reading) -> int | None:
    if seconds is None:
        return None
    if not 0 <= seconds <= MAX_GRACE_S:
        reading.wrong(f"{reading.name} is {seconds:g}: give 0 to {MAX_GRACE_S} seconds")
        return None
    return round(seconds * 1000)


def show_drain(drain_ms: int | None) -> float | None:
    return None if drain_ms is None else drain_ms / 1000


class HealthFields(ContainerFields, msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The part of TaskFields that says when a task is ready, and how it ends."""

    health_check: Annotated[
        HealthCheckRequest | None,
        field(
            "How it is found out that it works.",
            note="Null: it is ready once its first TCP port accepts.",
            spec="health",
            read=read_health,
            show=show_health,
            oneOf=ONE_KIND.extra_json_schema["oneOf"],
            option=Option(
                ("--health",),
                "CHECK",
                "check",
                also="http:80/up, tcp:5432, exec:COMMAND in a shell, or docker for the image's own. Without one "
                "it is ready once its port accepts.",
            ),
        ),
    ] = None
    hooks: Annotated[
        HooksRequest | None,
        field("Commands in its container, after its start and before its end.", read=read_hooks, show=show_hooks),
    ] = None
    drain_seconds: Annotated[
        float | None,
        field(
            "Time from its end in the endpoints of its job until it is told to end.",
            note="Null: 2 s with ports, else none. A job that is stopped or removed as a whole ends without.",
            spec="drain_ms",
            read=read_drain,
            show=show_drain,
            minimum=0,
            maximum=MAX_GRACE_S,
            option=Option(("--drain",), "SECONDS", "seconds", default="2 with ports, else 0"),
        ),
    ] = None
