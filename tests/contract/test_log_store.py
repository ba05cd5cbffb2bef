"""What every `LogStore` must do. The checks of `LogStoreContract` run against LMDB on a real disk here, and against
the simulator's in tests/sim; what only LMDB has is in test_log_store_lmdb.py.
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

import pytest

from orion.adapters.lmdb_log import LmdbLog
from orion.model.errors import NotFound
from orion.model.ids import NodeId, RaftId
from orion.ports.log import Identity, LogBatch, LogStore
from orion.raft.messages import ConfState, Entry, EntryKind, HardState, SnapshotMeta

MIB = 1024 * 1024


class LogBench(Protocol):
    """A place where a log can be kept."""

    def run(self, check: Callable[[], Awaitable[None]]) -> None:
        """To its end, in an event loop that fits; closes what is open after."""

    async def open(self) -> LogStore:
        """The log at this place; the one opened before is closed first."""


def checked(check: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """An async check as a test."""

    def run(self: object, bench: LogBench) -> None:
        bench.run(functools.partial(check, self, bench))

    run.__name__, run.__doc__ = check.__name__, check.__doc__
    return run


def entries(first: int, last: int, term: int = 1) -> tuple[Entry, ...]:
    return tuple(Entry(term, i, EntryKind.NORMAL, b"%d in %d" % (i, term)) for i in range(first, last + 1))


def batch(*written: Entry, hard_state: HardState | None = None, must_sync: bool = True) -> LogBatch:
    return LogBatch(hard_state, written, must_sync)


def meta(index: int, term: int = 1) -> SnapshotMeta:
    return SnapshotMeta(index, term, ConfState((1, 2, 3), (4,), (1,), (5,), auto_leave=True))


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def read_snapshot(store: LogStore, index: int) -> bytes:
    parts = [part async for part in store.snapshot_chunks(index)]
    assert all(len(part) <= MIB for part in parts)
    return b"".join(parts)


TERM_1 = HardState(1, 7, 0)


class LogStoreContract:
    """Inherit, give a fixture `bench`, and all these are run."""

    @checked
    async def test_a_new_log_is_empty(self, bench: LogBench) -> None:
        store = await bench.open()
        found = await store.load()
        assert (found.hard_state, found.snapshot, found.entries) == (HardState(), SnapshotMeta(), ())
        assert await store.identity() is None

    @checked
    async def test_an_identity_outlives_a_restart(self, bench: LogBench) -> None:
        store = await bench.open()
        first, later = (
            Identity(NodeId("n1"), RaftId(2**63 + 5)),
            Identity(NodeId("n1"), RaftId(2**63 + 5), 2**64 - 1),
        )
        await store.set_identity(first)
        assert await store.identity() == first
        await store.set_identity(later)
        assert await (await bench.open()).identity() == later

    @checked
    async def test_persisted_batches_are_loaded(self, bench: LogBench) -> None:
        store = await bench.open()
        odd = Entry(2, 4, EntryKind.CONF_CHANGE, bytes(range(256)))
        large = Entry(2**63, 5, EntryKind.NORMAL, b"x" * 3 * MIB)
        await store.persist(batch(*entries(1, 3), hard_state=TERM_1))
        await store.persist(batch(odd, large, hard_state=HardState(2**63, 2**64 - 1, 3)))
        for again in (False, True):
            found = await (await bench.open() if again else store).load()
            assert found.hard_state == HardState(2**63, 2**64 - 1, 3)
            assert found.entries == (*entries(1, 3), odd, large)

    @checked
    async def test_a_batch_without_hard_state_leaves_the_old_one(self, bench: LogBench) -> None:
        store = await bench.open()
        await store.persist(batch(hard_state=TERM_1))
        await store.persist(batch(*entries(1, 2)))
        assert (await (await bench.open()).load()).hard_state == TERM_1

    @checked
    async def test_entries_replace_all_from_their_first_index_on(self, bench: LogBench) -> None:
        store = await bench.open()
        await store.persist(batch(*entries(1, 9), hard_state=TERM_1))
        await store.persist(batch(*entries(4, 5, term=2), hard_state=HardState(2, 0, 0)))
        assert (await (await bench.open()).load()).entries == (*entries(1, 3), *entries(4, 5, term=2))

    @checked
    async def test_entries_from_the_first_on_can_be_replaced(self, bench: LogBench) -> None:
        store = await bench.open()
        await store.persist(batch(*entries(1, 9), hard_state=TERM_1))
        await store.persist(batch(*entries(1, 1, term=2), hard_state=HardState(2, 0, 0)))
        assert (await (await bench.open()).load()).entries == entries(1, 1, term=2)

    @checked
    async def test_batches_persisted_at_the_same_time_keep_their_order(self, bench: LogBench) -> None:
        store = await bench.open()
        await store.persist(batch(hard_state=HardState(1, 0, 0)))
        one_by_one = [batch(entry, hard_state=HardState(1, 0, entry.index)) for entry in entries(1, 300)]
        await asyncio.gather(*(store.persist(b) for b in one_by_one))
        found = await store.load()
        assert found.entries == entries(1, 300)
        assert found.hard_state.commit == 300

    @checked
    async def test_a_caller_that_gives_up_does_no_harm(self, bench: LogBench) -> None:
        store = await bench.open()
        given_up = asyncio.ensure_future(store.persist(batch(*entries(1, 1), hard_state=TERM_1)))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait([given_up])
        await store.persist(batch(*entries(1, 3), hard_state=TERM_1))
        assert (await store.load()).entries == entries(1, 3)

    @checked
    async def test_a_batch_that_need_not_be_synced_is_loaded(self, bench: LogBench) -> None:
        store = await bench.open()
        await store.persist(batch(*entries(1, 3), hard_state=TERM_1))
        await store.persist(batch(hard_state=HardState(1, 7, 3), must_sync=False))
        assert (await store.load()).hard_state == HardState(1, 7, 3)

    # --- snapshots ----------------------------------------------------------------------------------------

    @checked
    async def test_a_snapshot_is_kept_whole(self, bench: LogBench) -> None:
        store = await bench.open()
        await store.persist(batch(*entries(1, 9), hard_state=HardState(1, 7, 9)))
        parts = [bytes([n]) * (n * 100_000) for n in range(1, 12)]
        await store.save_snapshot(meta(6), chunks(*parts), first_kept=4, hard_state=None)
        for again in (False, True):
            opened = await bench.open() if again else store
            found = await opened.load()
            assert (found.snapshot, found.entries) == (meta(6), entries(7, 9))
            assert await read_snapshot(opened, 6) == b"".join(parts)

    @checked
    async def test_chunks_over_the_limit_are_cut(self, bench: LogBench) -> None:
        store = await bench.open()
        data = b"".join(n.to_bytes(4, "big") for n in range(MIB))
        await store.save_snapshot(meta(6), chunks(data), first_kept=7, hard_state=HardState(1, 0, 6))
        assert await read_snapshot(store, 6) == data

    @checked
    async def test_a_snapshot_may_be_empty(self, bench: LogBench) -> None:
        store = await bench.open()
        await store.save_snapshot(meta(6), chunks(), first_kept=7, hard_state=HardState(1, 0, 6))
        assert await read_snapshot(await bench.open(), 6) == b""

    @checked
    async def test_only_the_stored_snapshot_can_be_read(self, bench: LogBench) -> None:
        store = await bench.open()
        with pytest.raises(NotFound):
            await read_snapshot(store, 0)
        await store.persist(batch(*entries(1, 9), hard_state=TERM_1))
        await store.save_snapshot(meta(4), chunks(b"older"), first_kept=2, hard_state=None)
        await store.save_snapshot(meta(8), chunks(b"newer"), first_kept=5, hard_state=None)
        with pytest.raises(NotFound):
            await read_snapshot(store, 4)
        assert await read_snapshot(store, 8) == b"newer"
        assert (await store.load()).entries == entries(9, 9)

    @checked
    async def test_a_reader_overtaken_by_a_newer_snapshot_gets_its_own_bytes_or_none(self, bench: LogBench) -> None:
        store = await bench.open()
        await store.persist(batch(*entries(1, 9), hard_state=TERM_1))
        older = [bytes([n]) * MIB for n in range(5)]
        await store.save_snapshot(meta(4), chunks(*older), first_kept=2, hard_state=None)
        reader = store.snapshot_chunks(4)
        got = [await anext(reader)]
        await store.save_snapshot(meta(8), chunks(b"newer"), first_kept=5, hard_state=None)
        try:
            got += [part async for part in reader]
        except NotFound:
            assert b"".join(older).startswith(b"".join(got))
        else:
            assert b"".join(got) == b"".join(older)

    @checked
    async def test_a_snapshot_past_the_end_replaces_the_log(self, bench: LogBench) -> None:
        store = await bench.open()
        await store.persist(batch(*entries(1, 3), hard_state=TERM_1))
        await store.save_snapshot(meta(8, term=2), chunks(b"s"), first_kept=9, hard_state=HardState(2, 0, 8))
        found = await (await bench.open()).load()
        assert (found.hard_state, found.snapshot, found.entries) == (HardState(2, 0, 8), meta(8, term=2), ())

    @checked
    async def test_a_snapshot_that_the_log_does_not_agree_with_replaces_it(self, bench: LogBench) -> None:
        store = await bench.open()
        await store.persist(batch(*entries(1, 9), hard_state=TERM_1))
        await store.save_snapshot(meta(5, term=2), chunks(b"s"), first_kept=6, hard_state=HardState(2, 0, 5))
        assert (await (await bench.open()).load()).entries == ()

    @checked
    async def test_the_log_goes_on_after_a_snapshot(self, bench: LogBench) -> None:
        store = await bench.open()
        await store.save_snapshot(meta(8), chunks(b"s"), first_kept=9, hard_state=HardState(1, 0, 8))
        await store.persist(batch(*entries(9, 12)))
        await store.persist(batch(*entries(11, 13, term=2), hard_state=HardState(2, 0, 8)))
        found = await (await bench.open()).load()
        assert (found.snapshot, found.entries) == (meta(8), (*entries(9, 10), *entries(11, 13, term=2)))

    @checked
    async def test_the_commit_index_is_at_least_the_snapshots(self, bench: LogBench) -> None:
        store = await bench.open()
        await store.persist(batch(*entries(1, 9), hard_state=HardState(1, 7, 2)))
        await store.save_snapshot(meta(6), chunks(b"s"), first_kept=4, hard_state=None)
        assert (await (await bench.open()).load()).hard_state == HardState(1, 7, 6)

    @checked
    async def test_entries_are_persisted_while_a_snapshot_is_saved(self, bench: LogBench) -> None:
        store = await bench.open()
        await store.persist(batch(*entries(1, 5), hard_state=TERM_1))
        await store.save_snapshot(meta(3), chunks(b"older"), first_kept=1, hard_state=None)

        async def slowly() -> AsyncIterator[bytes]:
            for entry in entries(6, 9):
                yield b"part"
                await store.persist(batch(entry, hard_state=HardState(1, 7, 5)))
                assert await read_snapshot(store, 3) == b"older"

        await store.save_snapshot(meta(5), slowly(), first_kept=3, hard_state=None)
        found = await (await bench.open()).load()
        assert (found.snapshot, found.entries) == (meta(5), entries(6, 9))

    @checked
    async def test_a_snapshot_that_breaks_off_changes_nothing(self, bench: LogBench) -> None:
        store = await bench.open()
        await store.persist(batch(*entries(1, 9), hard_state=TERM_1))
        await store.save_snapshot(meta(3), chunks(b"older"), first_kept=1, hard_state=None)

        async def broken() -> AsyncIterator[bytes]:
            yield b"x" * MIB
            yield b"x" * MIB
            raise ConnectionError

        with pytest.raises(ConnectionError):
            await store.save_snapshot(meta(6), broken(), first_kept=3, hard_state=None)
        for again in (False, True):
            opened = await bench.open() if again else store
            found = await opened.load()
            assert (found.snapshot, found.entries) == (meta(3), entries(4, 9))
            assert await read_snapshot(opened, 3) == b"older"


class LmdbBench:
    def __init__(self, place):
        self.place = place
        self.store = None

    def run(self, check):
        async def whole():
            try:
                async with asyncio.timeout(60):
                    await check()
            finally:
                if self.store is not None:
                    await self.store.close()

        asyncio.run(whole())

    async def open(self):
        if self.store is not None:
            await self.store.close()
        self.store = await LmdbLog.open(self.place)
        return self.store


class TestLmdbLog(LogStoreContract):
    @pytest.fixture
    def bench(self, tmp_path):
        return LmdbBench(tmp_path / "data")
