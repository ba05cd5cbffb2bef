"""Work on files while no node runs on them: a backup is inspected or restored, a cluster recovered from a lost
quorum.

With process/daemon, network_adapters and network_reset it is the only importer of adapters/.
"""

import asyncio
import contextlib
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from orion.adapters.lmdb_log import LmdbLog
from orion.adapters.machine import LinuxMachine
from orion.adapters.peers.port_probe import probe
from orion.model.errors import Conflict, Refused, Unreadable
from orion.model.ids import NodeId, RaftId
from orion.model.node import Node
from orion.model.recovery import next_recovery
from orion.node.consensus.intake import require_readable
from orion.ports.log import Identity, LogFailed, as_stream
from orion.ports.peers import PortProbe
from orion.raft.confchange import ConfRefused, decode_change, next_conf
from orion.raft.interface import Persistent
from orion.raft.messages import ConfState, EntryKind, HardState, SnapshotMeta
from orion.state import recovery
from orion.state.apply import apply
from orion.state.commands import decode_command
from orion.state.restore import Restorer
from orion.state.snapshot import capture, encode
from orion.state.tables import State
from orion.state.tables.configs import Configs
from orion.wire.backups import About, BackupReader

READ_BYTES = 256 * 1024
PROBE_TRIES = 10  # a second in all


class Loss(msgspec.Struct, frozen=True):
    """The entries that a recovery keeps and may lose, by one member's log. Entries up to `commit` are committed,
    those up to `last_index` may be, and all of these are kept. Entries after that, which other members may have
    acknowledged, are lost. `last_at_ms` is the time at which the last one was proposed, 0 when the log does not
    say. `others` are the other members by its configuration.
    """

    node: str
    commit: int
    last_index: int
    last_term: int
    last_at_ms: int
    others: tuple[str, ...]


class BackupSummary(msgspec.Struct, frozen=True, rename="camel"):
    """A backup's contents. `at_ms` is the Unix time at which it was saved, by the clock of `node`."""

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
    """Returns a backup's contents. Raises Corrupt, which names the byte, when the file is damaged or cut short;
    Refused when it can't be read.
    """
    about, state = _read(path)
    return _summary(path, about, state)


def restore(path: Path, data_dir: Path, node: NodeId) -> BackupSummary:
    """Makes `data_dir`, which must be empty, that of a new cluster's only voter, with the state of a backup. The
    former cluster's nodes are not in the new one. Returns the backup's contents.

    Raises Corrupt as `inspect`, Conflict when the directory is not empty, Refused when it can't be written to.
    """
    fresh = not data_dir.exists()
    with _words(data_dir):
        if not fresh and any(data_dir.iterdir()):
            raise _not_empty(data_dir)
    about, state = _read(path)
    summary = _summary(path, about, state)
    with _log_words(), asyncio.Runner() as runner:
        # From here on the directory is locked. A process that took it while the backup was read keeps it as it is.
        store = runner.run(_open(data_dir, fresh=fresh))
        try:
            if runner.run(store.identity()) is not None:
                raise _not_empty(data_dir)
            try:
                runner.run(_found(store, node, about, state))
            except BaseException:
                _clear(data_dir, fresh=fresh)
                raise
        finally:
            runner.run(store.close())
    return summary


async def _open(data_dir: Path, *, fresh: bool) -> LmdbLog:
    try:
        return await LmdbLog.open(data_dir)
    except Conflict:
        raise
    except BaseException:
        if fresh:
            shutil.rmtree(data_dir, ignore_errors=True)
        raise


def _not_empty(data_dir: Path) -> Conflict:
    return Conflict(f"{data_dir} is not empty: a backup is restored into a directory of its own")


def _clear(data_dir: Path, *, fresh: bool) -> None:
    for child in data_dir.iterdir():
        shutil.rmtree(child) if child.is_dir() else child.unlink()
    if fresh:
        shutil.rmtree(data_dir, ignore_errors=True)


async def _found(store: LmdbLog, node: NodeId, about: About, state: State) -> None:
    machine = LinuxMachine()
    raft = RaftId(machine.random_bits(63) or 1)
    index, term = about.index + recovery.LEAP, about.term + recovery.LEAP
    reason = "the cluster was restored from a backup"
    recovery.renew(state, index, tuple(state.nodes.values()), reason, _wall_ms())
    recovery.rename(state, machine.random_bits(32) or 1)
    meta = SnapshotMeta(index, term, ConfState(voters=(raft,)))
    await _begin(store, meta, state, Identity(node, raft, state.cluster))


async def _begin(store: LmdbLog, meta: SnapshotMeta, state: State, identity: Identity) -> None:
    """Replaces the log by this state, and the node's identity, in one transaction. Half of it would end healthy
    members, or leave a log whose voter no node is.
    """
    await store.save_snapshot(
        meta,
        as_stream(encode(capture(state))),
        first_kept=meta.index + 1,
        hard_state=HardState(term=meta.term, commit=meta.index),
        identity=identity,
    )


def recover(data_dir: Path, agree: Callable[[Loss], bool], *, force: bool = False) -> bool:
    """Makes the node of `data_dir` the only voter of its cluster, with its log as it is, if `agree` accepts the
    possible loss. Returns False when it does not; then nothing is changed.

    Former members are shut out, because theirs is another `recovery` (model/recovery.py). Raises Refused when there
    is nothing to recover, another member answers (with `force` none is asked) or the disk fails, Conflict when a
    node runs on the directory, Corrupt when its log is damaged.
    """
    if not (data_dir / "log").is_dir():
        raise Refused(f"{data_dir} is no node's data directory")
    with _log_words(), asyncio.Runner() as runner:
        store = runner.run(LmdbLog.open(data_dir))
        try:
            survivor = runner.run(_survivor(store, data_dir))
            if not force:
                runner.run(_make_sure_that_none_answers(survivor.gone))
            # Outside of the loop, which would take the first Ctrl-C for itself.
            if not agree(survivor.loss):
                return False
            runner.run(_go_on_alone(store, survivor))
            return True
        finally:
            runner.run(store.close())


class _Survivor(msgspec.Struct, frozen=True):
    """A member with its state and log. `gone` are the other members."""

    identity: Identity
    state: State
    gone: tuple[Node, ...]
    term: int
    loss: Loss


async def _survivor(store: LmdbLog, data_dir: Path) -> _Survivor:
    """Reads the member of `data_dir`. Raises Refused when there is nothing to recover."""
    identity, persistent = await store.identity(), await store.load()
    if identity is None or not persistent.snapshot.index:
        raise Refused(f"{data_dir} holds no log: a worker goes along with whichever member is recovered")
    try:
        require_readable(persistent)
    except Unreadable as error:
        raise Refused(
            f"the log in {data_dir} can't be gone on with: {error.detail}. If another version of orion ran on it,"
            " use that one; otherwise recover another survivor, or begin anew with a backup: orion snapshot restore"
        ) from None
    state, conf, last_at_ms = await _replay(store, persistent)
    members = {*conf.voters, *conf.voters_outgoing, *conf.learners, *conf.learners_next}
    if identity.raft_id not in members:
        raise Refused(f"{identity.node} was neither voter nor standby: recover one that was, or leave it")
    if members == {identity.raft_id}:
        raise Refused(f"{identity.node} is its cluster's only voter: there is nothing to recover, start it")
    gone = tuple(node for node in state.nodes.values() if node.raft_id in members - {identity.raft_id})
    hard, last = persistent.hard_state, persistent.entries[-1] if persistent.entries else persistent.snapshot
    names = tuple(sorted(node.id for node in gone))
    loss = Loss(identity.node, hard.commit, last.index, last.term, last_at_ms, names)
    return _Survivor(identity, state, gone, max(last.term, hard.term), loss)


async def _go_on_alone(store: LmdbLog, survivor: _Survivor) -> None:
    state, former = survivor.state, survivor.identity
    index, term = survivor.loss.last_index + recovery.LEAP, survivor.term + recovery.LEAP
    recovery.renew(state, index, survivor.gone, "the cluster was recovered without its node", _wall_ms())
    state.recovery = next_recovery(max(state.recovery, former.recovery), LinuxMachine().random_bits(32))
    identity = msgspec.structs.replace(former, cluster=state.cluster, recovery=state.recovery)
    await _begin(store, SnapshotMeta(index, term, ConfState(voters=(identity.raft_id,))), state, identity)


async def _make_sure_that_none_answers(members: Sequence[Node]) -> None:
    """Raises Refused, which names those that do. A recovery would end a majority that lives, and lose what that has
    acknowledged since.
    """
    answers = await asyncio.gather(*(probe(node.peer_address, tries=PROBE_TRIES) for node in members))
    alive = [
        f"{n.id} ({n.peer_address})" for n, said in zip(members, answers, strict=True) if said is PortProbe.ACCEPTED
    ]
    if alive:
        raise Refused(
            f"{', '.join(alive)} answer{'' if len(alive) > 1 else 's'}: where a majority of the voters lives, "
            "nothing is lost, and this node only has to be started. Where none does, stop what still runs of the "
            "other members first. With --force they are not asked; should they be well, this would end them, and "
            "what they acknowledged since would be lost"
        )


async def _replay(store: LmdbLog, persistent: Persistent) -> tuple[State, ConfState, int]:
    """Returns state and configuration at the end of the log, committed or not, and the time of its last command."""
    restorer = Restorer()
    async for chunk in store.snapshot_chunks(persistent.snapshot.index):
        restorer.feed(chunk)
    state, conf, last_at_ms = restorer.finish(), persistent.snapshot.conf, 0
    for entry in persistent.entries:
        if entry.kind == EntryKind.CONF_CHANGE:
            with contextlib.suppress(ConfRefused):  # as everywhere
                conf = next_conf(conf, decode_change(entry.data))
        else:
            command = decode_command(entry.data) if entry.data else None
            last_at_ms = command.at_ms if command else last_at_ms
            apply(state, entry.index, command or b"")
    return state, conf, last_at_ms


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
        configs=len(state.of(Configs)),
        size=path.stat().st_size,
    )


@contextlib.contextmanager
def _log_words() -> Iterator[None]:
    try:
        yield
    except LogFailed as error:
        raise Refused(str(error)) from None


@contextlib.contextmanager
def _words(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refused(f"{path} can't be read: {error.strerror or error}") from None


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
