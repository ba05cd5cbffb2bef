"""What nodes ask of each other: requests over the peers' call and stream lanes, and what comes back.

Bodies are msgpack with strict types. A reply that is an error crosses as an OrionError by itself.
"""

from typing import Any, Generic, TypeVar

import msgspec

from orion.model.allocation import Allocation
from orion.model.api.cluster import RaftView
from orion.model.api.nodes import NodeView
from orion.model.api.tasks import TaskView
from orion.model.configs import Config, ConfigStat
from orion.model.container import LogEntry, LogQuery
from orion.model.errors import Unavailable
from orion.model.events import ALL_EVENTS, Event, EventChoice
from orion.model.ids import AllocationId, NodeId, RaftId
from orion.model.job import TaskSpec
from orion.model.node import Node
from orion.node.rpc.reads import ALL, Listing, Page, Read

R = TypeVar("R")


class Request(msgspec.Struct, Generic[R], frozen=True, array_like=True, tag=True):
    """Answered with an R; a stream yields its items as bytes."""


class Submitted(msgspec.Struct, frozen=True, array_like=True):
    """Committed at `index`; `subject` is the job's or node's name, `config` the config, where `apply` answered with
    one.
    """

    index: int
    subject: str
    cluster: int
    config: ConfigStat | None = None
    recovery: int = 0


class Submit(Request[Submitted], frozen=True, array_like=True, tag=1):
    """Commit a command, written at the level `needs` (model/levels.py). A node that does not lead passes it on to
    the leader, once: `forwarded`.
    """

    command: bytes
    forwarded: bool = False
    needs: int = 1


class ListHead(msgspec.Struct, frozen=True, array_like=True):
    """What comes before the JSON of a list, as rpc/reads.py has it."""

    index: int
    next: str


class AskTasks(Request[Listing], frozen=True, array_like=True, tag=2):
    """Stream: a list, as node/services/lists.py has it."""

    read: Read
    page: Page = ALL


class AskTask(Request[tuple[TaskView, int]], frozen=True, array_like=True, tag=3):
    task: str
    read: Read


class AskNodes(Request[Listing], frozen=True, array_like=True, tag=4):
    """Stream: a list."""

    read: Read
    page: Page = ALL


class AskNode(Request[tuple[NodeView, int]], frozen=True, array_like=True, tag=5):
    node: str
    read: Read


class AskRaft(Request[RaftView], frozen=True, array_like=True, tag=6):
    pass


class AskTransfer(Request[RaftView], frozen=True, array_like=True, tag=7):
    """Hand leadership to this voter, or to the most up-to-date one when empty."""

    to: str
    forwarded: bool = False


class Confirmed(msgspec.Struct, frozen=True, array_like=True):
    wanted: tuple[AllocationId, ...]
    gone: tuple[NodeId, ...]


class Confirm(Request[Confirmed], frozen=True, array_like=True, tag=8):
    """Linearizable: which of these allocations are still wanted, and which of these nodes are down or gone?"""

    allocations: tuple[AllocationId, ...]
    nodes: tuple[NodeId, ...]


class FetchSnapshot(Request[bytes], frozen=True, array_like=True, tag=9):
    """Stream: the chunks of the snapshot at `index`."""

    index: int


class WatchAssignments(Request[bytes], frozen=True, array_like=True, tag=10):
    """Stream: the work of a node, whole, again whenever it changes, as node/rpc/chunks.py has it."""

    node: NodeId
    raft_id: RaftId


class Assignment(msgspec.Struct, frozen=True, array_like=True):
    """An allocation that its node must act on, with what to run."""

    allocation: Allocation
    spec: TaskSpec


class AssignmentSet(msgspec.Struct, frozen=True, array_like=True):
    """All that state says to one node's agent, as of `index`.

    `registered`: state knows this node under this data directory, and as `node`. `neighbours`: other nodes on the
    same container engine that are not down, whose containers there are theirs. `kept`: allocations of stopped jobs,
    whose containers are kept for their logs. `level`: the cluster's (model/levels.py).
    """

    index: int
    cluster: int
    registered: bool
    assigned: tuple[Assignment, ...]
    neighbours: tuple[NodeId, ...]
    node: Node | None = None
    kept: tuple[AllocationId, ...] = ()
    level: int = 1


class ReadLogs(Request[bytes], frozen=True, array_like=True, tag=11):
    """Stream of lists of LogEntries: a container's output, from the node that runs the allocation."""

    allocation: AllocationId
    query: LogQuery


class WatchEvents(Request[bytes], frozen=True, array_like=True, tag=12):
    """Stream of optional Events."""

    after: tuple[int, int] | None
    follow: bool
    chosen: EventChoice = ALL_EVENTS


class AskConfigs(Request[tuple[tuple[Config | None, ...], int]], frozen=True, array_like=True, tag=13):
    """These configs, None where there is no such key."""

    keys: tuple[str, ...]
    read: Read


class FindConfigs(Request[Listing], frozen=True, array_like=True, tag=14):
    """Stream: a list of all whose key begins with `prefix`, by key."""

    prefix: str
    read: Read
    page: Page = ALL


class FetchBackup(Request[bytes], frozen=True, array_like=True, tag=15):
    """Stream: a backup of the whole state, as wire/backups.py has it."""

    read: Read


class Position(msgspec.Struct, frozen=True, array_like=True):
    """Where a member is in the cluster's log: the last entry it has applied, and the `members` by that. At the time
    of the answer it `leads`, or is `led`: by itself or by a leader that it hears.
    """

    applied: int
    leads: bool
    members: tuple[RaftId, ...]
    led: bool


class AskPosition(Request[Position], frozen=True, array_like=True, tag=20):
    """What nodes ask each other about Raft; AskRaft is what people are shown."""


class AskRaftId(Request[RaftId], frozen=True, array_like=True, tag=21):
    """The data directory that the node of this name has, by the applied state; 0 when state knows no such node."""

    node: NodeId


class Stopping(msgspec.Struct, frozen=True, array_like=True):
    """The node stops now."""


class StopNode(Request[Stopping], frozen=True, array_like=True, tag=22):
    """A planned stop of the node that is asked, which is this one."""

    node: NodeId


AnyRequest = (
    Submit
    | AskTasks
    | AskTask
    | AskNodes
    | AskNode
    | AskRaft
    | AskTransfer
    | Confirm
    | FetchSnapshot
    | WatchAssignments
    | ReadLogs
    | WatchEvents
    | AskConfigs
    | FindConfigs
    | FetchBackup
    | StopNode
    | AskPosition
    | AskRaftId
)

# What each call answers with.
REPLIES: dict[type[Request[Any]], Any] = {
    Submit: Submitted,
    AskTask: tuple[TaskView, int],
    AskNode: tuple[NodeView, int],
    AskRaft: RaftView,
    AskTransfer: RaftView,
    Confirm: Confirmed,
    AskConfigs: tuple[tuple[Config | None, ...], int],
    AskPosition: Position,
    AskRaftId: RaftId,
    StopNode: Stopping,
}

# Those whose answers have no limit: they are asked as streams.
AnyList = AskTasks | AskNodes | FindConfigs

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[AnyRequest] = msgspec.msgpack.Decoder(AnyRequest)


def encode_request(request: Request[Any]) -> bytes:
    return _encoder.encode(request)


def decode_request(data: bytes) -> AnyRequest:
    """Raises msgspec.MsgspecError or UnicodeDecodeError for anything else."""
    return _decoder.decode(data)


def encode_reply(reply: object) -> bytes:
    return _encoder.encode(reply)


class NotUnderstood(Unavailable):
    """Another node's reply can't be read here: the two are of different versions, or it is damaged."""


def decode_answer(data: bytes, request: Request[R], source: str) -> R:
    """The reply of `source` to `request`, by its type. Raises NotUnderstood."""
    answer: R = _decoded(data, REPLIES[type(request)], source)
    return answer


def decode_reply(data: bytes, kind: type[R], source: str) -> R:
    """Raises NotUnderstood."""
    reply: R = _decoded(data, kind, source)
    return reply


def decode_event(data: bytes, source: str) -> Event | None:
    """An item of a stream of events. Raises NotUnderstood."""
    event: Event | None = _decoded(data, Event | None, source)
    return event


def decode_log(data: bytes, source: str) -> list[LogEntry]:
    """An item of a stream of output. Raises NotUnderstood."""
    entries: list[LogEntry] = _decoded(data, list[LogEntry], source)
    return entries


def _decoded(data: bytes, kind: Any, source: str) -> Any:
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NotUnderstood(
            f"{source} answered with something this version does not understand ({error}): do all nodes run one"
            " version?"
        ) from None
