"""One machine's disk with the log on it, and the LogStore port over it.

The disk keeps two images of itself: what was written (the page cache, which outlives a killed process) and what is
durable (which alone outlives a loss of power). A transaction is all or nothing and durable ones form a prefix, as
LMDB's do. (Torn writes, flipped bits, errors and a full disk come with the disk faults; `Image` and `Disk.commit`
are where they belong.)
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable

import msgspec

from orion.model.errors import NotFound
from orion.ports import Identity, LogBatch
from orion.raft.interface import Persistent
from orion.raft.messages import Entry, HardState, SnapshotMeta
from sim.loop import Process
from sim.world import World

CHUNK_BYTES = 1024 * 1024


class Image:
    """What stands on a disk. `entries` begin at index `first`."""

    def __init__(self) -> None:
        self.identity: Identity | None = None
        self.hard_state = HardState()
        self.snapshot = SnapshotMeta()
        self.snapshot_data = b""
        self.first = 1
        self.entries: list[Entry] = []

    @property
    def last(self) -> int:
        return self.first + len(self.entries) - 1

    def term_at(self, index: int) -> int | None:
        """None for what is not there."""
        if self.first <= index <= self.last:
            return self.entries[index - self.first].term
        return self.snapshot.term if index == self.snapshot.index else None

    def holds(self, index: int) -> bool:
        """Whether the log up to `index` is kept, in a snapshot or as entries."""
        return index <= max(self.last, self.snapshot.index)


class Write(msgspec.Struct, frozen=True):
    hard_state: HardState | None
    entries: tuple[Entry, ...]

    def apply(self, image: Image) -> None:
        if self.hard_state is not None:
            image.hard_state = self.hard_state
        if self.entries:
            start = self.entries[0].index
            if not image.entries:
                assert start == max(image.first, image.snapshot.index + 1) or start == image.first, (
                    f"entry {start} is written to an empty log that begins at {image.first}"
                )
                image.first = start
            assert image.first <= start <= image.last + 1, (
                f"entry {start} is written to a log of {image.first}..{image.last}"
            )
            del image.entries[start - image.first :]
            image.entries.extend(self.entries)


class SaveSnapshot(msgspec.Struct, frozen=True):
    meta: SnapshotMeta
    data: bytes
    first_kept: int
    hard_state: HardState | None

    def apply(self, image: Image) -> None:
        # The log past the snapshot is kept only where the two agree.
        agrees = image.term_at(self.meta.index) == self.meta.term
        image.snapshot, image.snapshot_data = self.meta, self.data
        if self.hard_state is not None:
            image.hard_state = self.hard_state
        if not agrees:
            image.entries.clear()
            image.first = self.meta.index + 1
        elif self.first_kept > image.first:
            del image.entries[: self.first_kept - image.first]
            image.first = self.first_kept


class SetIdentity(msgspec.Struct, frozen=True):
    identity: Identity

    def apply(self, image: Image) -> None:
        image.identity = self.identity


Transaction = Write | SaveSnapshot | SetIdentity


class Disk:
    """The medium. `on_write` is told of each transaction after it was written; `slowness` multiplies latencies."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.written = Image()
        self.durable = Image()
        self.slowness = 1.0
        self.on_write: Callable[[Disk, Transaction], None] = lambda *_: None
        self._unsynced: list[Transaction] = []
        self._rng = world.rng("disk", name)

    def commit(self, transaction: Transaction) -> int:
        """Written, not yet durable. Returns a mark for `sync`."""
        transaction.apply(self.written)
        self._unsynced.append(transaction)
        self.on_write(self, transaction)
        return len(self._unsynced)

    def sync(self) -> None:
        """All that was written so far is durable."""
        for transaction in self._unsynced:
            transaction.apply(self.durable)
        self._unsynced.clear()

    def lose_power(self) -> None:
        """What was not synced is lost from some point on: the kernel may have written some of it by itself."""
        kept = self._rng.randint(0, len(self._unsynced))
        lost = len(self._unsynced) - kept
        if lost:
            self.world.count("unsynced transaction lost")
        for transaction in self._unsynced[:kept]:
            transaction.apply(self.durable)
        self._unsynced.clear()
        self.written = _copy(self.durable)

    def latency_ms(self, *, fsync: bool) -> float:
        if not fsync:
            return self._rng.uniform(0.01, 0.1) * self.slowness
        usual = self._rng.uniform(0.2, 2.0)
        rare = self._rng.uniform(0, 30.0) if self._rng.random() < 0.02 else 0.0
        return (usual + rare) * self.slowness


def _copy(image: Image) -> Image:
    copy = Image()
    copy.__dict__.update(image.__dict__)
    copy.entries = list(image.entries)
    return copy


class SimLog:
    """The LogStore port of one process. `at_boundary` is asked at each point where a process may die; when it has
    killed this one, nothing more happens here.
    """

    def __init__(self, disk: Disk, process: Process) -> None:
        self.disk = disk
        self.process = process
        self.at_boundary: Callable[[SimLog, str], None] = lambda *_: None
        self._writer = asyncio.Lock()

    async def load(self) -> Persistent:
        # What a killed process left in the page cache is seen: it must be durable before anybody acts on it.
        await self._fsync("load")
        image = self.disk.written
        after = max(0, image.snapshot.index + 1 - image.first)
        # A commit index alone is not synced, so it may lag behind the snapshot.
        commit = max(image.hard_state.commit, image.snapshot.index)
        hard_state = msgspec.structs.replace(image.hard_state, commit=commit)
        return Persistent(hard_state, image.snapshot, tuple(image.entries[after:]))

    async def identity(self) -> Identity | None:
        return self.disk.written.identity

    async def set_identity(self, identity: Identity) -> None:
        await self._transact(SetIdentity(identity), must_sync=True)

    def persist(self, batch: LogBatch) -> asyncio.Future[None]:
        transaction = Write(batch.hard_state, batch.entries)
        return self.process.spawn(self._transact(transaction, must_sync=batch.must_sync), name="persist")

    async def save_snapshot(
        self,
        meta: SnapshotMeta,
        chunks: AsyncIterator[bytes],
        *,
        first_kept: int,
        hard_state: HardState | None,
    ) -> None:
        data = bytearray()
        async for chunk in chunks:
            data += chunk
            await asyncio.sleep(self.disk.latency_ms(fsync=False) / 1000)
        await self._transact(SaveSnapshot(meta, bytes(data), first_kept, hard_state), must_sync=True)

    async def snapshot_chunks(self, index: int) -> AsyncGenerator[bytes, None]:
        image = self.disk.written
        if not index or image.snapshot.index != index:
            raise NotFound(f"the stored snapshot is at {image.snapshot.index}, not at {index}")
        data = image.snapshot_data
        for start in range(0, len(data), CHUNK_BYTES):
            await asyncio.sleep(self.disk.latency_ms(fsync=False) / 1000)
            yield data[start : start + CHUNK_BYTES]

    def bytes_on_disk(self) -> int:
        image = self.disk.written
        return len(image.snapshot_data) + sum(len(e.data) + 16 for e in image.entries)

    async def close(self) -> None:
        async with self._writer:
            pass

    async def _transact(self, transaction: Transaction, *, must_sync: bool) -> None:
        async with self._writer:
            kind = type(transaction).__name__
            await self._boundary(f"before {kind}")
            await asyncio.sleep(self.disk.latency_ms(fsync=False) / 1000)
            self.disk.commit(transaction)
            await self._boundary(f"{kind} written")
            if must_sync:
                await self._fsync(kind)

    async def _fsync(self, kind: str) -> None:
        await asyncio.sleep(self.disk.latency_ms(fsync=True) / 1000)
        self.disk.sync()
        self.disk.world.trace(self.disk.name, f"fsync {kind} {_summary(self.disk.durable)}")
        await self._boundary(f"{kind} synced")

    async def _boundary(self, point: str) -> None:
        self.at_boundary(self, point)
        if not self.process.alive:
            await self.disk.world.loop.create_future()  # never: nothing runs after death


def _summary(image: Image) -> str:
    hard = image.hard_state
    return f"t{hard.term} v{hard.vote} c{hard.commit} log {image.first}..{image.last} snap {image.snapshot.index}"
