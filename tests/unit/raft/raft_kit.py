"""Cores for tests by hand: one alone, of which each step is looked at, and a group whose messages flow."""

import random
from collections.abc import Callable, Iterable
from typing import TypeVar

from raft_host import Disk

from orion.raft.core import Raft
from orion.raft.interface import (
    Campaign,
    ConfApplied,
    Persisted,
    ProposalRefused,
    Propose,
    ProposeConf,
    RaftConfig,
    Ready,
    Received,
    Role,
    Tick,
)
from orion.raft.messages import (
    AnyMessage,
    ConfChange,
    ConfState,
    Entry,
    EntryKind,
    HardState,
    Message,
    MsgPreVoteResp,
    MsgVoteResp,
    SnapshotMeta,
)

THREE = ConfState(voters=(1, 2, 3))


def entries(*terms: int, first: int = 1) -> list[Entry]:
    """A log given by the terms of its entries, as the paper draws it; what is in an entry is named after it."""
    return [Entry(term, index, 0, b"%d/%d" % (index, term)) for index, term in enumerate(terms, first)]


def disk_with(
    *terms: int, term: int = 0, vote: int = 0, commit: int = 0, conf: ConfState = THREE, snapshot: int = 0
) -> Disk:
    """What a member finds at start. Without a snapshot the log begins at 1, and the configuration is given."""
    last_term = terms[-1] if terms else 0
    meta = SnapshotMeta(snapshot, 1 if snapshot else 0, conf)
    return Disk(HardState(max(term, last_term), vote, commit), meta, 0, entries(*terms, first=snapshot + 1))


class Solo:
    """One core. Writes finish at once, unless told otherwise."""

    def __init__(self, disk: Disk | None = None, *, member: int = 1, seed: int = 1, **tuning: int) -> None:
        self.disk = disk or disk_with()
        self.config = RaftConfig(id=member, **tuning)
        self.now = 0
        self.seed = seed
        self.start()

    def start(self) -> None:
        rng = random.Random(self.seed)
        self.raft = Raft(self.config, self.disk.persistent(), rng, self.now)
        self.applied: list[Entry] = []
        self.drain()

    def step(self, value: object) -> list[AnyMessage]:
        """All messages that follow from it, those after the fsync too."""
        self.raft.step(self.now, value)
        return self.drain()

    def drain(self) -> list[AnyMessage]:
        sent: list[AnyMessage] = []
        self.raft.check()
        while self.raft.has_ready():
            ready = self.raft.ready()
            sent += [*ready.messages, *ready.messages_after_persist]
            self.finish(ready)
            self.raft.check()
        return sent

    def finish(self, ready: Ready) -> None:
        """Write it, and apply what it hands out."""
        self.disk.hard_state = ready.hard_state or self.disk.hard_state
        if ready.snapshot is not None:
            self.disk.save_snapshot(ready.snapshot, 0, ready.snapshot.index + 1)
        self.disk.write(ready)
        if ready.must_persist:
            self.raft.step(self.now, Persisted(ready.persist_seq))
        for entry in ready.committed:
            self.applied.append(entry)
            if entry.kind == EntryKind.CONF_CHANGE:
                self.raft.step(self.now, ConfApplied(entry))

    def receive(self, message: AnyMessage) -> list[AnyMessage]:
        return self.step(Received(message))

    def tick(self, passed_ms: int) -> list[AnyMessage]:
        """Time passes, with all ticks that are due on the way."""
        sent, end = [], self.now + passed_ms
        while self.raft.next_deadline_ms() <= end:
            self.now = self.raft.next_deadline_ms()
            sent += self.step(Tick())
        self.now = end
        return sent

    def time_out(self) -> list[AnyMessage]:
        """Wait for the election timeout."""
        return self.tick(self.raft.next_deadline_ms() - self.now)

    @property
    def log(self) -> list[tuple[int, int]]:
        """(index, term) of every entry."""
        log = self.raft._me.log
        return [(e.index, e.term) for e in log.slice(log.offset + 1, log.last)]

    @property
    def terms(self) -> list[int]:
        return [term for _, term in self.log]

    def elect(self, *granting: int) -> list[AnyMessage]:
        """Become leader with the votes of others; what it sends as one."""
        self.step(Campaign())
        for voter in granting:
            self.receive(MsgPreVoteResp(voter, self.config.id, self.raft.term + 1, False))
            if self.raft.role is not Role.PRE_CANDIDATE:
                break
        assert self.raft.role is Role.CANDIDATE
        for voter in granting:
            sent = self.receive(MsgVoteResp(voter, self.config.id, self.raft.term, False))
            if self.raft.role is Role.LEADER:
                return sent
        raise AssertionError("not elected")


class Group:
    """Several cores whose messages are delivered at once, unless a filter stops them."""

    def __init__(self, disks: dict[int, Disk], **tuning: int) -> None:
        self.members = {m: Solo(d, member=m, seed=m, **tuning) for m, d in disks.items()}
        self.passes: Callable[[AnyMessage], bool] = lambda _: True
        self.now = 0
        self.sent: list[AnyMessage] = []

    def __getitem__(self, member: int) -> Solo:
        return self.members[member]

    def raft(self, member: int) -> Raft:
        return self.members[member].raft

    def carry(self, messages: Iterable[AnyMessage]) -> None:
        waiting = list(messages)
        while waiting:
            message = waiting.pop(0)
            self.sent.append(message)
            if message.to in self.members and self.passes(message):
                waiting += self.members[message.to].receive(message)

    def step(self, member: int, value: object) -> None:
        self.carry(self.members[member].step(value))

    def campaign(self, member: int) -> None:
        self.step(member, Campaign())

    def propose(self, member: int, *data: bytes) -> None:
        self.step(member, Propose(data))

    def change(self, member: int, voters: tuple[int, ...], learners: tuple[int, ...] = ()) -> None:
        self.step(member, ProposeConf(ConfChange(voters, learners)))

    def refused(self, member: int, value: object) -> bool:
        try:
            self.step(member, value)
        except ProposalRefused:
            return True
        return False

    def tick(self, passed_ms: int) -> None:
        end = self.now + passed_ms
        while True:
            due, member = min((s.raft.next_deadline_ms(), m) for m, s in self.members.items())
            if due > end:
                break
            self.now = max(self.now, due)
            for solo in self.members.values():
                solo.now = self.now
            self.step(member, Tick())
        self.now = end

    def isolate(self, *members: int) -> None:
        """These speak with each other only, and so do the rest."""
        self.passes = lambda m: (m.sender in members) == (m.to in members)

    def heal(self) -> None:
        self.passes = lambda _: True

    def restart(self, member: int) -> None:
        self.members[member].start()

    @property
    def leaders(self) -> list[int]:
        return [m for m, s in self.members.items() if s.raft.role is Role.LEADER]

    def data(self, member: int) -> list[bytes]:
        """What was applied there."""
        return [e.data for e in self.members[member].applied if e.data and e.kind == EntryKind.NORMAL]


def group_of(count: int = 3, **tuning: int) -> Group:
    conf = ConfState(voters=tuple(range(1, count + 1)))
    return Group({m: disk_with(conf=conf, snapshot=1, commit=1, term=1) for m in conf.voters}, **tuning)


M = TypeVar("M", bound=Message)


def of_kind(messages: Iterable[AnyMessage], kind: type[M]) -> list[M]:
    return [m for m in messages if isinstance(m, kind)]
