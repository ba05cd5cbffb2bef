"""A cluster of pure cores under a seeded random schedule.

No clock, no I/O: an event is one delivered message, one finished write, one tick, one crash. Everything follows
from the seed.
"""

import random
from collections import deque
from collections.abc import Callable
from itertools import accumulate

from raft_host import Disk, Host
from raft_observer import Observer

from orion.raft.confchange import ConfRefused, decode_change, is_joint, members, next_conf
from orion.raft.interface import (
    Campaign,
    PeerDead,
    PeerUnreachable,
    ProposalRefused,
    Propose,
    ProposeConf,
    RaftConfig,
    ReadRequest,
    Received,
    Role,
    Tick,
    TransferLeader,
)
from orion.raft.messages import (
    AnyMessage,
    ConfChange,
    ConfState,
    MsgAppResp,
    MsgSnap,
    MsgSnapStatus,
    MsgTimeoutNow,
    MsgVote,
    MsgVoteResp,
    SnapshotMeta,
)

HISTORY = 200  # messages kept to be replayed much later


class World(Observer):
    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self.rng = rng = random.Random(seed)
        self.now = 1_000
        self.log: list[str] = []
        self.loss = rng.choice((0.0, 0.02, 0.2))
        self.twice = rng.choice((0.0, 0.1))
        self.in_order = rng.random() < 0.5
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
        self.gone: set[int] = set()  # members that died for good
        self.counter = 0

        count = rng.choice((1, 3, 3, 3, 5))
        self.start_conf = ConfState(voters=tuple(range(1, count + 1)))
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
            self.observe_promise(host, message)
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
        if (message.sender, message.to) not in self.cut and message.to not in self.gone:
            self.receive(message)

    def receive(self, message: AnyMessage) -> None:
        host = self.hosts[message.to]
        self.trace(f"{message}")
        if isinstance(message, MsgSnap):
            source = self.hosts[message.sender].disk
            if message.sender in self.gone or source.snapshot.index != message.meta.index:  # its bytes are gone
                status = MsgSnapStatus(host.id, message.sender, message.term, message.meta.index)
                self._send(status)
                return
            host.fetched[message.meta.index] = source.state
        host.step(Received(message))

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
        for host in self.alive():
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

    def alive(self) -> list[Host]:
        return [host for host in self.hosts.values() if host.id not in self.gone]

    def tell_half_of_a_change(self) -> None:
        """Voters and learners change places, and what the leader says of it reaches now these and now those."""
        self.cut.clear()
        for wanted in (self._with_learners, self._with_other_voters):
            leader = self._calm_leader()
            if leader is None:
                return
            try:
                leader.step(ProposeConf(wanted(leader.raft.conf)))
            except ProposalRefused:
                return
        others = [member for member in self.hosts if member != leader.id]
        for _ in range(self.rng.randint(2, 12)):
            deaf = self.rng.sample(others, self.rng.randint(0, len(others)))
            self.cut = {(leader.id, member) for member in deaf}
            if self.rng.random() < 0.5:
                self._propose_at(leader)
            if self.rng.random() < 0.3:
                self.pass_time()
            self.burst()
            for host in self.hosts.values():
                host.drain()

    def _calm_leader(self) -> Host | None:
        """Who leads once all that is under way has arrived, if anybody does within a few elections."""
        for _ in range(40):
            leader = self.leading()
            if leader is not None:
                status = leader.raft.status()
                if leader.raft._me.committed_in_term and not status.conf_pending and not is_joint(status.conf):
                    return leader
            self._turn()
        return None

    def _with_learners(self, conf: ConfState) -> ConfChange:
        voters = conf.voters[: self.rng.choice((1, 2, 3, 3, 3))]  # there are always members that don't vote
        return ConfChange(voters, tuple(member for member in self.hosts if member not in voters))

    def _with_other_voters(self, conf: ConfState) -> ConfChange:
        """Learners become voters, or one takes the place of a voter."""
        learners = self.rng.sample(conf.learners, self.rng.randint(min(1, len(conf.learners)), len(conf.learners)))
        voters = conf.voters if self.rng.random() < 0.6 else conf.voters[:-1]
        return ConfChange((*voters, *learners))

    def lose_a_minority(self) -> None:
        """Some members die for good, mostly the leader among them: no more of any configuration that is in force
        somewhere, or that a log may yet bring into force, than it can do without.
        """
        groups = {group for host in self.hosts.values() for conf in _confs(host) for group in _groups(conf)}
        order = self.rng.sample(list(self.hosts), len(self.hosts))
        if (leader := self.leading()) is not None and self.rng.random() < 0.8:
            order.remove(leader.id)
            order.insert(0, leader.id)
        for member in order[: self.rng.choice((1, 1, 2, 5))]:
            gone = self.gone | {member}
            if all(2 * len(gone & group) < len(group) for group in groups):
                self.gone = gone
        self.trace(f"gone for good: {sorted(self.gone)}")

    def settle(self, limit_ms: int = 60_000) -> None:
        """Faults have ended: within `limit_ms` a leader commits, all members that live follow, no configuration is
        joint.
        """
        self.loss = self.twice = 0.0
        self.in_order = True
        self.cut.clear()
        end = self.now + limit_ms
        self.counter += 1
        final, proposed = b"final %d" % self.counter, 0
        while not self._is_settled(proposed):
            assert self.now < end, f"not settled: {[h.raft.status() for h in self.alive()]}"
            self._turn()
            leaders = [h for h in self.alive() if h.raft.role is Role.LEADER]
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
            for host in self.alive():
                host.drain()
                busy = busy or bool(host.writes) or bool(host.to_apply) or bool(self.wire)
                host.finish_writes(len(host.writes))
                host.apply(len(host.to_apply))
                host.drain()
        self.now = max(self.now, min(h.raft.next_deadline_ms() for h in self.alive()))
        self.tick_due()

    def _is_settled(self, proposed: int) -> bool:
        leaders = [h for h in self.alive() if h.raft.role is Role.LEADER]
        if not proposed or len(leaders) != 1:
            return False
        status = leaders[0].raft.status()
        if is_joint(status.conf) or status.conf_pending or status.commit < proposed:
            return False
        return all(self.hosts[m].applied >= proposed for m in members(status.conf) if m not in self.gone)


def _confs(host: Host) -> list[ConfState]:
    """The configuration in force on this host, and those to which its log leads from there."""
    me = host.raft._me
    confs = [me.conf]
    for index in me.log.confs:
        if index > me.conf_index:
            try:
                confs.append(next_conf(confs[-1], decode_change(me.log.slice(index, index)[0].data)))
            except ConfRefused:
                continue
    return confs


def _groups(conf: ConfState) -> list[frozenset[int]]:
    return [frozenset(group) for group in (conf.voters, conf.voters_outgoing) if group]
