"""The durable log in LMDB: entries, hard state, identity and snapshots in one environment, every commit fsynced.

All of LMDB is used from one thread. So the event loop never waits for the disk, reader and writer never wait for
each other, and the map can grow when it is full (LMDB wants no open transaction then).
"""

import asyncio
import os
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import lmdb
import msgspec

from orion.adapters.lmdb_log import files
from orion.model.errors import Corrupt, NotFound, Refused
from orion.ports.log import Identity, LogBatch, LogFailed
from orion.process.durable import sync_directory
from orion.raft.interface import Persistent
from orion.raft.messages import Entry, HardState, SnapshotMeta
from orion.wire import records

T = TypeVar("T")

FIRST_MAP_BYTES = 64 * 1024 * 1024  # address space, not memory; doubles when full
MAX_CHUNK_BYTES = 1024 * 1024
STAGE_BYTES = 256 * 1024  # of a snapshot in one transaction: persist() waits for at most one of them
FULL_BELOW_BYTES = 256 * 1024  # a write that fails with less room than this means a full disk
MAX_GROUP = 256  # batches in one transaction
DELETES_PER_TRANSACTION = 2_000  # entries
CHUNK_DELETES_PER_TRANSACTION = 64

_HARD_STATE = b"hard state"
_SNAPSHOT = b"snapshot"
_KEY_BYTES = 8


class _Stored(msgspec.Struct, frozen=True, array_like=True):
    """The record of the snapshot: `chunks` of them under `generation`. Chunks of another generation were left
    behind by a crash.
    """

    meta: SnapshotMeta
    generation: int
    chunks: int


_NO_SNAPSHOT = _Stored(SnapshotMeta(), 0, 0)
_Staged = list[tuple[bytes, bytes]]  # keys and records of a snapshot's chunks


class LmdbLog:
    """Fulfils ports.LogStore. Make one with `await LmdbLog.open(data_dir)`.

    The data directory stays locked until `close` or the end of the process.
    """

    def __init__(self, data_dir: Path, lock: int, executor: ThreadPoolExecutor) -> None:
        self._data_dir = data_dir
        self._lock = lock
        self._executor = executor
        self._data_file = data_dir / "log" / "data.mdb"
        self._waiting: deque[tuple[LogBatch, asyncio.Future[None]]] = deque()
        self._writer: Future[None] | None = None
        self._failed: str | None = None
        self._closing = False
        self._stored = _NO_SNAPSHOT
        self._next_generation = 1
        self._saving = asyncio.Lock()
        self._env: lmdb.Environment
        self._meta: lmdb._Database
        self._entries: lmdb._Database
        self._chunks: lmdb._Database

    # --- life ---------------------------------------------------------------------------------------------

    @classmethod
    async def open(cls, data_dir: str | os.PathLike[str]) -> "LmdbLog":
        """Raises Conflict when another process uses the directory, Refused when it can't be written to, Corrupt
        when it holds no sound log.
        """
        path = Path(data_dir)
        executor = ThreadPoolExecutor(1, thread_name_prefix="log")
        store: LmdbLog | None = None
        try:
            lock = await asyncio.get_running_loop().run_in_executor(executor, files.lock, path)
            store = cls(path, lock, executor)
            await store._on_thread(store._open)
        except BaseException:
            if store is not None:
                os.close(store._lock)
            executor.shutdown(wait=False)
            raise
        return store

    async def close(self) -> None:
        """Writes all batches taken so far, then closes the log."""
        if self._closing:
            return
        self._closing = True
        while self._writer is not None:
            await asyncio.wait([asyncio.wrap_future(self._writer)])
        await asyncio.get_running_loop().run_in_executor(self._executor, self._env.close)
        os.close(self._lock)
        self._executor.shutdown()

    def _open(self) -> None:
        try:
            self._open_environment()
        except (lmdb.InvalidError, lmdb.VersionMismatchError, lmdb.CorruptedError) as error:
            raise self._corrupt(f"{self._data_file} is not a log of Orion's ({error})") from None
        except (lmdb.Error, OSError) as error:
            raise Refused(f"the log in {self._data_dir} can't be opened: {error}") from None

    def _open_environment(self) -> None:
        directory = self._data_file.parent
        directory.mkdir(mode=0o700, exist_ok=True)
        size = self._data_file.stat().st_size if self._data_file.exists() else 0
        if size and (damage := files.damage(directory)):
            raise self._corrupt(f"{self._data_file} is damaged: {damage}")
        self._env = lmdb.open(
            str(directory),
            map_size=max(FIRST_MAP_BYTES, _round_up(2 * size)),
            max_dbs=3,
            readahead=False,  # read from end to end once, at start; else only snapshots are read
            lock=False,  # the directory's own lock keeps others out, and this process uses one thread
            mode=0o600,
        )
        # A process killed between a commit's last write and its fsync has left it in the page cache only. What this
        # process acts on must be on disk, whatever happens to the machine's power next.
        self._env.sync(True)
        with self._env.begin(write=True) as txn:  # each by itself would be an fsync of a new log
            self._meta = self._env.open_db(files.META, txn=txn)
            self._entries = self._env.open_db(b"entries", txn=txn)
            self._chunks = self._env.open_db(b"chunks", txn=txn)
        with self._env.begin() as txn:
            record = txn.get(_SNAPSHOT, db=self._meta)
        if record is not None:
            self._stored = self._read(lambda: records.decode_record(record, _Stored, "the snapshot's record"))
        self._next_generation = self._stored.generation + 1
        while not self._drop_some_chunks(self._stored.generation):
            pass
        # At each start: the process that made the files may have been killed before their names were durable.
        sync_directory(directory)
        sync_directory(self._data_dir)

    # --- port ---------------------------------------------------------------------------------------------

    async def load(self) -> Persistent:
        return await self._on_thread(self._load)

    async def identity(self) -> Identity | None:
        return await self._on_thread(self._identity)

    async def set_identity(self, identity: Identity) -> None:
        record = records.encode_record(identity)
        await self._on_thread(lambda: self._commit(lambda txn: txn.put(files.IDENTITY, record, db=self._meta)))

    def persist(self, batch: LogBatch) -> asyncio.Future[None]:
        """Writes a batch. Batches that wait at the same time share a transaction, in their order. One that need not
        be synced is written like any other.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            self._check_open()
        except LogFailed as error:
            done.set_exception(error)
            return done
        self._waiting.append((batch, done))
        if self._writer is None:
            self._start_writer()
        return done

    async def save_snapshot(
        self,
        meta: SnapshotMeta,
        chunks: AsyncIterator[bytes],
        *,
        first_kept: int,
        hard_state: HardState | None,
        identity: Identity | None = None,
    ) -> None:
        """Stores a snapshot. The log past meta.index is kept only if it agrees with the snapshot: its entry at
        meta.index has meta.term. Otherwise all of it is dropped. With `identity` the node is another one from then
        on.
        """
        assert first_kept <= meta.index + 1
        async with self._saving:
            if meta.index < self._stored.meta.index:
                return  # a newer one came first
            generation, self._next_generation = self._next_generation, self._next_generation + 1
            count, last = await self._stage_most(meta, generation, chunks)
            await self._on_thread(self._switch, _Stored(meta, generation, count), last, hard_state, identity)
            while not await self._on_thread(self._drop_entries, first_kept):
                pass
            while not await self._on_thread(self._drop_some_chunks, generation):
                pass

    async def _stage_most(
        self, meta: SnapshotMeta, generation: int, chunks: AsyncIterator[bytes]
    ) -> tuple[int, _Staged]:
        """Writes the chunks in transactions of about STAGE_BYTES. Returns the number of all, and the last of them,
        which are not written yet.
        """
        number = 0
        staged: _Staged = []
        staged_bytes = 0
        async for data in chunks:
            for start in range(0, len(data), MAX_CHUNK_BYTES):
                chunk = data[start : start + MAX_CHUNK_BYTES]
                record = records.encode_chunk(meta.term, meta.index, number, chunk)
                staged.append((_chunk_key(generation, number), record))
                staged_bytes += len(record)
                number += 1
            if staged_bytes >= STAGE_BYTES:
                await self._on_thread(self._stage, staged)
                staged, staged_bytes = [], 0
        return number, staged

    async def snapshot_chunks(self, index: int) -> AsyncGenerator[bytes, None]:
        """Yields the snapshot's chunks. Each is read by itself: a slow reader with an open transaction would keep
        LMDB from using freed pages again.
        """
        stored = self._stored
        if index != stored.meta.index or index == 0:
            raise NotFound(f"there is no snapshot at index {index} any more")
        for number in range(stored.chunks):
            yield await self._on_thread(self._read_chunk, stored, number)

    def bytes_on_disk(self) -> int:
        return self._data_file.stat().st_size

    # --- reading, on the thread ---------------------------------------------------------------------------

    def _load(self) -> Persistent:
        with self._env.begin() as txn:
            hard = txn.get(_HARD_STATE, db=self._meta)
            cursor = txn.cursor(db=self._entries)
            # The entries before were kept for followers that lagged at the time; a restart drops them.
            follows = cursor.set_range(_entry_key(self._stored.meta.index + 1))
            raw = list(cursor.iternext()) if follows else []
        return self._read(lambda: self._checked(hard, raw))

    def _checked(self, hard: bytes | None, raw: list[tuple[bytes, bytes]]) -> Persistent:
        snapshot = self._stored.meta
        state = HardState() if hard is None else records.decode_record(hard, HardState, "the vote record")
        last, term = snapshot.index, snapshot.term
        entries: list[Entry] = []
        for key, record in raw:
            index = int.from_bytes(key, "big")
            if index != last + 1:
                raise Corrupt(f"log entry {last + 1} is missing")
            entry = records.decode_entry(record, index)
            if entry.term < term:
                raise Corrupt(f"log entry {index} is damaged: its term is older than the one before it")
            entries.append(entry)
            last, term = index, entry.term
        if state.commit > last:
            raise Corrupt(f"log entry {last + 1} is missing: {state.commit} were committed")
        if state.term < term:
            raise Corrupt(f"the vote record is missing or old: term {state.term}, but the log is at term {term}")
        # A commit index alone is written with the next entries, so it may lag behind the snapshot.
        state = msgspec.structs.replace(state, commit=max(state.commit, snapshot.index))
        return Persistent(state, snapshot, tuple(entries))

    def _identity(self) -> Identity | None:
        with self._env.begin() as txn:
            record = txn.get(files.IDENTITY, db=self._meta)
        if record is None:
            return None
        return self._read(lambda: records.decode_record(record, Identity, "the node's identity"))

    def _read_chunk(self, stored: _Stored, number: int) -> bytes:
        if stored is not self._stored:
            raise NotFound(f"the snapshot at index {stored.meta.index} was replaced by a newer one")
        with self._env.begin() as txn:
            record = txn.get(_chunk_key(stored.generation, number), db=self._chunks)
        meta = stored.meta
        if record is None:
            raise self._corrupt(f"chunk {number} of the snapshot at index {meta.index} is missing")
        return self._read(lambda: records.decode_chunk(record, meta.term, meta.index, number))

    def _read(self, decode: Callable[[], T]) -> T:
        try:
            return decode()
        except Corrupt as error:
            raise self._corrupt(error.detail) from None

    def _corrupt(self, what: str) -> Corrupt:
        return Corrupt(
            f"{what}. This node can't go on with what is in {self._data_dir}: move that directory away and start "
            f"the node again with --join; it gets the log back from the others as a new member of the cluster"
        )

    # --- writing, on the thread ---------------------------------------------------------------------------

    def _commit(self, write: Callable[["lmdb.Transaction[bytes]"], object]) -> None:
        """Writes in one transaction, and again with a map twice as large when it is full. After any other error
        nothing is written any more.
        """
        self._check()
        try:
            while True:
                try:
                    with self._env.begin(write=True) as txn:
                        write(txn)
                except lmdb.MapFullError:
                    self._env.set_mapsize(2 * self._env.info()["map_size"])
                else:
                    return
        except (lmdb.Error, OSError) as error:
            self._failed = f"writing {self._data_file} failed: {error}{_whether_full(self._data_file)}"
            raise LogFailed(self._failed) from error

    def _write_batches(self, batches: list[LogBatch]) -> None:
        def write(txn: "lmdb.Transaction[bytes]") -> None:
            for batch in batches:
                if batch.entries:
                    self._append(txn, batch.entries)
                if batch.hard_state is not None:
                    txn.put(_HARD_STATE, records.encode_record(batch.hard_state), db=self._meta)

        self._commit(write)

    def _append(self, txn: "lmdb.Transaction[bytes]", entries: tuple[Entry, ...]) -> None:
        cursor = txn.cursor(db=self._entries)
        if cursor.set_range(_entry_key(entries[0].index)):
            while cursor.delete():
                pass
        for entry in entries:
            # `append` fills pages to the brim instead of splitting them in halves.
            written = cursor.put(_entry_key(entry.index), records.encode_entry(entry), append=True)
            assert written, f"entry {entry.index} is not past the end of the log"

    def _stage(self, staged: _Staged) -> None:
        self._commit(lambda txn: self._put_chunks(txn, staged))

    def _put_chunks(self, txn: "lmdb.Transaction[bytes]", staged: _Staged) -> None:
        for key, record in staged:
            txn.put(key, record, db=self._chunks)

    def _switch(
        self, stored: _Stored, last: _Staged, hard_state: HardState | None, identity: Identity | None
    ) -> None:
        def write(txn: "lmdb.Transaction[bytes]") -> None:
            meta = stored.meta
            self._put_chunks(txn, last)
            if not self._agrees(txn, meta):
                txn.drop(self._entries, delete=False)
            txn.put(_SNAPSHOT, records.encode_record(stored), db=self._meta)
            if hard_state is not None:
                txn.put(_HARD_STATE, records.encode_record(hard_state), db=self._meta)
            if identity is not None:
                txn.put(files.IDENTITY, records.encode_record(identity), db=self._meta)

        self._commit(write)
        self._stored = stored

    def _agrees(self, txn: "lmdb.Transaction[bytes]", meta: SnapshotMeta) -> bool:
        record = txn.get(_entry_key(meta.index), db=self._entries)
        if record is None:
            return meta == self._stored.meta
        return self._read(lambda: records.decode_entry(record, meta.index)).term == meta.term

    def _drop_entries(self, first_kept: int) -> bool:
        """Deletes some of the entries before `first_kept`. Returns True when none are left."""
        done = False

        def write(txn: "lmdb.Transaction[bytes]") -> None:
            nonlocal done
            cursor = txn.cursor(db=self._entries)
            done = not cursor.first()
            for _ in range(DELETES_PER_TRANSACTION):
                done = done or int.from_bytes(cursor.key(), "big") >= first_kept
                if done:
                    return
                done = not cursor.delete()

        self._commit(write)
        return done

    def _drop_some_chunks(self, generation: int) -> bool:
        """Deletes some chunks of other generations. Returns True when none are left."""
        done = False

        def write(txn: "lmdb.Transaction[bytes]") -> None:
            nonlocal done
            cursor = txn.cursor(db=self._chunks)
            for _ in range(CHUNK_DELETES_PER_TRANSACTION):
                done = not cursor.first() or (
                    _generation(cursor.key()) == generation and not cursor.set_range(_chunk_key(generation + 1, 0))
                )
                if done:
                    return
                cursor.delete()

        self._commit(write)
        return done

    # --- between the loop and the thread ------------------------------------------------------------------

    def _check(self) -> None:
        if self._failed is not None:
            raise LogFailed(self._failed)

    def _check_open(self) -> None:
        self._check()
        if self._closing:
            raise LogFailed("the log is closed")

    async def _on_thread(self, work: Callable[..., T], *arguments: object) -> T:
        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)

    def _start_writer(self) -> None:
        group = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_GROUP))]
        loop = asyncio.get_running_loop()
        # Not run_in_executor: every write waits for the turns of the loop that its wrapping takes.
        self._writer = self._executor.submit(self._write_batches, [batch for batch, _ in group])
        self._writer.add_done_callback(lambda written: loop.call_soon_threadsafe(self._written, group, written))

    def _written(self, group: list[tuple[LogBatch, asyncio.Future[None]]], written: Future[None]) -> None:
        self._writer = None
        error = written.exception()
        for _, done in group:
            if done.done():
                continue  # its caller was cancelled; the batch is written all the same
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)
        if self._waiting:
            self._start_writer()


def _entry_key(index: int) -> bytes:
    return index.to_bytes(_KEY_BYTES, "big")


def _chunk_key(generation: int, number: int) -> bytes:
    return generation.to_bytes(_KEY_BYTES, "big") + number.to_bytes(_KEY_BYTES, "big")


def _generation(key: bytes) -> int:
    return int.from_bytes(key[:_KEY_BYTES], "big")


def _round_up(size: int) -> int:
    return -(-size // FIRST_MAP_BYTES) * FIRST_MAP_BYTES


def _whether_full(file: Path) -> str:
    """Returns words for a full disk, else "". LMDB calls a full disk an input/output error now and then."""
    try:
        found = os.statvfs(file)
    except OSError:
        return ""
    full = found.f_bavail * found.f_frsize < FULL_BELOW_BYTES
    return f". Its disk is full: make room in {file.parent.parent}, and start the node again" if full else ""
