"""What is acknowledged is on disk, not only in the page cache: shown by the system calls of a process, since a kill
leaves the cache as it is and only a loss of power would tell the two apart.

The trace is replayed: what is written but not yet synced is kept account of, and must be nothing wherever the
writer says that the log has answered.
"""

import asyncio
import os
import re
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from contract.test_log_store import TERM_1, batch, entries
from contract.test_log_store_lmdb import DEADLINE_S, fill, run
from orion.adapters.lmdb_log import LmdbLog

META_BYTES = 2 * 4_096  # LMDB's two meta pages, of which one says what the last commit is
WRITER = """
    import asyncio, os, sys
    from contract.test_log_store import batch, chunks, entries, meta
    from orion.adapters.lmdb_log import LmdbLog
    from orion.model.ids import NodeId, RaftId
    from orion.ports.log import Identity
    from orion.raft.messages import HardState

    def say(what):
        os.write(1, what.encode() + b"\\n")

    async def main():
        store = await LmdbLog.open(sys.argv[1])
        last = len((await store.load()).entries)
        say("loaded")
        await store.set_identity(Identity(NodeId("n1"), RaftId(7)))
        say("identity")
        for index in range(last + 1, last + 9):
            await store.persist(batch(*entries(index, index), hard_state=HardState(1, 7, index)))
            say("persisted")
        await store.save_snapshot(meta(last + 5), chunks(b"s" * 600_000), first_kept=1, hard_state=None)
        say("saved")
        os._exit(0)  # before anything is closed, which would sync it

    asyncio.run(main())
"""
ANSWERS = ["loaded", "identity", *["persisted"] * 8, "saved"]

_LINE = re.compile(r"(?P<thread>\d+) +(?P<call>\w+)\((?P<rest>.*)\) += (?P<result>-?\d+)")
_DESCRIPTOR = re.compile(r"(?P<number>\d+)<(?P<path>[^>]*)>")


class Disk:
    """What of the log would survive a loss of power, as far as the system calls say."""

    def __init__(self, place, *, before):
        """`before`: there is a log already, which a killed process may have left in the page cache only."""
        self.log, self.data = place / "log", place / "log" / "data.mdb"
        self.place, self.before = place, before
        self.unsynced = {self.data, self.log, self.place} if before else set()
        self.synchronous = set()  # descriptors of the file whose writes are on disk when they return
        self.writers = set()  # threads
        self.answers = []
        self.speakers = set()
        self.meta_writes = 0

    def replay(self, calls):
        for thread, call, rest, result in calls:
            if call == "mkdir":
                made = Path(rest.split('"')[1])
                if result == 0 and self.log.is_relative_to(made):
                    self.unsynced.add(made.parent)  # the directory's name is in it
            elif call == "openat":
                self._opened(rest, result)
            elif (found := _DESCRIPTOR.match(rest)) is not None:
                self._used(thread, call, rest, int(found["number"]), found["path"])

    def _opened(self, rest, descriptor):
        self.synchronous.discard(descriptor)
        if f'"{self.data}"' not in rest:
            return
        if "O_DSYNC" in rest or "O_SYNC" in rest:
            self.synchronous.add(descriptor)
        if "O_CREAT" in rest and not self.before:
            self.unsynced.add(self.log)  # the file's name is in it

    def _used(self, thread, call, rest, descriptor, path):
        if call in ("fsync", "fdatasync"):
            self.unsynced -= {p for p in self.unsynced if str(p) == path}
            if path == str(self.data):
                self.writers.add(thread)
        elif path == str(self.data):
            self._written(thread, call, rest, descriptor)
        elif descriptor == 1:
            self.answers.append((rest.split('"')[1].removesuffix("\\n"), frozenset(self.unsynced)))
            self.speakers.add(thread)

    def _written(self, thread, call, rest, descriptor):
        self.writers.add(thread)
        if call == "pwrite64" and int(rest.rsplit(", ", 1)[1]) < META_BYTES and self.answers:
            assert self.data not in self.unsynced, "the meta page was written before the pages it points to"
            self.meta_writes += 1
        if descriptor not in self.synchronous:
            self.unsynced.add(self.data)


def traced(place, trace):
    """The system calls of a writer on `place`, in the order in which they returned."""
    calls = "openat,mkdir,fsync,fdatasync,pwrite64,pwritev,writev,write"
    command = ["strace", "-f", "-qq", "-y", "-o", str(trace), "-e", f"trace={calls}", "-e", "signal=none"]
    subprocess.run(
        [*command, sys.executable, "-c", textwrap.dedent(WRITER), str(place)],
        check=True,
        capture_output=True,
        timeout=DEADLINE_S,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    begun = {}
    for line in trace.read_text().splitlines():
        whole = line
        thread = line.split(maxsplit=1)[0]
        if line.endswith(" <unfinished ...>"):
            begun[thread] = line.removesuffix(" <unfinished ...>")
            continue
        if " resumed>" in line:
            whole = begun.pop(thread) + line.split(" resumed>", 1)[1]
        if found := _LINE.match(whole):
            yield found["thread"], found["call"], found["rest"], int(found["result"])


@pytest.fixture(params=["a new log", "a log that is there"])
def disk(request, tmp_path):
    place, before = tmp_path / "var" / "orion" / "data", request.param == "a log that is there"
    if before:
        asyncio.run(fill(place))
    disk = Disk(place, before=before)
    disk.replay(traced(place, tmp_path / "trace"))
    return disk


def test_nothing_is_answered_before_it_is_on_disk(disk):
    """Pages and the meta page of every commit; what is read, when another process wrote it; names of new files."""
    assert disk.answers == [(answer, frozenset()) for answer in ANSWERS]
    assert disk.meta_writes >= len(ANSWERS) - 1, "each commit wrote its meta page"


def test_no_thread_but_the_logs_own_waits_for_the_disk(disk):
    """The event loop's is the one that gives the answers."""
    assert len(disk.writers) == len(disk.speakers) == 1
    assert disk.writers.isdisjoint(disk.speakers)


def test_lmdb_is_told_to_sync_everything(tmp_path):
    async def main():
        store = await LmdbLog.open(tmp_path)
        flags = store._env.flags()
        await store.close()
        assert {name: flags[name] for name in ("sync", "metasync", "writemap", "map_async")} == {
            "sync": True,
            "metasync": True,
            "writemap": False,
            "map_async": False,
        }

    run(main)


def test_the_loop_turns_while_a_batch_is_being_written(tmp_path):
    """The real write is held up, not replaced: it goes on once the loop has made its turns."""

    async def main():
        store = await LmdbLog.open(tmp_path)
        loop, loops_thread = asyncio.get_running_loop(), threading.get_ident()
        turned = asyncio.Event()
        write, held = store._write_batches, []

        def hold_up(batches):
            assert threading.get_ident() != loops_thread
            held.append(asyncio.run_coroutine_threadsafe(turned.wait(), loop).result(DEADLINE_S))
            write(batches)

        store._write_batches = hold_up
        done = store.persist(batch(*entries(1, 3), hard_state=TERM_1))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not done.done()
        turned.set()
        await done
        assert held == [True]
        assert (await store.load()).entries == entries(1, 3)
        await store.close()

    run(main)
