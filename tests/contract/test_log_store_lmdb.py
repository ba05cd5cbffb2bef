"""What only the log in LMDB has: a lock, checksums, a file that can be damaged, and a disk that can fail."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap

import lmdb
import pytest

from contract.test_log_store import MIB, TERM_1, batch, chunks, entries, meta, read_snapshot
from orion.adapters.lmdb_log import FIRST_MAP_BYTES, LmdbLog
from orion.model.errors import Conflict, Corrupt, Refused
from orion.model.ids import NodeId, RaftId
from orion.ports.log import Identity, LogFailed
from orion.raft.messages import Entry, EntryKind, HardState

DEADLINE_S = 300


def run(check):
    async def whole():
        async with asyncio.timeout(DEADLINE_S):
            return await check()

    return asyncio.run(whole())


def process(place, body):
    """Another process with `store` open on `place`; what it prints is JSON lines."""
    script = textwrap.dedent("""
        import asyncio, json, sys
        from contract.test_log_store import batch, chunks, entries, meta
        from orion.adapters.lmdb_log import LmdbLog
        from orion.ports.log import LogFailed
        from orion.raft.messages import HardState

        def say(value):
            print(json.dumps(value), flush=True)

        async def main():
            store = await LmdbLog.open(sys.argv[1])
    """)
    script += textwrap.indent(textwrap.dedent(body), "    ") + "\nasyncio.run(main())\n"
    return subprocess.Popen(
        [sys.executable, "-c", script, str(place)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )


async def fill(place, count=20, *, snapshot=False):
    store = await LmdbLog.open(place)
    await store.persist(batch(*entries(1, count), hard_state=HardState(1, 7, count)))
    if snapshot:
        parts = [bytes([n]) * MIB for n in range(3)]
        await store.save_snapshot(meta(count // 2), chunks(*parts), first_kept=count // 4, hard_state=None)
    await store.close()


async def open_and_load(place):
    store = await LmdbLog.open(place)
    try:
        return await store.load()
    finally:
        await store.close()


def tamper(place, table, change):
    """Change records in the file behind the store's back. `change` gets a cursor."""
    with lmdb.open(str(place / "log"), max_dbs=3, lock=False, map_size=FIRST_MAP_BYTES) as env:
        db = env.open_db(table)
        with env.begin(write=True, db=db) as txn:
            change(txn.cursor())


def key(index):
    return index.to_bytes(8, "big")


# --- one process a directory -------------------------------------------------------------------------------


def test_a_second_process_is_refused_and_told_which_one_is_there(tmp_path):
    holder = process(tmp_path, "say(1)\nawait asyncio.sleep(600)")
    try:
        assert holder.stdout.readline()
        with pytest.raises(Conflict) as refused:
            run(lambda: LmdbLog.open(tmp_path))
        assert str(tmp_path) in refused.value.detail
        assert str(holder.pid) in refused.value.detail
    finally:
        holder.kill()
        holder.communicate()

    async def after_it_ended():
        await (await LmdbLog.open(tmp_path)).close()

    run(after_it_ended)


def test_the_lock_holds_within_a_process_too(tmp_path):
    async def main():
        store = await LmdbLog.open(tmp_path)
        with pytest.raises(Conflict):
            await LmdbLog.open(tmp_path)
        await store.persist(batch(*entries(1, 1), hard_state=TERM_1))
        await store.close()
        await store.close()

    run(main)


def test_a_directory_that_cannot_be_used_is_refused_in_words(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused, match="can't be used"):
        run(lambda: LmdbLog.open(tmp_path / "file"))


def test_nothing_is_taken_after_close(tmp_path):
    async def main():
        store = await LmdbLog.open(tmp_path)
        waiting = [asyncio.ensure_future(store.persist(batch(e, hard_state=TERM_1))) for e in entries(1, 5)]
        await asyncio.sleep(0)
        await store.close()
        await asyncio.gather(*waiting)  # asked for before: written
        with pytest.raises(LogFailed):
            await store.persist(batch(*entries(6, 6)))
        with pytest.raises(LogFailed):
            await store.load()
        store = await LmdbLog.open(tmp_path)
        assert (await store.load()).entries == entries(1, 5)
        await store.close()

    run(main)


# --- killed, at any moment ---------------------------------------------------------------------------------


@pytest.mark.parametrize("round_", range(4))
def test_acknowledged_batches_outlive_a_kill(tmp_path, round_):
    writer = process(
        tmp_path,
        """
        for index in range(1, 100_000):
            await store.persist(batch(*entries(index, index), hard_state=HardState(1, 7, index)))
            if index % 10 == 0:
                await store.save_snapshot(meta(index - 5), chunks(b"s" * 300_000), first_kept=1, hard_state=None)
            say(index)
        """,
    )
    acknowledged = 0
    while acknowledged < 25 + 7 * round_:
        acknowledged = json.loads(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    rest, _ = writer.communicate()
    acknowledged = max([acknowledged, *map(json.loads, rest.split())])

    async def main():
        store = await LmdbLog.open(tmp_path)
        found = await store.load()
        assert found.snapshot.index % 10 == 5
        assert len(await read_snapshot(store, found.snapshot.index)) == 300_000
        last = found.entries[-1].index
        assert last in (acknowledged, acknowledged + 1)
        assert found.entries == entries(found.snapshot.index + 1, last)
        assert found.hard_state.commit == last
        await store.close()

    run(main)


def test_chunks_that_a_crash_left_behind_are_cleared(tmp_path):
    async def main():
        await fill(tmp_path, snapshot=True)
        (kept,) = {k[:8] for k in keys(tmp_path)}

        def leave_behind(cursor):
            cursor.put(b"\x00" * 8 + key(0), b"older")
            for number in range(200):
                cursor.put(b"\x7f" * 8 + key(number), b"unfinished")

        tamper(tmp_path, b"chunks", leave_behind)
        await (await LmdbLog.open(tmp_path)).close()
        assert {k[:8] for k in keys(tmp_path)} == {kept}

    def keys(place):
        found = []
        tamper(place, b"chunks", lambda cursor: found.extend(cursor.iternext(values=False)))
        return found

    run(main)


# --- damage ------------------------------------------------------------------------------------------------


def flip(cursor):
    record = bytearray(cursor.value())
    record[-1] ^= 1
    cursor.put(cursor.key(), bytes(record))


def flip_entry(cursor):
    assert cursor.set_key(key(13))
    flip(cursor)


def remove_entry(cursor):
    assert cursor.set_key(key(13))
    cursor.delete()


def remove_last_entry(cursor):
    assert cursor.last()
    cursor.delete()


def swap_entries(cursor):
    twelfth = cursor.get(key(12))
    cursor.put(key(13), twelfth)


def cut_entry_short(cursor):
    cursor.put(key(13), cursor.get(key(13))[:3])


def empty_entry(cursor):
    cursor.put(key(13), b"")


@pytest.mark.parametrize(
    ("table", "change", "named"),
    [
        (b"entries", flip_entry, "log entry 13 is damaged"),
        (b"entries", remove_entry, "log entry 13 is missing"),
        (b"entries", remove_last_entry, "log entry 20 is missing"),
        (b"entries", swap_entries, "log entry 13 is damaged"),
        (b"entries", cut_entry_short, "log entry 13 is damaged"),
        (b"entries", empty_entry, "log entry 13 is damaged"),
        (b"meta", lambda c: c.set_key(b"hard state") and c.delete(), "the vote record is missing"),
        (b"meta", lambda c: c.set_key(b"hard state") and flip(c), "the vote record is damaged"),
        (b"meta", lambda c: c.set_key(b"snapshot") and flip(c), "the snapshot's record is damaged"),
    ],
)
def test_damage_is_found_and_named(tmp_path, table, change, named):
    async def main():
        await fill(tmp_path, snapshot=True)
        tamper(tmp_path, table, change)
        with pytest.raises(Corrupt) as found:
            await open_and_load(tmp_path)
        assert found.value.detail.startswith(named)
        assert "--join" in found.value.detail
        assert str(tmp_path) in found.value.detail

    run(main)


def test_damage_before_the_snapshot_does_not_matter(tmp_path):
    async def main():
        await fill(tmp_path, snapshot=True)
        tamper(tmp_path, b"entries", lambda c: c.set_key(key(7)) and flip(c))
        store = await LmdbLog.open(tmp_path)
        assert (await store.load()).entries == entries(11, 20)
        await store.close()

    run(main)


def test_a_damaged_chunk_is_found_when_it_is_read(tmp_path):
    def flip_second(cursor):
        assert cursor.first()
        assert cursor.next()
        flip(cursor)

    async def main():
        await fill(tmp_path, snapshot=True)
        tamper(tmp_path, b"chunks", flip_second)
        store = await LmdbLog.open(tmp_path)
        with pytest.raises(Corrupt, match="chunk 1 of the snapshot at index 10"):
            await read_snapshot(store, 10)
        await store.close()

    run(main)


@pytest.mark.parametrize("size", [100, 4_096, 8_192, 20_000, 1_000_000])
def test_a_file_cut_short_is_said_to_be_damaged(tmp_path, size):
    async def main():
        await fill(tmp_path, snapshot=True)
        os.truncate(tmp_path / "log" / "data.mdb", size)
        with pytest.raises(Corrupt, match=r"data\.mdb"):
            await LmdbLog.open(tmp_path)

    run(main)


@pytest.mark.parametrize("content", [b"\x00" * 50_000, b"not a log at all", os.urandom(100_000)])
def test_a_file_that_is_no_log_is_said_to_be_none(tmp_path, content):
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "data.mdb").write_bytes(content)
    with pytest.raises(Corrupt, match=r"data\.mdb is not a log of Orion's"):
        run(lambda: LmdbLog.open(tmp_path))


def test_a_flipped_bit_anywhere_is_found_or_does_no_harm(tmp_path):
    """Each in a process of its own: a bad page must not even end it."""
    asyncio.run(fill(tmp_path))
    file = tmp_path / "log" / "data.mdb"
    whole = file.read_bytes()
    # The heads of all pages and some of what follows: page numbers, flags, offsets, then nodes and records.
    offsets = [page + at for page in range(0, len(whole), 4_096) for at in (2, 10, 12, 14, 17, 300, 4_000)]
    body = f"""
        await store.close()
        from orion.model.errors import Corrupt
        whole, file = {str(file)!r}, None
        whole = open({str(file)!r}, "rb").read()
        for offset in {offsets!r}:
            damaged = bytearray(whole)
            damaged[offset] ^= 0x10
            open({str(file)!r}, "wb").write(damaged)
            say(offset)
            try:
                store = await LmdbLog.open(sys.argv[1])
            except Corrupt:
                continue
            try:
                loaded = await store.load()
                assert loaded.entries == entries(1, 20), offset
            except Corrupt:
                pass
            await store.close()
        say("done")
    """
    checker = process(tmp_path, body)
    said, _ = checker.communicate(timeout=DEADLINE_S)
    assert said.split()[-1] == '"done"', f"ended at offset {said.split()[-1]} with {checker.returncode}"


# --- growth ------------------------------------------------------------------------------------------------


def test_the_map_grows_by_itself(tmp_path):
    async def main():
        store = await LmdbLog.open(tmp_path)
        large = [Entry(1, i, EntryKind.NORMAL, bytes([i]) * MIB) for i in range(1, FIRST_MAP_BYTES // MIB + 10)]
        for start in range(0, len(large), 8):
            await store.persist(batch(*large[start : start + 8], hard_state=TERM_1))
        assert (await store.load()).entries == tuple(large)
        await store.close()
        store = await LmdbLog.open(tmp_path)
        assert (await store.load()).entries == tuple(large)
        await store.close()

    run(main)


def test_space_is_used_again(tmp_path):
    async def main():
        store = await LmdbLog.open(tmp_path)
        sizes, last = [], 0
        for _ in range(12):
            written = tuple(Entry(1, i, EntryKind.NORMAL, b"x" * 2_000) for i in range(last + 1, last + 501))
            last += 500
            await store.persist(batch(*written, hard_state=HardState(1, 7, last)))
            reader = store.snapshot_chunks(last - 600)  # a follower that fetches slowly and gives up
            if last > 1_000:
                await anext(reader)
            await store.save_snapshot(
                meta(last - 100), chunks(*[b"x" * MIB] * 4), first_kept=last - 200, hard_state=None
            )
            await reader.aclose()
            sizes.append(store.bytes_on_disk())
        assert sizes[-1] <= sizes[3] * 1.2, sizes
        await store.close()

    run(main)


def test_a_snapshot_older_than_the_stored_one_is_ignored(tmp_path):
    async def main():
        store = await LmdbLog.open(tmp_path)
        await store.persist(batch(*entries(1, 20), hard_state=TERM_1))
        await store.save_snapshot(meta(15), chunks(b"newer"), first_kept=10, hard_state=None)
        await store.save_snapshot(meta(12), chunks(b"older"), first_kept=5, hard_state=None)
        found = await store.load()
        assert (found.snapshot, found.entries) == (meta(15), entries(16, 20))
        assert await read_snapshot(store, 15) == b"newer"
        await store.close()

    run(main)


def test_two_snapshots_at_once_do_not_mix(tmp_path):
    async def main():
        store = await LmdbLog.open(tmp_path)
        await store.persist(batch(*entries(1, 20), hard_state=TERM_1))
        await asyncio.gather(
            store.save_snapshot(meta(10), chunks(*[b"a" * MIB] * 3), first_kept=5, hard_state=None),
            store.save_snapshot(meta(12), chunks(*[b"b" * MIB] * 2), first_kept=6, hard_state=None),
        )
        assert await read_snapshot(store, 12) == b"b" * 2 * MIB
        await store.close()

    run(main)


def test_node_and_log_become_others_in_one_transaction(tmp_path, monkeypatch):
    """As a recovery does it: broken off before, nothing has happened."""
    before, after = Identity(NodeId("a"), RaftId(7), 5), Identity(NodeId("a"), RaftId(7), 5, 1)
    commits = []

    async def main():
        store = await LmdbLog.open(tmp_path)
        await store.set_identity(before)
        await store.persist(batch(*entries(1, 20), hard_state=TERM_1))
        commit = store._commit

        def last_words(write):
            commits.append((store._identity(), store._stored.meta.index))
            commit(write)

        monkeypatch.setattr(store, "_commit", last_words)
        more = HardState(9, 0, 40)
        whole = chunks(*[b"a" * MIB] * 20)
        await store.save_snapshot(meta(40), whole, first_kept=41, hard_state=more, identity=after)
        assert (await store.identity(), (await store.load()).snapshot) == (after, meta(40))
        await store.close()

    run(main)
    assert len(commits) > 3
    assert all(identity == (after if index == 40 else before) for identity, index in commits)


# --- a disk that fails -------------------------------------------------------------------------------------


def test_a_failed_write_is_the_last(tmp_path):
    """The file may not grow past a limit, so that writes fail as on a full disk."""

    writer = process(
        tmp_path,
        f"""
        import msgspec, resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 * {MIB}, 2 * {MIB}))
        index = 0
        try:
            while True:
                index += 1
                written = [msgspec.structs.replace(e, data=b"x" * 50_000) for e in entries(index, index)]
                await store.persist(batch(*written, hard_state=HardState(1, 7, index)))
        except LogFailed as error:
            say([index - 1, str(error)])
        for again in (
            store.persist(batch(*entries(1, 1))),
            store.load(),
            store.identity(),
            store.save_snapshot(meta(1), chunks(b""), first_kept=1, hard_state=None),
        ):
            try:
                await again
            except LogFailed:
                say("refused")
        await store.close()
        """,
    )
    first, *others = writer.communicate(timeout=DEADLINE_S)[0].splitlines()
    written, words = json.loads(first)
    assert "data.mdb failed" in words
    assert others == ['"refused"'] * 4

    async def main():
        store = await LmdbLog.open(tmp_path)
        assert len((await store.load()).entries) == written
        await store.close()

    run(main)


def test_a_log_that_cannot_be_opened_is_refused_in_words(tmp_path):
    (tmp_path / "log").write_text("a file where the directory should be")
    with pytest.raises(Refused, match="can't be opened"):
        run(lambda: LmdbLog.open(tmp_path))


# --- nobody else's -----------------------------------------------------------------------------------------


def opened(place):
    async def check():
        store = await LmdbLog.open(place)
        await store.close()

    run(check)


def test_a_data_directory_that_others_can_read_is_made_private(tmp_path, caplog):
    caplog.set_level("INFO")
    place = tmp_path / "data"
    opened(place)
    assert place.stat().st_mode & 0o777 == 0o700
    assert not caplog.records
    place.chmod(0o755)
    opened(place)
    assert place.stat().st_mode & 0o777 == 0o700
    assert "was open to others (mode 755); it is private now" in caplog.text
    empty = tmp_path / "empty"
    empty.mkdir(mode=0o755)
    opened(empty)
    assert empty.stat().st_mode & 0o777 == 0o700


def test_a_directory_of_others_is_left_as_it_is(tmp_path):
    place = tmp_path / "shared"
    place.mkdir(mode=0o755)
    (place / "something").write_text("mine")
    with pytest.raises(Refused, match=r"is open to others \(mode 755\) and holds other things"):
        opened(place)
    assert place.stat().st_mode & 0o777 == 0o755
    assert [each.name for each in place.iterdir()] == ["something"]


def test_a_directory_that_can_t_be_made_private_is_refused(tmp_path, monkeypatch):
    place = tmp_path / "data"
    opened(place)
    place.chmod(0o750)
    monkeypatch.setattr("pathlib.Path.chmod", lambda *_: None)
    with pytest.raises(Refused, match=r"mode 750\) and can't be made private"):
        opened(place)
