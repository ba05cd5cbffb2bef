"""What node/ asks of the outside, as Protocols. adapters/ fulfil them with the real thing, the simulator with
its own; the contract suites in tests/contract run against both.

Every call that can wait takes part in cancellation; a deadline is the caller's (`asyncio.timeout`).
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from enum import Enum
from typing import Protocol

import msgspec

from orion.model.allocation import Allocation
from orion.model.container import Container, EngineInfo, File, Labels, LogEntry, LogQuery
from orion.model.ids import NodeId, RaftId
from orion.model.job import TaskSpec
from orion.raft.interface import Persistent
from orion.raft.messages import AnyMessage, Entry, HardState, SnapshotMeta

__all__ = ["Container", "EngineInfo", "File", "Labels", "LogEntry", "LogQuery"]


class Clock(Protocol):
    def now_ms(self) -> int:
        """Monotonic; for waits and timeouts."""

    def wall_ms(self) -> int:
        """Unix time; only to be shown to people, never to decide."""


# --- log ---------------------------------------------------------------------------------------------------


class Identity(msgspec.Struct, frozen=True):
    """Whose data directory this is. `cluster` is 0 until the node bootstraps or joins one; `recovery` as in
    model/recovery.py. `address`: where its node was last dialled by peers.
    """

    node: NodeId
    raft: RaftId
    cluster: int = 0
    recovery: int = 0
    address: str = ""


class LogBatch(msgspec.Struct, frozen=True):
    """One or several Readies' worth. `entries` replace whatever is stored from entries[0].index on."""

    hard_state: HardState | None
    entries: tuple[Entry, ...]
    must_sync: bool


class LogFailed(Exception):
    """The disk failed under the log: the process must end, for after a failed fsync nobody knows what is on
    disk. Every later call of the store raises it again.
    """


class LogStore(Protocol):
    """Durable log. Any error of the disk raises LogFailed: end the process, never retry."""

    async def load(self) -> Persistent:
        """Raises Corrupt, naming the entry, when the log inside is missing or damaged."""

    async def identity(self) -> Identity | None: ...

    async def set_identity(self, identity: Identity) -> None: ...

    def persist(self, batch: LogBatch) -> asyncio.Future[None]:
        """Done after the fsync (when `must_sync`); in the order of the calls. Atomic."""

    async def save_snapshot(
        self,
        meta: SnapshotMeta,
        chunks: AsyncIterator[bytes],
        *,
        first_kept: int,
        hard_state: HardState | None,
    ) -> None:
        """Store a snapshot and drop entries before `first_kept` (all of them when first_kept is
        meta.index + 1 and the log does not reach it). The older snapshot stays until this one is whole.
        """

    def snapshot_chunks(self, index: int) -> AsyncGenerator[bytes, None]:
        """The bytes of the stored snapshot, in chunks of at most 1 MiB.

        Raises NotFound when it is no longer that one, Corrupt when damaged.
        """

    def bytes_on_disk(self) -> int: ...

    async def close(self) -> None: ...


async def as_stream(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Chunks that are at hand, as a LogStore takes them."""
    for chunk in chunks:
        yield chunk


# --- peers -------------------------------------------------------------------------------------------------

# Answers one call, or yields the items of one stream, for the peer's node id and request bytes.
CallHandler = Callable[[NodeId, bytes], Awaitable[bytes]]
StreamHandler = Callable[[NodeId, bytes], AsyncGenerator[bytes, None]]
MessageHandler = Callable[[AnyMessage], None]


class Knock(Enum):
    """What a host says of a new connection to its peer port."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # nobody listens: the process is gone from a living host
    SILENT = "silent"  # several tries, and no answer to any: the host or the way to it is gone
    UNCLEAR = "unclear"  # it was never asked: no such name, no network here


class Greeted(msgspec.Struct, frozen=True):
    """Who greeted, by its own word. `run` tells its process from others with the same data directory; `address` is
    where it is dialled, "" when unknown.
    """

    node: NodeId
    raft: RaftId
    cluster: int = 0
    recovery: int = 0
    run: int = 0
    address: str = ""


class Gate(Protocol):
    """Decides who is let in at the peer port."""

    def knows(self, greeted: Greeted) -> bool:
        """True: it is let in at once."""

    async def rival(self, greeted: Greeted) -> str:
        """The address at which another node with its data directory or its name answers; "" lets it in. Takes at
        most a few seconds.
        """


class Peers(Protocol):
    """Node-to-node transport. Addresses are `host:port`.

    Raft messages are best effort on one connection per address with a bounded queue, oldest dropped first.
    Calls raise Unavailable when the peer can't be reached or answers too late, and re-raise the OrionError
    that the handler raised there. A stream ends when either side closes it.

    `on_lost`, where set, is told the address whenever a connection to it broke or was refused: time to look
    whether anybody is there. `on_stranger`, where set, is told the node, cluster and recovery of a peer that was
    met and is not spoken with, because its cluster or its recovery (model/recovery.py) is another.

    `gate`, where set, is asked about everybody who greets, before anything else of it is heard. `on_refused`, where
    set, is told the address of the node that another one has taken this one for a copy of. `run` is what this one
    greets with.
    """

    run: int
    on_lost: Callable[[str], None] | None
    on_stranger: Callable[[NodeId, int, int], None] | None
    on_refused: Callable[[str], None] | None
    gate: Gate | None

    async def start(self, on_message: MessageHandler, on_call: CallHandler, on_stream: StreamHandler) -> None: ...

    def send(self, address: str, to: RaftId, messages: Sequence[AnyMessage]) -> None: ...

    async def call(self, address: str, request: bytes, *, timeout_s: float) -> bytes: ...

    def stream(self, address: str, request: bytes) -> AsyncGenerator[bytes, None]: ...

    async def knock(self, address: str, *, tries: int) -> Knock:
        """What the host says of a new connection. The kernel answers, however busy the process is. Takes as long as
        the answer, at most a tenth of a second for each try.
        """

    async def who(self, address: str, *, timeout_s: float) -> Greeted:
        """Who answers there, of whatever cluster and recovery. Only a process that runs does: one that is frozen
        accepts connections and no more. Raises Unavailable. May be called before `start`.
        """

    def set_cluster(self, cluster: int, recovery: int = 0) -> None:
        """From now on only peers of this cluster, after this recovery, are spoken with."""

    async def close(self) -> None: ...


# --- membership --------------------------------------------------------------------------------------------


class MemberState(msgspec.Struct, frozen=True):
    """One member as gossip sees it. `facts` travel in the gossip metadata (512 bytes at most)."""

    node: NodeId
    state: str  # alive, suspect, dead, left
    gossip_address: str
    epoch: int  # which run of the process
    facts: dict[str, str]


class MemberEvent(msgspec.Struct, frozen=True):
    """`kind`: joined, suspect, recovered, dead, left, updated, conflict, or lost (events were dropped: look
    at `members()` again). `member` is None for lost.
    """

    kind: str
    member: MemberState | None
    other_address: str = ""  # conflict: who else claims the name


class Membership(Protocol):
    async def start(self, facts: dict[str, str]) -> None: ...

    async def join(self) -> int:
        """How many seeds answered; 0 when none did (the adapter goes on trying by itself)."""

    def members(self) -> list[MemberState]:
        """This node included; dead and left ones as long as they are remembered."""

    def events(self) -> AsyncIterator[MemberEvent]: ...

    async def set_facts(self, facts: dict[str, str]) -> None:
        """After `leave`, nothing happens."""

    async def leave(self) -> None: ...

    async def close(self) -> None: ...


# --- container engine --------------------------------------------------------------------------------------


PullProgress = Callable[[str], None]  # a short text: "pulling nginx: 12.3 of 54.1 MB"


class Engine(Protocol):
    """A container engine. Every call raises EngineDown when there is no engine to be reached, EngineError with the
    engine's words when it refuses. An answer that does not come in time is EngineDown of `info`, `containers` and
    `changes`, which concern the whole engine, and EngineError of all others: work on one container may hang while
    all else goes on. Removing or stopping what is gone is no error.
    """

    async def info(self) -> EngineInfo: ...

    async def has_image(self, image: str) -> bool: ...

    async def pull(self, image: str, progress: PullProgress) -> None: ...

    async def create(self, allocation: Allocation, spec: TaskSpec, labels: Labels, *, name: str) -> str:
        """`name` is the `container_name` of the labels: by both it is known again, labels alone may be copied."""

    async def put_files(self, container: str, files: Sequence[File]) -> None:
        """Into a container that does not run, missing folders and all. What is there is replaced, unless it is a
        folder, which is refused.
        """

    async def start(self, container: str) -> None: ...

    async def stop(self, container: str, grace_ms: int) -> None: ...

    async def remove(self, container: str) -> None:
        """Kills it first if it runs."""

    async def containers(self, cluster: int) -> list[Container]:
        """All of this cluster's on this engine, whichever node's. One that the engine can't look into is shown as
        it was; if its state is another by now, with that, and an `exit_code` of None when it has exited.
        """

    async def of_others(self, cluster: int) -> list[Container]:
        """Those of other clusters that run on this engine, as they are listed: without their times."""

    async def inspect(self, container: str) -> Container | None:
        """As in `containers`; None when it is gone."""

    def changes(self, cluster: int) -> AsyncIterator[str]:
        """The id of each of this cluster's containers that started, died, was paused or was removed; ends (raises
        EngineDown) when the engine goes away. Before them, once, "": it listens, so that a look from then on
        misses nothing, and knows the causes of ends before as well as they can still be known.
        """

    def logs(self, container: str, query: LogQuery) -> AsyncGenerator[list[LogEntry], None]:
        """The output, as many entries at a time as are there. Following ends when the container does."""

    async def close(self) -> None: ...


# --- machine -----------------------------------------------------------------------------------------------


class Usage(msgspec.Struct, frozen=True):
    cpu_cores: float
    memory_bytes: int


class Machine(Protocol):
    """Live use of this machine, and randomness for ids that must be unguessable or unique."""

    def usage(self) -> Usage: ...

    def random_bits(self, bits: int) -> int: ...
