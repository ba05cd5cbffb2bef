"""What the HTTP API takes and gives, as typed values shared by api, node and client. JSON, camelCase."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from orion.model.configs import MAX_KEY_BYTES
from orion.model.limits import (
    MAX_BYTES,
    MAX_CPU,
    MAX_GRACE_S,
    MAX_MOUNTS,
    MAX_PORTS,
    MAX_SELECTORS,
    MAX_STRING_BYTES,
    MAX_VARIABLES,
    MAX_WORDS,
    MIN_CPU,
    MIN_MEMORY_BYTES,
)

# What types can't say, for /openapi.json; model/api/requests.py enforces it, and says what is wrong in words.
VARIABLE = r"[A-Za-z_][A-Za-z0-9_.-]*"
NAME = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
CONFIG_KEY = r"^(?!(.*/)?\.{1,2}(/|$))[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$"
FILE_PATH = (
    r"^$|^(?!/(proc|sys|dev)(/|$))(?!/etc/(hosts|hostname|resolv\.conf)$)(?!.*/\.{1,2}(/|$))"
    r"(/[^/\x00-\x1f\x7f]+)+$"
)
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
_PART = r"[a-z0-9]+((\.|__?|-+)[a-z0-9]+)*"
IMAGE = (
    rf"^(({_LABEL}(\.{_LABEL})*|\[[0-9A-Fa-f:]+\])(:[0-9]+)?/)?{_PART}(/{_PART})*"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@[A-Za-z][A-Za-z0-9]*([-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?$"
)
RESTART = r"^(no|always|on-failure(:([0-9]{1,6}|1000000))?)$"
LABEL = "^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$"
_A_PROGRAM = {"prefixItems": [{"type": "string", "minLength": 1}]}
_PORT = r"([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"


def _schema(**keywords: Any) -> Meta:
    return Meta(extra_json_schema=keywords)


def _none_or(least: float, most: float) -> list[dict[str, float]]:
    """0 is no limit."""
    return [{"const": 0}, {"minimum": least, "maximum": most}]


_BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"{_BYTE}(\.{_BYTE}){{3}}"
_H = "[0-9A-Fa-f]{1,4}"
_IPV6 = "|".join(
    (
        f"({_H}:){{7}}{_H}",
        f"({_H}:){{1,7}}:",
        *(f"({_H}:){{1,{7 - count}}}(:{_H}){{1,{count}}}" for count in range(1, 7)),
        f":(:{_H}){{1,7}}",
        "::",
    )
)
_Word = Annotated[str, _schema(pattern=r"^[^\x00]*$", maxLength=MAX_STRING_BYTES)]
_LabelValue = Annotated[str, _schema(pattern="^[A-Za-z0-9._:/-]{0,128}$")]
_NOT_ITS_OWN = "^(?!(id|hostname|os|arch)$)"
_LabelChange = Annotated[str | None, _schema(pattern="^[A-Za-z0-9._:/-]{0,128}$")]
_HostPort = Annotated[
    str | int,
    _schema(
        minimum=0,
        maximum=65_535,
        pattern=rf"^(({_IPV4}|\[({_IPV6})\]):)?({_PORT}|0)?$",
    ),
]


def _named(names: str, most: int) -> Meta:
    return Meta(max_length=most, extra_json_schema={"propertyNames": {"pattern": names}})


class ConfigRefRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """A config that a task gets: as the variable `env`, or as the file `path` with `mode` (0644)."""

    key: Annotated[str, _schema(pattern=CONFIG_KEY, maxLength=MAX_KEY_BYTES)]
    env: Annotated[str, _schema(pattern=rf"^({VARIABLE})?$")] = ""
    path: Annotated[str, _schema(pattern=FILE_PATH, maxLength=1_024)] = ""
    mode: Annotated[str, _schema(pattern="^(0?[0-7]{3})?$")] = ""


_EMPTY = {"maxLength": 0}
_ONE_USE = _schema(
    oneOf=[
        {
            "required": ["env"],
            "properties": {"env": {"minLength": 1}, "path": _EMPTY, "mode": _EMPTY},
        },
        {"required": ["path"], "properties": {"path": {"minLength": 1}, "env": _EMPTY}},
    ]
)


class PlacementRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """`strategy`: `spread` (the least loaded node that fits), `pack` (the fullest), or "" as the cluster has it."""

    strategy: Annotated[str, _schema(enum=["", "spread", "pack"])] = ""


class TaskRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Body of `POST /tasks`. `memory` and `disk` in bytes, `cpu` in cores.

    `portBindings` maps "80/tcp" to a host port, as text or a number; "" or "0" asks for a free one, and
    "127.0.0.1:8080" opens it on that address of its node only.
    `restartPolicy` is `no`, `always`, `on-failure` (as often as it fails) or `on-failure:N` (at most N restarts).
    """

    image: Annotated[str, _schema(pattern=IMAGE, maxLength=512)]
    name: Annotated[str, _schema(pattern=rf"^({NAME})?$")] = ""  # made from the image when empty
    command: Annotated[list[_Word], Meta(max_length=MAX_WORDS, extra_json_schema=_A_PROGRAM)] = []
    env: Annotated[dict[str, _Word], _named(f"^{VARIABLE}$", MAX_VARIABLES)] = {}
    memory: Annotated[int, _schema(anyOf=_none_or(MIN_MEMORY_BYTES, MAX_BYTES))] = 0
    cpu: Annotated[float, _schema(anyOf=_none_or(MIN_CPU, MAX_CPU))] = 0.0
    disk: Annotated[int, _schema(minimum=0, maximum=MAX_BYTES)] = 0
    node_selectors: Annotated[dict[str, _LabelValue], _named(LABEL, MAX_SELECTORS)] = {}
    port_bindings: Annotated[Mapping[str, _HostPort], _named(rf"^{_PORT}(/(tcp|udp))?$", MAX_PORTS)] = {}
    restart_policy: Annotated[str, _schema(pattern=RESTART)] = "on-failure"
    stop_grace_seconds: Annotated[float, _schema(minimum=0, maximum=MAX_GRACE_S)] = 10.0
    configs: Annotated[list[Annotated[ConfigRefRequest, _ONE_USE]], Meta(max_length=MAX_MOUNTS)] = []
    placement: PlacementRequest = PlacementRequest()


class AllocationView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One run of a task on one node. `containerId` and `containerName` are as the node's engine has them, "" while
    there is no container.
    """

    id: str
    node_id: str
    state: str
    reason: str
    restarts: int
    exit_code: int | None
    created_at: str | None  # RFC 3339, UTC
    started_at: str | None
    finished_at: str | None
    container_id: str = ""
    container_name: str = ""


class TaskView(msgspec.Struct, frozen=True, rename="camel"):
    """`stopped`: its job is kept at zero until it is started. `createdIndex` tells it from others of its name."""

    id: str
    name: str
    image: str
    command: list[str]
    env: dict[str, str]
    state: str
    reason: str
    node_id: str | None
    address: str
    ports: dict[str, str]  # "80/tcp" -> "host:port" that answers; who else may ask, portBindings says
    memory: int
    cpu: float
    disk: int
    node_selectors: dict[str, str]
    port_bindings: dict[str, str]
    restart_policy: str
    created_at: str | None
    started_at: str | None
    finished_at: str | None
    allocations: list[AllocationView]
    configs: list[ConfigRefRequest] = []
    stopped: bool = False
    created_index: int = 0
    placement: PlacementRequest = PlacementRequest()


class Amounts(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """`total` may be given away, `given` is, `used` is what the machine measures now (None: not known)."""

    total: float
    given: float
    used: float | None


class NodeView(msgspec.Struct, frozen=True, rename="camel"):
    """`role`: leader, voter, learner or worker. `status`: alive, suspect, dead, left, draining (tasks are yet to
    move), drained, or unknown (nobody leads, and the node asked has not heard of it since it started).
    `labels` are those that count; `labelChanges`: what POST /nodes/{id}/labels has said over what the node says of
    itself, null for what it took away.
    """

    name: str
    ip: str
    api_address: str
    role: str
    status: str
    reason: str  # why it takes no work, if it takes none
    version: str
    labels: dict[str, str]
    cpu: Amounts
    memory: Amounts
    disk: Amounts
    tasks: int
    label_changes: dict[str, str | None] = {}


class MemberView(msgspec.Struct, frozen=True, rename="camel"):
    """One Raft member, or a worker, as the leader sees it (`match`, `lag` and `state` are None where it can't be
    asked). `lag`: entries behind the leader's last. `status` as a node's; `since`: when it was called dead or left.
    """

    id: str
    raft_id: str
    match: int | None = None
    state: str | None = None  # probe, replicate or snapshot
    lag: int | None = None
    status: str = ""
    since: str | None = None  # RFC 3339, UTC


class RaftView(msgspec.Struct, frozen=True, rename="camel"):
    """`cluster` as in the containers' labels; empty until the cluster has begun. `workers`: nodes that are no
    members. `next`: what the leader will do about who votes, and what keeps `level` (model/levels.py) down, in
    sentences.
    """

    cluster: str
    state: str
    term: int
    leader: str | None
    commit_index: int
    applied_index: int
    voters: list[MemberView]
    learners: list[MemberView]
    first_index: int
    snapshot_index: int
    task_count: int
    workers: list[MemberView] = []
    next: list[str] = []
    level: int = 1


class ConfigView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A config without its value. `version` never comes twice; `size` in bytes. Deleted: as it was."""

    key: str
    version: int
    size: int
    created_at: str | None  # RFC 3339, UTC
    changed_at: str | None


class ConfigValue(msgspec.Struct, frozen=True, gc=False):
    """A config as a client reads it."""

    key: str
    value: bytes
    version: int


class LabelsRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Body of `POST /nodes/{id}/labels`: labels to set, null for those to take away. The others stay."""

    labels: Annotated[dict[str, _LabelChange], _named(_NOT_ITS_OWN + LABEL[1:], MAX_SELECTORS)]


class TransferRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Body of `POST /raft/transfer`. `to` empty leaves the choice to the leader."""

    to: str = ""


class HealthView(msgspec.Struct, frozen=True, rename="camel"):
    """`ready`: knows a leader and has applied what it knew to be committed."""

    ready: bool
    detail: str


class LogLineView(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A line with its end, or a part of a long one. Bytes that are no UTF-8 are `base64`, and `text` is empty."""

    at: str  # RFC 3339, UTC, nanoseconds
    stream: str  # stdout or stderr
    text: str
    base64: str = ""


class LogsView(msgspec.Struct, frozen=True, rename="camel"):
    """Some output of one run of a task, as an event of `GET /tasks/{id}/logs`."""

    allocation: str
    node_id: str
    lines: list[LogLineView]


class TextView(msgspec.Struct, frozen=True, rename="camel"):
    """One sentence: what happened to the task meanwhile (event notice), or how it ended (event end)."""

    text: str


class EventView(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    at: str
    kind: str
    subject: str
    text: str


class Problem(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """RFC 9457. `errors`: a JSON Pointer and a message for each wrong field."""

    title: str
    status: int
    detail: str
    code: str = ""
    errors: list[dict[str, str]] = []
