"""The LogStore port over a simulated disk, as adapters/lmdb_log fulfils it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable

from orion.model.errors import NotFound, Refused
from orion.ports.log import Identity, LogBatch, LogFailed
from orion.raft.interface import Persistent
from orion.raft.messages import HardState, SnapshotMeta
from sim.disk import Disk, DiskError
from sim.image import CHUNK_BYTES, Image, SaveSnapshot, SetIdentity, Transaction, Write
from sim.loop import Process


class SimLog:
    """The port of one process. `at_boundary` is asked at each point where a process may die; when it has killed
    this one, nothing more happens here. `on_failed` is told when the disk has failed under it.
    """

    def __init__(self, disk: Disk, process: Process) -> None:
        self.disk = disk
        self.process = process
        self.at_boundary: Callable[[SimLog, str], None] = lambda *_: None
        self.on_failed: Callable[[SimLog], None] = lambda _: None
        self.writing: Transaction | None = None  # the last one that was begun
        self._failed = ""
        self._writer = asyncio.Lock()

    async def load(self) -> Persistent:
        # What a killed process left in the page cache is seen: it must be durable before anybody acts on it.
        try:
            await self._fsync("load")
        except DiskError as error:
            raise Refused(f"the log of {self.disk.name} can't be opened: {error}") from None
        return self.disk.written.load()

    async def identity(self) -> Identity | None:
        return self.disk.written.read_identity()

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
            self._check()
            await self._boundary("SaveSnapshot staging")
            await asyncio.sleep(self.disk.latency_ms(fsync=False) / 1000)
        if meta.index >= self.disk.written.snapshot.index:  # else a newer one came first
            await self._transact(SaveSnapshot(meta, bytes(data), first_kept, hard_state), must_sync=True)

    async def snapshot_chunks(self, index: int) -> AsyncGenerator[bytes, None]:
        image = self.disk.written
        if not index or image.snapshot.index != index:
            raise NotFound(f"the stored snapshot is at {image.snapshot.index}, not at {index}")
        count = -(-len(image.snapshot_data) // CHUNK_BYTES)
        chunks = [image.snapshot_data[n * CHUNK_BYTES : (n + 1) * CHUNK_BYTES] for n in range(count)]
        for number, chunk in enumerate(chunks):
            await asyncio.sleep(self.disk.latency_ms(fsync=False) / 1000)
            if self.disk.written.snapshot.index == index:
                self.disk.written.read_chunk(number)
            yield chunk

    def bytes_on_disk(self) -> int:
        image = self.disk.written
        return len(image.snapshot_data) + sum(len(e.data) + 16 for e in image.entries)

    async def close(self) -> None:
        async with self._writer:
            pass

    def _check(self) -> None:
        if self._failed:
            raise LogFailed(self._failed)

    async def _transact(self, transaction: Transaction, *, must_sync: bool) -> None:
        async with self._writer:
            self._check()
            kind, self.writing = type(transaction).__name__, transaction
            await self._boundary(f"before {kind}")
            await asyncio.sleep(self.disk.latency_ms(fsync=False) / 1000)
            try:
                self.disk.commit(transaction)
                await self._boundary(f"{kind} written")
                if must_sync:
                    await self._fsync(kind)
            except DiskError as error:
                self._fail(error)

    def _fail(self, error: DiskError) -> None:
        """For good: after a failed fsync nobody knows what is on disk."""
        self._failed = f"writing the log of {self.disk.name} failed: {error}"
        self.disk.world.trace(self.disk.name, self._failed)
        self.on_failed(self)
        raise LogFailed(self._failed) from error

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
