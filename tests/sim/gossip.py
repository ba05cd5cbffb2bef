"""A small SWIM for simulated machines: what its users can observe is what kinship shows. Members probe each other,
directly and through others; one that does not answer is suspect, and dead unless it refutes that in time; views
spread by exchange between members that reach each other. Where no datagrams get through, a probe goes by a
connection, which may be late, and views meet by push and pull alone: nobody hears in time that he is suspect.

The protocol runs beside the process, as kinship's thread does: a busy event loop is not a dead member, but a
stalled or killed process is.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection

import msgspec

from orion.model.ids import NodeId
from orion.model.membership import GONE, PRESENT, MemberState
from orion.ports.membership import Member, MemberEvent, MemberEventKind
from sim.loop import Process, ProcessState
from sim.network import Network, host_of

TICK_MS = 125
PROBE_EVERY_TICKS = 2
SUSPICION_MS = 750
INDIRECT_PROBES = 3
GOSSIP_TO = 2
PUSH_PULL_MS = 10_000
RECONNECT_MS = 2_000  # how often a dead member, and seeds that are no members, are tried again
LEAVE_MS = 400
EVENT_BUFFER = 1_024
RANK = {state: rank for rank, state in enumerate(MemberState)}


class Record(msgspec.Struct, frozen=True):
    """One member in one view. The greater (epoch, incarnation, rank of state) is the newer news."""

    node: NodeId
    address: str
    epoch: int
    incarnation: int
    state: MemberState
    metadata: dict[str, str]
    since_ms: int = 0  # when this view took the state up; not spread

    @property
    def news(self) -> tuple[int, int, int]:
        return self.epoch, self.incarnation, RANK[self.state]

    def is_as_new_as(self, other: "Record") -> bool:
        """Whether neither is newer. Most records that are heard again are so."""
        same = self.incarnation == other.incarnation and self.state is other.state
        return same and self.epoch == other.epoch

    def shown(self) -> Member:
        return Member(self.node, self.state, self.address, self.epoch, self.metadata)


class Gossip:
    """Who listens on which gossip address, and how well members hear each other."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.world = network.world
        self.late_pings = 0.0  # probability that a ping by a connection, where no datagrams get through, is late
        self.lose_events = 0.0  # probability, at each event, that a reader's buffer is lost
        self.members: dict[str, SimMembership] = {}
        self.epochs: dict[str, int] = {}
        self.rng = self.world.rng("gossip")

    def hears(self, one: "SimMembership", other: "SimMembership | None") -> bool:
        """Whether a probe from one to the other is answered in time."""
        if other is None or other.process.state is not ProcessState.RUNNING or not other.running:
            return False
        if self.network.no_datagrams and self.late_pings and self.rng.random() < self.late_pings:
            return False
        return self.network.arrives(one.host, other.host)

    def exchange(self, one: "SimMembership", other: "SimMembership") -> None:
        """Push and pull: each takes up what the other knows better."""
        theirs = list(other.view.values())
        other.take(list(one.view.values()))
        one.take(theirs)


class SimMembership:
    """The Membership port of one process. `memory` is kept by the machine: addresses where others once lived."""

    def __init__(
        self,
        gossip: Gossip,
        process: Process,
        node: NodeId,
        address: str,
        seeds: tuple[str, ...],
        memory: dict[str, None] | None = None,
    ) -> None:
        self.process = process
        self.host = host_of(address)
        self.view: dict[NodeId, Record] = {}
        self.running = False
        self._gossip = gossip
        self._world = gossip.world
        self._node = node
        self._address = address
        self._seeds = tuple(seed for seed in seeds if seed != address)
        self._memory = {} if memory is None else memory
        self._readers: list[_Reader] = []
        self._ticks = 0
        self._probe_round: list[NodeId] = []
        self._reconnect_at_ms = 0

    # --- port ---------------------------------------------------------------------------------------------

    async def start(self, metadata: dict[str, str]) -> None:
        gossip = self._gossip
        epoch = max(self._world.wall_ms, gossip.epochs.get(self._node, 0) + 1)
        gossip.epochs[self._node] = epoch
        self.view[self._node] = Record(self._node, self._address, epoch, 0, MemberState.ALIVE, dict(metadata))
        gossip.members[self._address] = self
        self.running = True
        self._world.after(gossip.rng.uniform(1, TICK_MS), self._tick)

    async def join(self) -> int:
        await asyncio.sleep(self._gossip.rng.uniform(1, 10) / 1000)
        return self._try_seeds(everyone=True) or len(self._others(PRESENT))

    def members(self) -> list[Member]:
        return [record.shown() for _, record in sorted(self.view.items())]

    def events(self) -> AsyncIterator[MemberEvent]:
        reader = _Reader()
        self._readers.append(reader)
        return reader

    async def set_metadata(self, metadata: dict[str, str]) -> None:
        me = self.view[self._node]
        self.view[self._node] = msgspec.structs.replace(me, incarnation=me.incarnation + 1, metadata=dict(metadata))

    async def leave(self) -> None:
        me = self.view[self._node]
        self.view[self._node] = msgspec.structs.replace(me, state=MemberState.LEFT, incarnation=me.incarnation + 1)
        self._spread()
        await asyncio.sleep(LEAVE_MS / 1000)

    async def close(self) -> None:
        self.vanish()

    def vanish(self) -> None:
        self.running = False
        if self._gossip.members.get(self._address) is self:
            del self._gossip.members[self._address]
        if self.process.alive:
            self.process.post(self._end_readers)

    def _end_readers(self) -> None:
        for reader in self._readers:
            reader.end()

    # --- protocol, run by the world -----------------------------------------------------------------------

    def _tick(self) -> None:
        if not self.running or not self.process.alive:
            return
        self._world.after(TICK_MS, self._tick)
        if self.process.state is not ProcessState.RUNNING:
            return
        self._ticks += 1
        if self.view[self._node].state is MemberState.ALIVE:
            if self._ticks % PROBE_EVERY_TICKS == 0:
                self._probe()
            self._bury()
            self._reconnect()
        if not self._gossip.network.no_datagrams:
            self._spread()
        elif self._ticks % (PUSH_PULL_MS // TICK_MS) == 0:
            self._spread()
            self._world.count("push and pull without datagrams")

    def _others(self, states: Collection[MemberState]) -> list[Record]:
        return [r for n, r in sorted(self.view.items()) if n != self._node and r.state in states]

    def _probe(self) -> None:
        if not self._probe_round:
            self._probe_round = [record.node for record in self._others(PRESENT)]
            self._gossip.rng.shuffle(self._probe_round)
        if not self._probe_round:
            return
        record = self.view[self._probe_round.pop()]
        if record.state is MemberState.ALIVE and not self._answers(record):
            self._world.count("member suspected")
            self._set(msgspec.structs.replace(record, state=MemberState.SUSPECT))

    def _answers(self, record: Record) -> bool:
        gossip = self._gossip
        target = gossip.members.get(record.address)
        if target is not None and target.view[record.node].epoch != record.epoch:
            gossip.exchange(self, target)  # another run of it answers, and tells so
            return True
        if gossip.hears(self, target):
            return True
        if gossip.network.no_datagrams:
            return False
        others = [r for r in self._others((MemberState.ALIVE,)) if r.node != record.node]
        for other in gossip.rng.sample(others, min(INDIRECT_PROBES, len(others))):
            helper = gossip.members.get(other.address)
            if gossip.hears(self, helper) and helper is not None and gossip.hears(helper, target):
                return True
        return False

    def _bury(self) -> None:
        """Calls suspects dead whose time is up."""
        for record in self._others((MemberState.SUSPECT,)):
            if self._world.now_ms - record.since_ms >= SUSPICION_MS:
                target = self._gossip.members.get(record.address)
                if target is not None and target.process.state is ProcessState.RUNNING:
                    self._world.count("member called dead though it runs")
                self._set(msgspec.structs.replace(record, state=MemberState.DEAD))

    def _reconnect(self) -> None:
        if self._world.now_ms < self._reconnect_at_ms:
            return
        self._reconnect_at_ms = self._world.now_ms + RECONNECT_MS
        dead = self._others(GONE)
        if dead:
            record = self._gossip.rng.choice(dead)
            target = self._gossip.members.get(record.address)
            if target is not None and self._gossip.hears(self, target):
                self._gossip.exchange(self, target)
        self._try_seeds()

    def _spread(self) -> None:
        others = self._others(PRESENT)
        for record in self._gossip.rng.sample(others, min(GOSSIP_TO, len(others))):
            target = self._gossip.members.get(record.address)
            if target is not None and self._gossip.hears(self, target):
                self._gossip.exchange(self, target)

    def _try_seeds(self, *, everyone: bool = False) -> int:
        """Those that are not live members, until one answers: two islands must not each be content with itself."""
        answered = 0
        living = {record.address for record in self._others(PRESENT)}
        for seed in (*self._seeds, *self._memory):
            if seed in living or seed == self._address:
                continue
            target = self._gossip.members.get(seed)
            if target is not None and self._gossip.hears(self, target):
                self._gossip.exchange(self, target)
                answered += 1
                if not everyone:
                    break
        return answered

    # --- views --------------------------------------------------------------------------------------------

    def take(self, records: list[Record]) -> None:
        for record in records:
            known = self.view.get(record.node)
            if known is not None and known.is_as_new_as(record):
                continue
            if record.node == self._node:
                self._hear_of_myself(record)
            elif known is None or record.news > known.news:
                self._set(record)

    def _hear_of_myself(self, record: Record) -> None:
        me = self.view[self._node]
        if record.epoch > me.epoch:  # an older run whose clock was ahead
            self._gossip.epochs[self._node] = record.epoch + 1
            self.view[self._node] = msgspec.structs.replace(me, epoch=record.epoch + 1)
        elif me.state is MemberState.ALIVE and record.epoch == me.epoch and record.news > me.news:
            self._world.count("suspicion refuted")
            self.view[self._node] = msgspec.structs.replace(me, incarnation=record.incarnation + 1)

    def _set(self, record: Record) -> None:
        known = self.view.get(record.node)
        since_ms = self._world.now_ms
        self.view[record.node] = msgspec.structs.replace(record, since_ms=since_ms)
        self._memory[record.address] = None
        for kind in _kinds(known, record):
            self._world.trace(self._node, f"gossip {record.node} {kind}")
            event = MemberEvent(kind, record.shown())
            if self._gossip.lose_events and self._gossip.rng.random() < self._gossip.lose_events:
                self._world.count("gossip events lost")
                event = MemberEvent(MemberEventKind.LOST, None)
            self.process.post(self._tell, event)

    def _tell(self, event: MemberEvent) -> None:
        for reader in self._readers:
            reader.put(event)


def _kinds(known: Record | None, now: Record) -> list[MemberEventKind]:
    """The events that tell of a change of view."""
    was = known.state if known is not None else MemberState.LEFT
    if known is not None and now.epoch > known.epoch and was not in GONE:
        # A new run replaced the old one.
        left = MemberEventKind.LEFT
        return [left, MemberEventKind.JOINED] if now.state in PRESENT else [left]
    if now.state is MemberState.ALIVE and was in GONE:
        return [MemberEventKind.JOINED]
    if now.state is MemberState.SUSPECT and was in GONE:
        return [MemberEventKind.JOINED, MemberEventKind.SUSPECT]
    if now.state is MemberState.ALIVE and was is MemberState.SUSPECT:
        return [MemberEventKind.RECOVERED]
    if now.state is not was:
        return [] if known is None else [MemberEventKind(now.state.value)]
    return [MemberEventKind.UPDATED] if known is not None and known.metadata != now.metadata else []


class _Reader:
    """One subscription: starts when made, loses the oldest when its reader lags, and says so."""

    def __init__(self) -> None:
        self._events: deque[MemberEvent] = deque()
        self._moved = asyncio.Event()
        self._ended = False

    def put(self, event: MemberEvent) -> None:
        if event.kind is MemberEventKind.LOST or len(self._events) >= EVENT_BUFFER:
            self._events.clear()
            event = MemberEvent(MemberEventKind.LOST, None)
        self._events.append(event)
        self._moved.set()

    def end(self) -> None:
        self._ended = True
        self._moved.set()

    def __aiter__(self) -> "_Reader":
        return self

    async def __anext__(self) -> MemberEvent:
        while not self._events:
            if self._ended:
                raise StopAsyncIteration
            self._moved.clear()
            await self._moved.wait()
        return self._events.popleft()
