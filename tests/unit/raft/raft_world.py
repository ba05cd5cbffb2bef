"""A cluster of pure cores under a seeded random schedule, and an observer that knows what must always hold.

No clock, no I/O: an event is one delivered message, one finished write, one tick, one crash. Everything follows
from the seed.
"""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate

from orion.raft.confchange import decode_change, is_joint, members, next_conf
from orion.raft.core import Raft
from orion.raft.interface import (
    Campaign,
    Compacted,
    ConfApplied,
    PeerDead,
    PeerUnreachable,
    Persisted,
    Persistent,
    ProposalRefused,
    Propose,
    ProposeConf,
    RaftConfig,
    ReadRequest,
    Ready,
    Received,
    Role,
    Tick,
    TransferLeader,
)
from orion.raft.messages import (
    AnyMessage,
    ConfChange,
    ConfState,
    Entry,
    EntryKind,
    HardState,
    MsgAppResp,
    MsgSnap,
    MsgSnapStatus,
    MsgTimeoutNow,
    MsgVote,
    MsgVoteResp,
    SnapshotMeta,
)

HISTORY = 200  # messages kept to be replayed much later


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


class World:
    def __init__(self, seed: int, *, faults: bool = True) -> None:
        self.seed, self.faults = seed, faults
        self.rng = rng = random.Random(seed)
        self.now = 1_000
        self.log: list[str] = []
        self.loss = rng.choice((0.0, 0.02, 0.2)) if faults else 0.0
        self.twice = rng.choice((0.0, 0.1)) if faults else 0.0
        self.in_order = rng.random() < 0.5 or not faults
        self.apply_bytes = rng.choice((1, 60, 10_000))
        self.append_bytes = rng.choice((1, 60, 10_000))
        self.window = rng.choice((1, 3, 256))
        self.stride_ms = rng.choice((40, 150, 600))
        # Each seed is fond of other things, so that rare ones meet (swarm testing).
        likings = {action: weight * rng.choice(likes) for action, (weight, likes) in self._repertoire().items()}
        self.actions = list(likings)
        self.weights = list(accumulate(likings.values()))
        self.wire: list[AnyMessage] = []
        self.history: deque[AnyMessage] = deque(maxlen=HISTORY)
        self.cut: set[tuple[int, int]] = set()
        # What the observer knows
        self.leaders: dict[int, int] = {}
        self.complete: set[int] = set()  # terms whose leader's log was looked at
        self.entries: dict[tuple[int, int], tuple[int, int, bytes]] = {}  # (index, term): previous term, kind, data
        self.committed: dict[int, int] = {}  # index: term
        self.committed_in: dict[int, int] = {}  # index: the term of the leader that committed it
        self.max_committed = 1
        self.states: dict[int, int] = {}
        self.confs: dict[int, ConfState] = {}
        self.reads = 0
        self.counter = 0

        count = rng.choice((1, 3, 3, 3, 5))
        self.start_conf = ConfState(voters=tuple(range(1, count + 1)))
        self.hosts: dict[int, Host] = {}
        for member in range(1, 6):
            disk = Disk()
            if member <= count:
                disk.snapshot = SnapshotMeta(1, 1, self.start_conf)
            self.hosts[member] = Host(self, member, disk)

    def config(self, member: int) -> RaftConfig:
        return RaftConfig(
            id=member,
            max_apply_bytes=self.apply_bytes,
            max_append_bytes=self.append_bytes,
            max_inflight_messages=self.window,
            max_uncommitted_bytes=2_000,
        )

    def trace(self, line: str) -> None:
        self.log.append(f"{self.now} {line}")

    # --- wire ---------------------------------------------------------------------------------------------

    def send(self, host: Host, messages: tuple[AnyMessage, ...]) -> None:
        for message in messages:
            assert message.sender == host.id
            assert not isinstance(message, MsgVote | MsgVoteResp | MsgAppResp), f"too early: {message}"
            self._send(message)

    def send_after(self, host: Host, messages: tuple[AnyMessage, ...]) -> None:
        for message in messages:
            self._observe_promise(host, message)
            self._send(message)

    def _send(self, message: AnyMessage) -> None:
        self.history.append(message)
        if self.rng.random() < self.loss:
            return
        self.wire.append(message)
        if self.rng.random() < self.twice:
            self.wire.append(message)

    def deliver_some(self) -> None:
        for _ in range(self.rng.randint(1, 3)):
            self.deliver()

    def deliver(self) -> None:
        if not self.wire:
            return
        at = 0 if self.in_order else self.rng.randrange(min(len(self.wire), 30))
        message = self.wire.pop(at)
        if (message.sender, message.to) not in self.cut:
            self.receive(message)

    def receive(self, message: AnyMessage) -> None:
        host = self.hosts[message.to]
        self.trace(f"{message}")
        if isinstance(message, MsgSnap):
            source = self.hosts[message.sender].disk
            if source.snapshot.index != message.meta.index:  # its bytes are gone
                status = MsgSnapStatus(host.id, message.sender, message.term, message.meta.index)
                self._send(status)
                return
            host.fetched[message.meta.index] = source.state
        host.step(Received(message))

    # --- what must hold -----------------------------------------------------------------------------------

    def observe(self, host: Host) -> None:
        """After every step of a core."""
        raft, log = host.raft, host.raft._me.log
        raft.check()
        if raft.role is Role.LEADER and self.leaders.setdefault(raft.term, host.id) != host.id:
            raise AssertionError(f"term {raft.term} has two leaders: {self.leaders[raft.term]} and {host.id}")
        if raft.role is Role.LEADER and raft.term not in self.complete:
            self.complete.add(raft.term)
            self._observe_completeness(host)
        if raft.commit > host.seen_commit:
            self._observe_commit(host, max(host.seen_commit, log.offset))
            host.seen_commit = raft.commit

    def _observe_completeness(self, host: Host) -> None:
        log = host.raft._me.log
        for index, term in self.committed.items():
            if index >= log.offset and self.committed_in[index] < host.raft.term:
                assert log.term(index) in (term, None if index == log.offset else term), (
                    f"leader {host.id} of term {host.raft.term} lacks entry {index} of term {term}"
                )

    def _observe_commit(self, host: Host, after: int) -> None:
        raft, log = host.raft, host.raft._me.log
        for index in range(after + 1, raft.commit + 1):
            term = log.term(index)
            assert self.committed.setdefault(index, term) == term, f"committed entry {index} changed"
            self.committed_in.setdefault(index, raft.term)
        if raft.role is Role.LEADER and raft.commit > self.max_committed:
            assert log.term(raft.commit) == raft.term, "an older term's entry was committed by counting"
            conf = raft.status().conf
            for voters in filter(None, (conf.voters, conf.voters_outgoing)):
                held = [v for v in voters if self.hosts[v].disk.holds(raft.commit, raft.term)]
                assert len(held) > len(voters) // 2, (
                    f"{host.id} commits {raft.commit}, which is on the disks of {held} of {voters} only"
                )
        self.max_committed = max(self.max_committed, raft.commit)

    def observe_ready(self, host: Host, ready: Ready) -> None:
        log = host.raft._me.log
        for entry in ready.entries:
            if entry.index > log.offset:
                known = (log.term(entry.index - 1) or 0, entry.kind, entry.data)
                key = (entry.index, entry.term)
                assert self.entries.setdefault(key, known) == known, f"logs do not match at {key}"
        for entry in ready.committed:
            assert self.committed.get(entry.index) == entry.term, f"{entry.index} is handed out, not committed"

    def _observe_promise(self, host: Host, message: AnyMessage) -> None:
        """Votes and acknowledgements leave only when they are on disk."""
        disk = host.disk
        if isinstance(message, MsgVote):
            assert disk.hard_state.term >= message.term
            assert disk.hard_state.term > message.term or disk.hard_state.vote == host.id
        elif isinstance(message, MsgVoteResp) and not message.reject:
            assert disk.hard_state.term >= message.term
            assert disk.hard_state.term > message.term or disk.hard_state.vote == message.to
        elif isinstance(message, MsgAppResp) and not message.reject and disk.hard_state.term == message.term:
            last = max(disk.snapshot.index, disk.first + len(disk.entries) - 1)
            assert last >= message.index, f"{host.id} acknowledges {message.index}, its disk ends at {last}"

    def observe_state(self, host: Host) -> None:
        known = self.states.setdefault(host.applied, host.state)
        assert known == host.state, f"{host.id} has another state at {host.applied}"

    def observe_conf(self, host: Host, index: int) -> None:
        conf = host.raft.status().conf
        assert self.confs.setdefault(index, conf) == conf, f"{host.id} has another configuration at {index}"

    def observe_read(self, host: Host, read) -> None:
        floor = host.contexts.pop(read.context)
        if read.index:
            self.reads += 1
            assert read.index >= floor, f"{host.id} read at {read.index}, but {floor} was committed before"

    def _repertoire(self) -> dict[Callable[[], None], tuple[float, tuple[float, ...]]]:
        """What can happen: how likely each is beside the others, and how much a seed may like it."""
        needed, optional = (0.5, 1, 2), (0, 0.5, 1, 4)
        return {
            self.deliver_some: (20, needed),
            self.finish_some_writes: (15, needed),
            self.apply_some: (6, needed),
            self.burst: (8, needed),
            self.pass_time: (4, needed),
            self.propose: (10, needed),
            self.read: (3, optional),
            self.change_conf: (1, optional),
            self.take_snapshot: (1, optional),
            self.transfer: (1, optional),
            self.hint: (1, optional),
            self.campaign: (1, optional),
            self.replay: (1, optional),
            self.crash: (1, optional),
            self.partition: (1.5, optional),
        }

    # --- what happens -------------------------------------------------------------------------------------

    def any_host(self) -> Host:
        return self.hosts[self.rng.choice(list(self.hosts))]

    def leading(self) -> Host | None:
        leaders = [h for h in self.hosts.values() if h.raft.role is Role.LEADER]
        return self.rng.choice(leaders) if leaders else None

    def pass_time(self) -> None:
        self.now += self.rng.randint(1, self.stride_ms)
        self.tick_due()

    def burst(self) -> None:
        """Some members get on with each other while what the others say and write waits."""
        chosen = set(self.rng.sample(list(self.hosts), self.rng.randint(1, 5)))
        for _ in range(self.rng.randint(1, 8)):
            passing = [m for m in self.wire if m.sender in chosen and m.to in chosen]
            self.wire = [m for m in self.wire if m.sender not in chosen or m.to not in chosen]
            for message in passing:
                if (message.sender, message.to) not in self.cut:
                    self.receive(message)
            for member in chosen:
                host = self.hosts[member]
                host.drain()
                if self.rng.random() < 0.8:
                    host.finish_writes(len(host.writes))
                    host.drain()

    def finish_some_writes(self) -> None:
        if waiting := [h for h in self.hosts.values() if h.writes]:
            self.rng.choice(waiting).finish_writes(self.rng.randint(1, 4))

    def apply_some(self) -> None:
        if waiting := [h for h in self.hosts.values() if h.to_apply]:
            self.rng.choice(waiting).apply(self.rng.randint(1, 6))

    def take_snapshot(self) -> None:
        self.any_host().take_snapshot(self.rng.choice((0, 2, 10)))

    def crash(self) -> None:
        self.any_host().crash()

    def tick_due(self) -> None:
        for host in self.hosts.values():
            if host.raft.next_deadline_ms() <= self.now:
                host.step(Tick())
                assert host.raft.next_deadline_ms() > self.now, "a tick that changes nothing"

    def propose(self) -> None:
        if (host := self.leading()) is not None:
            self._propose_at(host)

    def _propose_at(self, host: Host) -> None:
        batch = []
        for _ in range(self.rng.randint(1, 3)):
            self.counter += 1
            batch.append(b"%d" % self.counter * self.rng.choice((1, 1, 20)))
        try:
            host.step(Propose(tuple(batch)))
        except ProposalRefused:
            return

    def change_conf(self) -> None:
        host = self.leading()
        if host is None:
            return
        ids = list(self.hosts)
        self.rng.shuffle(ids)
        count = self.rng.choice((1, 2, 3, 3, 3, 5))
        learners = ids[count : count + self.rng.randint(0, 2)]
        try:
            host.step(ProposeConf(ConfChange(tuple(ids[:count]), tuple(learners))))
            self.trace(f"{host.id} proposes voters {sorted(ids[:count])} learners {sorted(learners)}")
        except ProposalRefused:
            return

    def read(self) -> None:
        host = (self.rng.random() < 0.5 and self.leading()) or self.any_host()
        self.counter += 1
        host.contexts[self.counter] = self.max_committed
        host.step(ReadRequest(self.counter))

    def partition(self) -> None:
        self.cut.clear()
        ids = list(self.hosts)
        if self.rng.random() < 0.5:
            return
        side = set(self.rng.sample(ids, self.rng.randint(1, 4)))
        if (leader := self.leading()) is not None and self.rng.random() < 0.6:
            # A leader that is cut off goes on for a while, with entries that nobody else gets.
            side = {leader.id, *self.rng.sample(ids, self.rng.choice((0, 0, 1)))}
            for _ in range(self.rng.randint(0, 3)):
                self._propose_at(leader)
        one_way = self.rng.random() < 0.3
        for a in ids:
            for b in ids:
                if (a in side) != (b in side) and (a in side or not one_way):
                    self.cut.add((a, b))

    def hint(self) -> None:
        peer = self.rng.choice(list(self.hosts))
        host = self.any_host()
        host.step(self.rng.choice((PeerDead(peer), PeerUnreachable(peer))))

    def transfer(self) -> None:
        host = self.leading()
        if host is not None:
            host.step(TransferLeader(self.rng.choice((0, *self.hosts))))

    def campaign(self) -> None:
        """Some member stands for election, now and then without a pre-vote and whatever the leases say."""
        for host in self.rng.sample(list(self.hosts.values()), self.rng.choice((1, 1, 2))):
            if self.rng.random() < 0.3:
                host.step(Campaign())
            else:
                somebody = 1 + host.id % 5
                host.step(Received(MsgTimeoutNow(somebody, host.id, host.raft.term)))

    def replay(self) -> None:
        if self.history:
            self.receive(self.rng.choice(self.history))

    def event(self) -> None:
        self.rng.choices(self.actions, cum_weights=self.weights)[0]()
        # A driver may step several inputs before it takes a Ready.
        if self.rng.random() < 0.7:
            for host in self.hosts.values():
                host.drain()

    def run(self, events: int) -> None:
        for _ in range(events):
            self.event()

    # --- the calm after -----------------------------------------------------------------------------------

    def settle(self, limit_ms: int = 60_000) -> None:
        """Faults have ended: within `limit_ms` a leader commits, all members follow, no configuration is joint."""
        self.loss = self.twice = 0.0
        self.in_order = True
        self.cut.clear()
        end = self.now + limit_ms
        self.counter += 1
        final, proposed = b"final %d" % self.counter, 0
        while not self._is_settled(proposed):
            assert self.now < end, f"not settled: {[h.raft.status() for h in self.hosts.values()]}"
            self._turn()
            leaders = [h for h in self.hosts.values() if h.raft.role is Role.LEADER]
            if not proposed and leaders and not is_joint(leaders[0].raft.status().conf):
                try:
                    leaders[0].step(Propose((final,)))
                except ProposalRefused:
                    continue
                proposed = leaders[0].raft.status().last_index
            elif proposed and leaders and leaders[0].raft.commit >= leaders[0].raft.status().last_index:
                # Another leader may have come, without it.
                known = self.entries.get((proposed, self.committed.get(proposed, 0)))
                proposed = proposed if known is not None and known[2] == final else 0

    def _turn(self) -> None:
        busy = True
        while busy:
            busy = bool(self.wire)
            for _ in range(len(self.wire)):
                self.deliver()
            for host in self.hosts.values():
                host.drain()
                busy = busy or bool(host.writes) or bool(host.to_apply) or bool(self.wire)
                host.finish_writes(len(host.writes))
                host.apply(len(host.to_apply))
                host.drain()
        self.now = max(self.now, min(h.raft.next_deadline_ms() for h in self.hosts.values()))
        self.tick_due()

    def _is_settled(self, proposed: int) -> bool:
        leaders = [h for h in self.hosts.values() if h.raft.role is Role.LEADER]
        if not proposed or len(leaders) != 1:
            return False
        status = leaders[0].raft.status()
        if is_joint(status.conf) or status.conf_pending or status.commit < proposed:
            return False
        return all(self.hosts[m].applied >= proposed for m in members(status.conf))
