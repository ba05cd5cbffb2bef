"""Runs a golden trace: a script of commands, each followed by what the cores said to it.

A line that begins with `>` is a command, one with `#` or nothing on it is for the reader; all other lines are
output and are written anew by ORION_UPDATE_GOLDEN=1. Messages wait on the wire until they are delivered, writes
until they are finished, and committed configuration changes until they are applied, so that a trace shows what
leaves before the fsync and what after it.

    cluster voters=1,2,3 [learners=4] [joiners=5] [any RaftConfig field=value]
    campaign M | propose M DATA... | conf M voters=.. learners=.. | leave M | transfer M TO | read M CONTEXT
    dead M PEER | unreachable M PEER | compact M INDEX FIRST_KEPT | restart M
    tick MS            time passes; whoever has a deadline by then is ticked at it, one after the other
    ready M            take one Ready: send what needs no fsync, queue the rest
    persist M [COUNT]  finish writes: send what waited, step Persisted
    apply M            apply what was committed
    deliver M [from P] [twice]  give M what waits for it, in order
    drop M [from P]    lose it instead
    stabilize [M...]   all of this, until nobody has anything to do
    snapfail M LEADER INDEX   M says that it could not fetch the snapshot
    status M | log M

`quietly` behind a command leaves out what it says.
"""

import random
from collections import deque
from collections.abc import Iterator

from raft_host import Disk

from orion.raft.core import Raft
from orion.raft.interface import (
    Campaign,
    Compacted,
    ConfApplied,
    PeerDead,
    PeerUnreachable,
    Persisted,
    ProposalRefused,
    Propose,
    ProposeConf,
    RaftConfig,
    ReadRequest,
    Ready,
    Received,
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
    MsgSnapStatus,
    SnapshotMeta,
)


class Steady(random.Random):
    """Draws by member: the lower its id, the sooner its election timeout."""

    def __init__(self, member: int) -> None:
        super().__init__(0)
        self._member = member

    def randrange(self, stop: int) -> int:
        return (self._member - 1) * stop // 10

    def getrandbits(self, bits: int) -> int:
        return self._member * 100


class Node:
    def __init__(self, config: RaftConfig, disk: Disk, now: int) -> None:
        self.config, self.disk = config, disk
        self.start(now)

    def start(self, now: int) -> None:
        self.raft = Raft(self.config, self.disk.persistent(), Steady(self.config.id), now)
        self.writes: deque[Ready] = deque()
        self.to_apply: deque[Entry] = deque()
        self.applied = self.disk.snapshot.index


class Trace:
    def __init__(self) -> None:
        self.now = 0
        self.nodes: dict[int, Node] = {}
        self.wire: list[AnyMessage] = []
        self.lines: list[str] = []

    def run(self, text: str) -> str:
        """The script with its output beneath each command."""
        kept: list[str] = []
        for line in text.splitlines():
            if line.startswith(">"):
                if kept and kept[-1] and not kept[-1].startswith("#"):
                    kept.append("")
                kept += [line, *self.command(line[1:].split())]
            elif line.startswith("#"):
                if kept and kept[-1] and not kept[-1].startswith("#"):
                    kept.append("")
                kept.append(line)
        return "\n".join(kept) + "\n"

    def command(self, words: list[str]) -> list[str]:
        self.lines = []
        name, *arguments = [word for word in words if word != "quietly"]
        try:
            getattr(self, f"do_{name}")(*arguments)
        except ProposalRefused as refused:
            self.say(f"refused: {refused.reason}")
        for node in self.nodes.values():
            node.raft.check()
        return [] if "quietly" in words else self.lines

    def say(self, line: str) -> None:
        self.lines.append(line)

    # --- commands -----------------------------------------------------------------------------------------

    def do_cluster(self, *settings: str) -> None:
        self.now, self.wire, self.nodes = 0, [], {}
        options = dict(s.split("=") for s in settings)
        voters, learners, joiners = (ids(options.pop(k, "")) for k in ("voters", "learners", "joiners"))
        tuning = {key: int(value) for key, value in options.items()}
        conf = ConfState(voters=voters, learners=learners)
        for member in sorted((*voters, *learners, *joiners)):
            disk = Disk()
            if member not in joiners:
                disk.hard_state, disk.snapshot = HardState(1, 0, 1), SnapshotMeta(1, 1, conf)
            self.nodes[member] = Node(RaftConfig(id=member, **tuning), disk, self.now)
            while self.nodes[member].raft.has_ready():
                self.nodes[member].raft.ready()  # that it begins in term 1

    def step(self, member: str, value: object) -> None:
        self.nodes[int(member)].raft.step(self.now, value)

    def do_campaign(self, member: str) -> None:
        self.step(member, Campaign())

    def do_propose(self, member: str, *data: str) -> None:
        self.step(member, Propose(tuple(unfold(d) for d in data)))

    def do_conf(self, member: str, *groups: str) -> None:
        wanted = {key: ids(value) for key, value in (g.split("=") for g in groups)}
        self.step(member, ProposeConf(ConfChange(**wanted)))

    def do_leave(self, member: str) -> None:
        self.step(member, ProposeConf(ConfChange()))

    def do_transfer(self, member: str, to: str) -> None:
        self.step(member, TransferLeader(int(to)))

    def do_read(self, member: str, context: str) -> None:
        self.step(member, ReadRequest(int(context)))

    def do_dead(self, member: str, peer: str) -> None:
        self.step(member, PeerDead(int(peer)))

    def do_unreachable(self, member: str, peer: str) -> None:
        self.step(member, PeerUnreachable(int(peer)))

    def do_snapfail(self, member: str, leader: str, index: str) -> None:
        """The member could not fetch the snapshot that it was offered."""
        term = self.nodes[int(member)].raft.term
        self.wire.append(MsgSnapStatus(int(member), int(leader), term, int(index)))

    def do_compact(self, member: str, index: str, first_kept: str) -> None:
        node = self.nodes[int(member)]
        term = node.disk.term(int(index))
        assert term is not None
        meta = SnapshotMeta(int(index), term, node.raft.status().conf)
        node.disk.save_snapshot(meta, 0, int(first_kept))
        self.step(member, Compacted(meta, int(first_kept)))

    def do_restart(self, member: str) -> None:
        """What was not written yet is lost."""
        self.nodes[int(member)].start(self.now)
        self.wire = [m for m in self.wire if m.to != int(member)]

    def do_tick(self, passed_ms: str) -> None:
        end = self.now + int(passed_ms)
        while True:
            due = min((n.raft.next_deadline_ms(), m) for m, n in self.nodes.items())
            if due[0] > end:
                break
            self.now = max(self.now, due[0])
            self.say(f"{self.now} ms: {due[1]} ticks")
            self.nodes[due[1]].raft.step(self.now, Tick())
        self.now = end

    def do_ready(self, member: str) -> None:
        if not self._take_ready(int(member)):
            self.say("nothing")

    def _take_ready(self, member: int) -> bool:
        node = self.nodes[member]
        if not node.raft.has_ready():
            return False
        ready = node.raft.ready()
        self.say(f"{member}: ready {ready.persist_seq}")
        for line in show_ready(ready):
            self.say(f"  {line}")
        self.wire += ready.messages
        if ready.must_persist or node.writes:
            node.writes.append(ready)
        else:
            self.wire += ready.messages_after_persist
        node.to_apply.extend(ready.committed)
        return True

    def do_persist(self, member: str, count: str = "1000") -> None:
        node = self.nodes[int(member)]
        for _ in range(min(int(count), len(node.writes))):
            ready = node.writes.popleft()
            node.disk.hard_state = ready.hard_state or node.disk.hard_state
            if ready.snapshot is not None:
                node.disk.save_snapshot(ready.snapshot, 0, ready.snapshot.index + 1)
                node.applied = max(node.applied, ready.snapshot.index)
            node.disk.write(ready)
            self.say(f"{member}: {ready.persist_seq} is on disk")
            for message in ready.messages_after_persist:
                self.say(f"  sent: {show(message)}")
            self.wire += ready.messages_after_persist
            node.raft.step(self.now, Persisted(ready.persist_seq))

    def do_apply(self, member: str) -> None:
        node = self.nodes[int(member)]
        while node.to_apply:
            entry = node.to_apply.popleft()
            if entry.index <= node.applied:
                continue
            node.applied = entry.index
            if entry.kind == EntryKind.CONF_CHANGE:
                node.raft.step(self.now, ConfApplied(entry))
                self.say(f"{member}: applies {entry.index}: {show_conf(node.raft.status().conf)}")

    def do_deliver(self, to: str, *how: str) -> None:
        for message in self._taken(int(to), how):
            self.say(f"{show(message)}")
            for _ in range(2 if "twice" in how else 1):
                self.step(to, Received(message))

    def do_drop(self, to: str, *how: str) -> None:
        for message in self._taken(int(to), how):
            self.say(f"lost: {show(message)}")

    def _taken(self, to: int, how: tuple[str, ...]) -> list[AnyMessage]:
        sender = int(how[1]) if how[:1] == ("from",) else 0
        taken = [m for m in self.wire if m.to == to and sender in (0, m.sender)]
        self.wire = [m for m in self.wire if m not in taken]
        return taken

    def do_stabilize(self, *members: str) -> None:
        chosen = members or [str(m) for m in self.nodes]
        busy = True
        while busy:
            length = len(self.lines)
            for member in chosen:
                while self._take_ready(int(member)):
                    pass
                self.do_persist(member)
                self.do_apply(member)
            for member in chosen:
                for message in [m for m in self.wire if str(m.to) == member and str(m.sender) in chosen]:
                    self.wire.remove(message)
                    self.say(f"{show(message)}")
                    self.step(member, Received(message))
            busy = len(self.lines) > length

    def do_status(self, member: str) -> None:
        node = self.nodes[int(member)]
        status = node.raft.status()
        transfer = f", handing over to {status.transfer_to}" if status.transfer_to else ""
        self.say(f"{status.role} in term {status.term}, leader {status.leader}{transfer}")
        self.say(f"log {status.first_index}..{status.last_index}, commit {status.commit}, applied {status.applied}")
        self.say(f"conf {show_conf(status.conf)}{', changing' if status.conf_pending else ''}")
        for follower, f in status.followers.items():
            silent = ", silent" if f.unheard_ms >= node.config.election_ms else ""
            self.say(f"follower {follower}: match {f.match}, {f.state}{silent}")

    def do_log(self, member: str) -> None:
        log = self.nodes[int(member)].raft._me.log
        self.say(repr(log))
        for entry in log.slice(log.offset + 1, log.last):
            self.say(show_entry(entry))


# --- text -------------------------------------------------------------------------------------------------


def ids(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part)


def unfold(text: str) -> bytes:
    """`x*100` is a hundred of x."""
    word, _, times = text.partition("*")
    return word.encode() * int(times or 1)


def show_entry(entry: Entry) -> str:
    """index/term and what is in it."""
    if entry.kind == EntryKind.CONF_CHANGE:
        return f"{entry.index}/{entry.term} conf"
    if len(entry.data) > 20:
        return f"{entry.index}/{entry.term} {len(entry.data)} bytes"
    return f"{entry.index}/{entry.term} {entry.data.decode() or 'empty'}"


def show_conf(conf: ConfState) -> str:
    text = f"voters {list(conf.voters)}"
    if conf.voters_outgoing:
        text += f" and {list(conf.voters_outgoing)}"
    if conf.learners:
        text += f" learners {list(conf.learners)}"
    if conf.learners_next:
        text += f" then learners {list(conf.learners_next)}"
    return text


def show(message: AnyMessage) -> str:
    fields = []
    for name in message.__struct_fields__[3:]:
        value = getattr(message, name)
        if name == "entries":
            fields.append(f"[{', '.join(show_entry(e) for e in value)}]")
        elif name == "meta":
            fields.append(f"{value.index}/{value.term} {show_conf(value.conf)}")
        elif isinstance(value, bool):
            fields += [name] * value
        elif value or (name in ("index", "commit") and "Vote" not in type(message).__name__):
            fields.append(f"{name} {value}")
    return " ".join([f"{message.sender}->{message.to} {type(message).__name__} term {message.term}", *fields])


def show_ready(ready: Ready) -> Iterator[str]:
    if ready.standing is not None:
        yield f"{ready.standing.role} in term {ready.standing.term}, leader {ready.standing.leader}"
    yield from (f"send: {show(m)}" for m in ready.messages)
    if ready.must_persist:
        yield f"write{'' if ready.must_sync else ', no fsync'}: {', '.join(show_write(ready))}"
    yield from (f"then send: {show(m)}" for m in ready.messages_after_persist)
    if ready.committed:
        yield f"apply: {', '.join(show_entry(e) for e in ready.committed)}"
    yield from (f"read {r.context}: {f'at {r.index}' if r.index else 'refused'}" for r in ready.reads)


def show_write(ready: Ready) -> Iterator[str]:
    if ready.hard_state is not None:
        yield f"term {ready.hard_state.term} vote {ready.hard_state.vote} commit {ready.hard_state.commit}"
    if ready.snapshot is not None:
        yield f"snapshot {ready.snapshot.index}/{ready.snapshot.term} {show_conf(ready.snapshot.conf)}"
    if ready.entries:
        yield f"[{', '.join(show_entry(e) for e in ready.entries)}]"
