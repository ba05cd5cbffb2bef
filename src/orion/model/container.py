"""What a container engine shows and is asked for, as values."""

import enum

import msgspec

from orion.model.ids import NodeId
from orion.model.resources import Resources


class EngineInfo(msgspec.Struct, frozen=True):
    """`id` is what the engine says of itself, which a cloned machine's engine says too. `run` tells running engines
    apart: another one for each clone, and another after each restart; "" when that can't be told.
    """

    id: str
    version: str
    resources: Resources  # all that the machine has
    run: str = ""


class Labels(msgspec.Struct, frozen=True):
    """Who a container belongs to: dev.orion.cluster, .node, .job, .task, .allocation."""

    cluster: int
    node: NodeId
    job: str
    index: int
    allocation: int


class EndCause(enum.Enum):
    """Why a container has ended, which its exit code does not say."""

    ITSELF = "itself"  # its program ended, or the kernel ended it
    TOLD = "told"  # the engine, or somebody through it, told it to end
    UNKNOWN = "unknown"  # nobody watched, and the engine remembers nothing of it


class ContainerState(enum.StrEnum):
    """A container's state. The engine's other states are shown as one of these."""

    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


class Container(msgspec.Struct, frozen=True):
    """One container with Orion's labels. Times are in Unix milliseconds, 0 when not yet."""

    id: str
    labels: Labels
    state: ContainerState
    host_ports: tuple[int, ...] = ()
    exit_code: int | None = None
    error: str = ""  # the engine's own words on why it ended or did not start
    oom_killed: bool = False
    started_at_ms: int = 0
    finished_at_ms: int = 0
    address: str = ""
    cause: EndCause = EndCause.ITSELF  # once it has ended
    paused: bool = False  # it runs, and its processes are frozen until somebody unpauses it


class File(msgspec.Struct, frozen=True):
    """To be put into a container, root's, with the permissions `mode`."""

    path: str
    content: bytes
    mode: int


class LogQuery(msgspec.Struct, frozen=True, array_like=True):
    follow: bool = False
    tail: int | None = None  # lines
    since_ns: int = 0  # Unix time; the output of that very moment is meant too
    stdout: bool = True
    stderr: bool = True


class LogEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One piece of output as the engine keeps it: a line with its end, or a part of a long one.

    `at` is RFC 3339 in UTC with nine digits after the point, so that such texts compare as their times do. The
    parts of one line have the same. Those of one of the two streams never go back, unless the engine's clock did.
    """

    at: str
    stderr: bool
    text: bytes
