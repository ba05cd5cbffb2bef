"""The log on disks that fail while it writes, and how large it gets over many entries."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

from contract.test_log_store import batch, chunks, meta
from contract.test_log_store_lmdb import DEADLINE_S, open_and_load, run
from orion.adapters.lmdb_log import LmdbLog
from orion.raft.messages import Entry, EntryKind, HardState

WRITER = """
    import asyncio, json, os, sys
    from contract.test_log_store import batch, chunks, entries, meta
    from orion.adapters.lmdb_log import LmdbLog
    from orion.ports.log import LogFailed
    from orion.raft.messages import HardState

    async def main():
        store = await LmdbLog.open(sys.argv[1])
        acknowledged = 0
        try:
            for index in range(1, 200):
                await store.persist(batch(*entries(index, index), hard_state=HardState(1, 7, index)))
                acknowledged = index
                if index % 50 == 0:
                    await store.save_snapshot(meta(index - 5), chunks(b"s" * 9_000), first_kept=1, hard_state=None)
        except LogFailed as error:
            words = str(error)
            try:
                await store.persist(batch(*entries(index, index)))
            except LogFailed as again:
                assert str(again) == words
                print(json.dumps([acknowledged, words]), flush=True)
        os._exit(3)  # as a crash: nothing is closed

    asyncio.run(main())
"""


@pytest.mark.parametrize("nth", [25, 26, 120, 161])
@pytest.mark.parametrize(
    ("calls", "error", "words"),
    [
        ("fdatasync,fsync", "EIO", "Input/output error"),
        ("pwrite64,pwritev", "EIO", "Input/output error"),
        ("pwrite64,pwritev", "ENOSPC", "No space left on device"),
    ],
)
def test_a_system_call_that_fails_ends_the_log_and_loses_nothing_acknowledged(tmp_path, calls, error, words, nth):
    place = tmp_path / "data"
    inject = f"inject={calls}:error={error}:when={nth}+"
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e", inject]
    done = subprocess.run(
        [*command, sys.executable, "-c", textwrap.dedent(WRITER), str(place)],
        check=False,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    assert done.returncode == 3, done.stderr
    acknowledged, told = json.loads(done.stdout)
    assert "data.mdb failed" in told
    assert words in told
    found = run(lambda: open_and_load(place))
    last = found.entries[-1].index if found.entries else found.snapshot.index
    assert last in (acknowledged, acknowledged + 1), "what was under way may be there or not"
    assert found.hard_state.commit == last


def test_file_and_map_stay_small_over_many_entries(tmp_path):
    """As the node writes them: a snapshot now and then, entries dropped behind it but for some."""

    async def main():
        store = await LmdbLog.open(tmp_path)
        sizes, last = [], 0
        for _ in range(30):
            for _ in range(10):
                written = tuple(Entry(1, i, EntryKind.NORMAL, bytes(200)) for i in range(last + 1, last + 101))
                last += 100
                await store.persist(batch(*written, hard_state=HardState(1, 7, last)))
            await store.save_snapshot(meta(last), chunks(bytes(300_000)), first_kept=last - 200, hard_state=None)
            sizes.append(store.bytes_on_disk())
        map_bytes = store._env.info()["map_size"]
        await store.close()
        assert max(sizes) <= max(sizes[:5]) * 1.2, sizes
        assert map_bytes == 64 * 1024 * 1024, "it never had to grow"
        assert (await open_and_load(tmp_path)).snapshot == meta(last)

    run(main)
