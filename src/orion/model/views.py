"""What the HTTP API takes and gives, as typed values shared by api, node and client. JSON, camelCase."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from orion.model.limits import MAX_MOUNTS, MAX_PORTS, MAX_SELECTORS, MAX_VARIABLES, MAX_WORDS


class ConfigMountRequest(
    msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """A config that a task gets: as the variable `env`, or as the file `path` with `mode` (0644)."""

    key: str
    env: str = ""
    path: str = ""
    mode: str = ""


class PlacementRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """`strategy`: `spread` (the least loaded node that fits), `pack` (the fullest), or "" as the cluster has it."""

    strategy: str = ""


class TaskRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Body of `POST /tasks`. `memory` and `disk` in bytes, `cpu` in cores.

    `portBindings` maps "80/tcp" to a host port, as text or a number; "" or "0" asks for a free one, and
    "127.0.0.1:8080" opens it on that address of its node only.
    `restartPolicy` is `no`, `always`, `on-failure` (as often as it fails) or `on-failure:N` (at most N restarts).
    """

    image: str
    name: str = ""  # made from the image when empty
    command: Annotated[list[str], Meta(max_length=MAX_WORDS)] = []
    env: Annotated[dict[str, str], Meta(max_length=MAX_VARIABLES)] = {}
    memory: int = 0
    cpu: float = 0.0
    disk: int = 0
    node_selectors: Annotated[dict[str, str], Meta(max_length=MAX_SELECTORS)] = {}
    port_bindings: Annotated[Mapping[str, str | int], Meta(max_length=MAX_PORTS)] = {}
    restart_policy: str = "on-failure"
    stop_grace_seconds: float = 10.0
    configs: Annotated[list[ConfigMountRequest], Meta(max_length=MAX_MOUNTS)] = []
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
    configs: list[ConfigMountRequest] = []
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
    members. `next`: what the leader will do about who votes, in sentences.
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

    labels: Annotated[dict[str, str | None], Meta(max_length=MAX_SELECTORS)]


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
