"""One member in the random schedules: a core, its disk, and a driver that is slow to write and to apply."""

import random
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orion.raft.confchange import decode_change, next_conf
from orion.raft.core import Raft
from orion.raft.interface import (
    Compacted,
    ConfApplied,
    Persisted,
    Persistent,
    Ready,
)
from orion.raft.messages import (
    Entry,
    EntryKind,
    HardState,
    SnapshotMeta,
)

if TYPE_CHECKING:
    from raft_world import World


@dataclass
class Disk:
    """What survives a crash. A hard state that need not be synced is lost unless a later write takes it along."""

    hard_state: HardState = field(default_factory=HardState)
    snapshot: SnapshotMeta = field(default_factory=SnapshotMeta)
    state: int = 0  # what the snapshot holds: a running hash of what was applied
    entries: list[Entry] = field(default_factory=list)

    @property
    def first(self) -> int:
        return self.entries[0].index if self.entries else self.snapshot.index + 1

    def term(self, index: int) -> int | None:
        if index == self.snapshot.index:
            return self.snapshot.term
        at = index - self.first
        return self.entries[at].term if 0 <= at < len(self.entries) else None

    def holds(self, index: int, term: int) -> bool:
        return index <= self.snapshot.index or self.term(index) == term

    def save_snapshot(self, meta: SnapshotMeta, state: int, first_kept: int) -> None:
        if self.term(meta.index) != meta.term:
            self.entries = []
        self.snapshot, self.state = meta, state
        self.entries = [e for e in self.entries if e.index >= first_kept]

    def write(self, ready: Ready) -> None:
        if ready.entries:
            assert ready.entries[0].index <= self.first + len(self.entries), "a gap is written"
            keep = ready.entries[0].index - self.first
            self.entries[max(0, keep) :] = ready.entries

    def persistent(self) -> Persistent:
        after = self.snapshot.index + 1
        hard = self.hard_state
        hard = HardState(hard.term, hard.vote, max(hard.commit, self.snapshot.index))
        return Persistent(hard, self.snapshot, tuple(e for e in self.entries if e.index >= after))


class Host:
    """A core with its driver: writes finish late, committed entries are applied late, both in order."""

    def __init__(self, world: "World", member: int, disk: Disk) -> None:
        self.world, self.id, self.disk = world, member, disk
        self.runs = 0
        self.raft: Raft
        self.start()

    def start(self) -> None:
        self.runs += 1
        rng = random.Random(f"{self.world.seed}/{self.id}/{self.runs}")
        self.raft = Raft(self.world.config(self.id), self.disk.persistent(), rng, self.world.now)
        self.writes: deque[Ready] = deque()
        self.to_apply: deque[Entry] = deque()
        self.hard_state: HardState | None = None  # not synced yet
        self.fetched: dict[int, int] = {}  # states of snapshots whose bytes are here
        self.applied, self.applied_term = self.disk.snapshot.index, self.disk.snapshot.term
        self.state = self.disk.state
        self.contexts: dict[int, int] = {}  # reads under way: what they must not be older than
        self.seen_commit = 0
        self.fresh = True  # stepped since the last Ready was asked for
        self.world.trace(f"{self.id} starts: {self.disk.hard_state} {self.disk.snapshot.index}")
        self.drain()

    def step(self, value: object) -> None:
        self.fresh = True
        self.raft.step(self.world.now, value)
        self.world.observe(self)

    def drain(self) -> None:
        if not self.fresh:
            return
        self.fresh = False
        while self.raft.has_ready():
            ready = self.raft.ready()
            self.world.observe(self)
            self.world.observe_ready(self, ready)
            self.world.send(self, ready.messages)
            if ready.must_persist or self.writes:
                self.writes.append(ready)
            else:
                self.world.send_after(self, ready.messages_after_persist)
            for read in ready.reads:
                self.world.observe_read(self, read)
            self.to_apply.extend(ready.committed)

    def finish_writes(self, count: int) -> None:
        done = [self.writes.popleft() for _ in range(min(count, len(self.writes)))]
        for ready in done:
            self._write(ready)
        for ready in done:
            self.world.send_after(self, ready.messages_after_persist)
        if done:
            self.step(Persisted(done[-1].persist_seq))

    def _write(self, ready: Ready) -> None:
        self.hard_state = ready.hard_state or self.hard_state
        if ready.must_sync and self.hard_state is not None:
            self.disk.hard_state, self.hard_state = self.hard_state, None
        if ready.snapshot is not None:
            meta = ready.snapshot
            self.disk.save_snapshot(meta, self.fetched.pop(meta.index), meta.index + 1)
            if meta.index > self.applied:
                self.applied, self.applied_term, self.state = meta.index, meta.term, self.disk.state
                self.world.observe_state(self)
        self.disk.write(ready)

    def apply(self, count: int) -> None:
        for _ in range(min(count, len(self.to_apply))):
            entry = self.to_apply.popleft()
            if entry.index <= self.applied:
                continue
            assert entry.index == self.applied + 1, f"{self.id} applies {entry.index} after {self.applied}"
            assert self.disk.holds(entry.index, entry.term), f"{self.id} applies {entry.index}: not on its disk"
            self.applied, self.applied_term = entry.index, entry.term
            self.state = hash((self.state, entry.index, entry.term, entry.kind, entry.data))
            self.world.observe_state(self)
            if entry.kind == EntryKind.CONF_CHANGE:
                if entry.index > self.raft._me.conf_index:
                    next_conf(self.raft.status().conf, decode_change(entry.data))  # never refused
                self.step(ConfApplied(entry))
                self.world.observe_conf(self, entry.index)

    def take_snapshot(self, margin: int) -> None:
        status = self.raft.status()
        if self.applied <= status.snapshot_index:
            return
        meta = SnapshotMeta(self.applied, self.applied_term, status.conf)
        first_kept = max(status.first_index, meta.index + 1 - margin)
        self.disk.save_snapshot(meta, self.state, first_kept)
        self.step(Compacted(meta, first_kept))

    def crash(self) -> None:
        """Some of the writes under way reach the disk, in order."""
        for _ in range(self.world.rng.randint(0, len(self.writes))):
            self._write(self.writes.popleft())
        self.world.trace(f"{self.id} crashes")
        self.start()
