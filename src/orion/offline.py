"""What is done to files while no node runs on them: backups looked at and restored.

Beside daemon the only importer of adapters/.
"""

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec

from orion.adapters.lmdb_log import LmdbLog
from orion.adapters.machine import LinuxMachine
from orion.model.errors import Conflict, Refused
from orion.model.ids import NodeId, RaftId
from orion.ports import Identity
from orion.raft.messages import ConfState, HardState, SnapshotMeta
from orion.state import renewal
from orion.state.restore import Restorer
from orion.state.snapshot import capture, encode
from orion.state.tables import State
from orion.wire.backups import About, BackupReader

READ_BYTES = 256 * 1024


class BackupSummary(msgspec.Struct, frozen=True, rename="camel"):
    """`jobs` and what follows: how many. `at`: when it was saved, Unix milliseconds, by the clock of `node`."""

    cluster: str
    index: int
    term: int
    at_ms: int
    node: str
    version: str
    nodes: int
    jobs: int
    tasks: int
    allocations: int
    configs: int
    size: int


def inspect(path: Path) -> BackupSummary:
    """Raises Corrupt, naming the byte, for a file that is not whole; Refused for one that can't be read."""
    about, state = _read(path)
    return _summary(path, about, state)


def restore(path: Path, data_dir: Path, node: NodeId) -> BackupSummary:
    """Makes `data_dir`, which must be empty, that of a new cluster's only voter, with the state of a backup. The
    former cluster's nodes are not in it. What was saved is returned.

    Raises Corrupt as `inspect`, Conflict when the directory is not empty, Refused when it can't be written to.
    """
    fresh = not data_dir.exists()
    with _words(data_dir):
        if not fresh and any(data_dir.iterdir()):
            raise Conflict(f"{data_dir} is not empty: a backup is restored into a directory of its own")
    about, state = _read(path)
    summary = _summary(path, about, state)
    try:
        asyncio.run(_found(data_dir, node, about, state))
    except BaseException:
        for child in data_dir.iterdir() if data_dir.exists() else ():
            shutil.rmtree(child) if child.is_dir() else child.unlink()
        if fresh:
            shutil.rmtree(data_dir, ignore_errors=True)
        raise
    return summary


async def _found(data_dir: Path, node: NodeId, about: About, state: State) -> None:
    machine = LinuxMachine()
    raft = RaftId(machine.random_bits(63) or 1)
    index, term = about.index + renewal.LEAP, about.term + renewal.LEAP
    reason = "the cluster was restored from a backup"
    renewal.renew(state, index, tuple(state.nodes.values()), reason, _wall_ms())
    renewal.rename(state, machine.random_bits(32) or 1)
    async with contextlib.AsyncExitStack() as stack:
        store = await LmdbLog.open(data_dir)
        stack.push_async_callback(store.close)
        await begin(store, SnapshotMeta(index, term, ConfState(voters=(raft,))), state)
        await store.set_identity(Identity(node, raft, state.cluster))


async def begin(store: LmdbLog, meta: SnapshotMeta, state: State) -> None:
    """The log is this state from now on, and nothing else."""
    hard_state = HardState(term=meta.term, commit=meta.index)
    await store.save_snapshot(meta, _each(encode(capture(state))), first_kept=meta.index + 1, hard_state=hard_state)


def _read(path: Path) -> tuple[About, State]:
    reader, restorer = BackupReader(), Restorer()
    with _words(path), path.open("rb") as file:
        while data := file.read(READ_BYTES):
            for chunk in reader.feed(data):
                restorer.feed(chunk)
    about = reader.finish()
    return about, restorer.finish()


def _summary(path: Path, about: About, state: State) -> BackupSummary:
    return BackupSummary(
        cluster=f"{about.cluster:016x}",
        index=about.index,
        term=about.term,
        at_ms=about.at_ms,
        node=about.node,
        version=about.version,
        nodes=len(state.nodes),
        jobs=len(state.jobs),
        tasks=sum(record.job.count for record in state.jobs.values()),
        allocations=len(state.allocations),
        configs=len(state.configs),
        size=path.stat().st_size,
    )


@contextlib.contextmanager
def _words(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refused(f"{path} can't be read: {error.strerror or error}") from None


async def _each(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
