"""The durable log."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from typing import Protocol

import msgspec

from orion.model.ids import NodeId, RaftId
from orion.raft.interface import Persistent
from orion.raft.messages import Entry, HardState, SnapshotMeta


class Identity(msgspec.Struct, frozen=True):
    """Whose data directory this is. `cluster` is 0 until the node bootstraps or joins one; `recovery` as in
    model/recovery.py. `address`: where its node was last dialled by peers.
    """

    node: NodeId
    raft_id: RaftId = msgspec.field(name="raft")  # as directories of before have it
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
