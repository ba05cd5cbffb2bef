"""The LogStore port: the durable log."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from typing import Protocol

import msgspec

from orion.model.ids import NodeId, RaftId
from orion.raft.interface import Persistent
from orion.raft.messages import Entry, HardState, SnapshotMeta


class Identity(msgspec.Struct, frozen=True):
    """The owner of a data directory. `cluster` is 0 until the node bootstraps or joins one. `recovery` is as in
    model/recovery.py. `address` is the node's last peer address.
    """

    node: NodeId
    raft_id: RaftId = msgspec.field(name="raft")  # the name in directories of earlier versions
    cluster: int = 0
    recovery: int = 0
    address: str = ""


class LogBatch(msgspec.Struct, frozen=True):
    """The disk's part of one or several Readies. `entries` replace all stored ones from entries[0].index on."""

    hard_state: HardState | None
    entries: tuple[Entry, ...]
    must_sync: bool


class LogFailed(Exception):
    """The disk failed. The process must end, because after a failed fsync nobody knows what is on disk. Every later
    call of the store raises it again.
    """


class LogStore(Protocol):
    """The durable log. Any error of the disk raises LogFailed: the process has to end, a retry is never right."""

    async def load(self) -> Persistent:
        """Raises Corrupt, which names the entry, when an entry is missing or damaged."""

    async def identity(self) -> Identity | None: ...

    async def set_identity(self, identity: Identity) -> None: ...

    def persist(self, batch: LogBatch) -> asyncio.Future[None]:
        """Writes a batch, all of it or nothing. Batches become done in the order of the calls, with `must_sync`
        after the fsync.
        """

    async def save_snapshot(
        self,
        meta: SnapshotMeta,
        chunks: AsyncIterator[bytes],
        *,
        first_kept: int,
        hard_state: HardState | None,
    ) -> None:
        """Stores a snapshot and drops entries before `first_kept`: all of them when first_kept is meta.index + 1
        and the log does not reach it. The older snapshot stays until this one is whole.
        """

    def snapshot_chunks(self, index: int) -> AsyncGenerator[bytes, None]:
        """Yields the bytes of the stored snapshot in chunks of at most 1 MiB.

        Raises NotFound when it is no longer the one at `index`, Corrupt when it is damaged.
        """

    def bytes_on_disk(self) -> int: ...

    async def close(self) -> None: ...


async def as_stream(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Yields chunks that are in memory, as a LogStore takes them."""
    for chunk in chunks:
        yield chunk
