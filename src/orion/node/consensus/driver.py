"""Persist, send, apply, in that order: the runners around the consensus core.

    inputs (messages, proposals, time) ─► core ─► Ready ─┬─► messages at once
                                                         ├─► log writer: one transaction and fsync ─► the
                                                         │   messages that had to wait for it ─► Persisted ─► core
                                                         └─► apply ─► waiters, watch, ConfApplied ─► core

The core runner never waits for the disk: while a batch is being written, inputs gather and become the next batch
(group commit), and a leader's followers write at the same time as it does.
"""

import asyncio
import contextlib
import logging
import random
from collections import deque
from collections.abc import Callable

import msgspec

from orion.model.errors import OrionError, TooLarge, Unavailable
from orion.model.ids import RaftId
from orion.node.consensus.applied import AppliedWatch
from orion.node.consensus.intake import Intake, require_readable
from orion.node.consensus.log_writer import LogWriter
from orion.node.consensus.snapshots import Snapshots
from orion.node.runtime.alarm import Alarm
from orion.ports.clock import Clock
from orion.ports.log import LogBatch, LogStore
from orion.ports.peers import Peers
from orion.raft.core import Raft
from orion.raft.interface import (
    ConfApplied,
    Input,
    PeerDead,
    PeerUnreachable,
    Persisted,
    Persistent,
    ProposalRefused,
    Propose,
    ProposeConf,
    RaftConfig,
    ReadRequest,
    ReadState,
    Ready,
    Received,
    Role,
    SoftState,
    Tick,
    TransferLeader,
)
from orion.raft.messages import AnyMessage, ConfChange, Entry, EntryKind, HardState, MsgSnap
from orion.state.apply import apply
from orion.state.step import Applied
from orion.state.tables import State
from orion.state.view import View
from orion.wire.envelopes import MAX_ENTRY_BYTES

log = logging.getLogger(__name__)

MAX_COMMAND_BYTES = MAX_ENTRY_BYTES
MAX_INBOX_MESSAGES = 8_192  # past this, messages are dropped
MAX_INBOX_BYTES = 64 * 1024 * 1024  # of entries; a leader has a quarter of it under way
MAX_WAITING_PROPOSALS = 8_192
MAX_WAITING_BYTES = 64 * 1024 * 1024
MAX_PROPOSALS_PER_TURN = 512
MAX_BYTES_PER_TURN = MAX_COMMAND_BYTES  # of proposals, the last one not counted
MAX_UNAPPLIED_ENTRIES = 16_384  # past this, the core waits
APPLY_SLICE_MS = 5  # apply this long, then let the loop breathe
APPLY_LOOK_BYTES = 4_096  # of commands, between two looks at the clock: one plan may take longer than a slice
APPLY_ENTRY_BYTES = 256  # what an entry by itself counts for
MAX_READ_ROUNDS = 64  # past this, rounds whose readers have all given up are forgotten
READ_RETRY_S = 0.25  # a read round whose messages were lost is asked again


class Committed(msgspec.Struct, frozen=True):
    """What a proposer gets back: where its command was committed and what `apply` answered."""

    index: int
    result: object


class _Proposal(msgspec.Struct):
    data: bytes
    done: asyncio.Future[Committed]


class _Waiter(msgspec.Struct):
    term: int
    done: asyncio.Future[Committed]


class RaftDriver:
    """Owns the core, the applied state and everything between them and the disk.

    `address_of` finds a member's peer address; None when it is not known (its messages are then lost).
    """

    def __init__(
        self,
        *,
        config: RaftConfig,
        clock: Clock,
        store: LogStore,
        peers: Peers,
        watch: AppliedWatch,
        snapshots: Snapshots,
        rng: random.Random,
        address_of: Callable[[RaftId], str | None],
    ) -> None:
        self._config = config
        self._clock = clock
        self._store = store
        self._peers = peers
        self._rng = rng
        self._address_of = address_of
        self._intake = Intake(clock, address_of)
        self._inbox: deque[AnyMessage] = deque()
        self._inbox_bytes = 0  # of their entries
        self._proposals: deque[_Proposal] = deque()
        self._waiting_bytes = 0  # of their commands
        self._waiters: dict[int, _Waiter] = {}
        self._readers: list[asyncio.Future[int]] = []
        self._read_rounds: dict[int, list[asyncio.Future[int]]] = {}
        self._read_context = 0
        self._wake = asyncio.Event()
        self._alarm = Alarm(clock, self._wake.set)
        self._writer = LogWriter(store, self._install, self._persisted)
        self._applies: deque[Entry] = deque()
        self._unapplied = asyncio.Event()
        self._caught_up = asyncio.Event()
        self._closed = False
        self.watch = watch
        self.snapshots = snapshots
        self.state = State()
        self.view = View(self.state)
        self._excluded = False  # until a leader speaks to this node again
        self.installs = 0  # how often another state took the place of this one
        self.applied_index = 0
        self.applied_term = 0
        self.standing = SoftState(role=Role.FOLLOWER, term=0, leader=0)
        self.on_standing: Callable[[SoftState], None] = lambda _: None
        self.raft: Raft

    # --- life ---------------------------------------------------------------------------------------------

    async def load(self, persistent: Persistent) -> None:
        """Begin with what the disk holds: state from its snapshot, the core from its log. Raises Corrupt when the
        snapshot is damaged, Unreadable when the log holds what can't be understood.
        """
        require_readable(persistent)
        if persistent.snapshot.index:
            self._set_state(await self.snapshots.restore_stored(persistent.snapshot.index))
        self.applied_index = persistent.snapshot.index
        self.applied_term = persistent.snapshot.term
        self.watch.reset(self.applied_index)
        self.raft = Raft(self._config, persistent, self._rng, self._clock.now_ms())
        self._writer.last_index = self.raft.last_index

    async def run(self) -> None:
        """Until cancelled. A failure of the disk or of `apply` raises out of here and ends the node."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._run_core(), name="raft-core")
                group.create_task(self._writer.run(), name="raft-writer")
                group.create_task(self._run_applier(), name="raft-applier")
                group.create_task(self.snapshots.run(self), name="raft-snapshots")
        finally:
            self._closed = True
            self._alarm.cancel()
            self._fail_everything(Unavailable("this node is stopping"))

    # --- what others ask ----------------------------------------------------------------------------------

    @property
    def is_leader(self) -> bool:
        return self.standing.role is Role.LEADER

    async def until(self, *, leading: bool) -> None:
        while self.is_leader != leading:
            await self.watch.changed()

    @property
    def is_member(self) -> bool:
        """Whether the applied configuration holds this node, so that its state follows the cluster's."""
        conf, me = self.raft.conf, self._config.id
        return not self._excluded and (me in conf.voters or me in conf.learners or me in conf.voters_outgoing)

    def exclude(self) -> None:
        """The leader says that a later configuration, which this node never saw, is without it (exclusion.py)."""
        self._excluded = True
        self.watch.nudge()

    def receive(self, message: AnyMessage) -> None:
        """Takes a message from a peer, or drops it: Raft treats that as loss."""
        size = self._intake.size_of(message)
        if size is None or len(self._inbox) >= MAX_INBOX_MESSAGES or self._inbox_bytes + size > MAX_INBOX_BYTES:
            return
        if isinstance(message, MsgSnap) and message.term >= self.raft.term:
            # Its bytes come first; snapshots.py steps the message in when they are here.
            if self.raft.believes(message):
                self.snapshots.offered(message)
            return
        self._inbox.append(message)
        self._inbox_bytes += size
        self._wake.set()

    def step(self, value: Input) -> None:
        """Step an input that can't be refused."""
        self.raft.step(self._clock.now_ms(), value)
        self._wake.set()

    async def propose(self, command: bytes) -> Committed:
        """Returns once the command is committed and applied here.

        Raises Unavailable when this node does not lead or stops leading (the entry may yet survive), TooLarge
        past 4 MiB. The deadline is the caller's.
        """
        if len(command) > MAX_COMMAND_BYTES:
            raise TooLarge(f"a command of {len(command)} bytes is over the limit of {MAX_COMMAND_BYTES}")
        if self._closed or not self.is_leader:
            raise Unavailable("this node does not lead the cluster")
        if len(self._proposals) >= MAX_WAITING_PROPOSALS or self._waiting_bytes >= MAX_WAITING_BYTES:
            raise Unavailable("too many writes are waiting; try again in a moment")
        done: asyncio.Future[Committed] = asyncio.get_running_loop().create_future()
        self._proposals.append(_Proposal(command, done))
        self._waiting_bytes += len(command)
        self._wake.set()
        return await done

    def propose_conf(self, change: ConfChange) -> None:
        """Raises Unavailable when the core refuses it now."""
        try:
            self.step(ProposeConf(change))
        except ProposalRefused as error:
            raise Unavailable(error.reason) from None

    def transfer(self, to: RaftId | int) -> None:
        self.step(TransferLeader(to))

    def peer_unreachable(self, peer: RaftId) -> None:
        self.step(PeerUnreachable(peer))

    @property
    def leader_unheard_ms(self) -> int:
        """For how long a member that does not lead has not heard its leader."""
        return self._clock.now_ms() - self.raft.leader_heard_ms

    def peer_dead(self, peer: RaftId) -> None:
        self.step(PeerDead(peer))

    async def read_barrier(self) -> int:
        """Returns, at an index >= every write acknowledged before the call, with that index applied here.

        Waits through elections: the deadline is the caller's.
        """
        loop = asyncio.get_running_loop()
        while not self._closed:
            safe: asyncio.Future[int] = loop.create_future()
            self._readers.append(safe)
            self._wake.set()
            try:
                done, _ = await asyncio.wait([safe], timeout=READ_RETRY_S)
            finally:
                safe.cancel()  # unless answered: nobody waits for this round any more
            if done and (index := safe.result()):
                await self.watch.reached(index)
                return index
            if done:  # refused: no leader yet, or it has not committed in its term
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(READ_RETRY_S / 10):
                        await self.watch.changed()
        raise Unavailable("this node is stopping")

    # --- core ---------------------------------------------------------------------------------------------

    async def _run_core(self) -> None:
        while True:
            self._alarm.set(self.raft.next_deadline_ms())
            await self._wake.wait()
            self._wake.clear()
            self._step_inputs()
            while self.raft.has_ready():
                await self._handle(self.raft.ready())

    def _step_inputs(self) -> None:
        raft, now = self.raft, self._clock.now_ms()
        inbox = self._inbox
        while inbox:
            raft.step(now, Received(inbox.popleft()))
        self._inbox_bytes = 0
        # After the inbox: a node that was held up has its leader's heartbeats there, and need not doubt it.
        if now >= raft.next_deadline_ms():
            raft.step(now, Tick())
        if self._proposals:
            self._step_proposals(now)
        readers = [r for r in self._readers if not r.done()]
        if readers:
            if len(self._read_rounds) >= MAX_READ_ROUNDS:
                self._forget_abandoned_reads()
            self._read_context += 1
            self._read_rounds[self._read_context] = readers
            raft.step(now, ReadRequest(self._read_context))
        self._readers.clear()

    def _forget_abandoned_reads(self) -> None:
        self._read_rounds = {c: rs for c, rs in self._read_rounds.items() if any(not r.done() for r in rs)}

    def _step_proposals(self, now: int) -> None:
        batch: list[_Proposal] = []
        size = 0
        while self._proposals and len(batch) < MAX_PROPOSALS_PER_TURN and size < MAX_BYTES_PER_TURN:
            proposal = self._proposals.popleft()
            self._waiting_bytes -= len(proposal.data)
            if not proposal.done.done():  # else its caller has given up
                batch.append(proposal)
                size += len(proposal.data)
        if self._proposals:
            self._wake.set()
        if not batch:
            return
        try:
            self.raft.step(now, Propose(tuple(p.data for p in batch)))
        except ProposalRefused as error:
            for proposal in batch:
                proposal.done.set_exception(Unavailable(error.reason))
            return
        for index, proposal in enumerate(batch, self.raft.last_index - len(batch) + 1):
            self._waiters[index] = _Waiter(self.raft.term, proposal.done)

    def _tell_replaced(self, entries: tuple[Entry, ...]) -> None:
        """Another leader's entries replace what was proposed here from the first of them on: it never was committed
        and never will be. Without this a proposer waits until the log is as long again.
        """
        first = entries[0].index
        for index in [i for i in self._waiters if i >= first]:
            kept = index - first < len(entries) and entries[index - first].term == self._waiters[index].term
            if not kept:
                self._give_up(index, "another node leads now; the write was replaced by others")

    def _give_up(self, index: int, words: str) -> None:
        done = self._waiters.pop(index).done
        if not done.done():
            done.set_exception(Unavailable(words))

    async def _handle(self, ready: Ready) -> None:
        if ready.standing is not None and ready.standing != self.standing:
            self.standing = ready.standing
            self._excluded = self._excluded and not ready.standing.leader
            self.on_standing(ready.standing)
        if ready.entries and self._waiters and not self.is_leader:
            self._tell_replaced(ready.entries)
        self._send(ready.messages)
        if ready.must_persist or (ready.messages_after_persist and not self._writer.idle):
            await self._writer.put(ready)
        else:
            self._send(ready.messages_after_persist)
        for read in ready.reads:
            self._answer_read(read)
        if ready.committed:
            await self._apply_all(ready.committed)

    def _send(self, messages: tuple[AnyMessage, ...]) -> None:
        if len(messages) == 1:
            self._send_to(messages[0].to, messages)
            return
        grouped: dict[int, list[AnyMessage]] = {}
        for message in messages:
            grouped.setdefault(message.to, []).append(message)
        for to, group in grouped.items():
            self._send_to(to, group)

    def _send_to(self, to: int, messages: "tuple[AnyMessage, ...] | list[AnyMessage]") -> None:
        address = self._address_of(RaftId(to))
        if address is None:
            self.step(PeerUnreachable(to))
        else:
            self._peers.send(address, RaftId(to), messages)

    def _answer_read(self, read: ReadState) -> None:
        for context in [c for c in self._read_rounds if c <= read.context]:
            if context == read.context or read.index:
                for reader in self._read_rounds.pop(context):
                    if not reader.done():
                        reader.set_result(read.index)

    # --- disk ---------------------------------------------------------------------------------------------

    async def _install(self, ready: Ready, hard_state: HardState | None) -> None:
        """The entries after the snapshot are written after it, so what is committed of them is said with them: a
        log must never be shorter than its commit index.
        """
        meta = ready.snapshot
        assert meta is not None
        first = hard_state
        if hard_state is not None and hard_state.commit > meta.index:
            first = msgspec.structs.replace(hard_state, commit=meta.index)
        await self.snapshots.install(meta, first, self)
        if ready.entries:
            await self._store.persist(LogBatch(hard_state, ready.entries, must_sync=True))

    def _persisted(self, batch: list[Ready]) -> None:
        for ready in batch:
            self._send(ready.messages_after_persist)
        self.step(Persisted(batch[-1].persist_seq))

    # --- apply --------------------------------------------------------------------------------------------

    async def _apply_all(self, committed: tuple[Entry, ...]) -> None:
        """At once, in slices: what is left after the first is the applier's."""
        while len(self._applies) >= MAX_UNAPPLIED_ENTRIES:
            self._caught_up.clear()
            await self._caught_up.wait()
        self._applies.extend(committed)
        if not self._unapplied.is_set():
            self._apply_some()

    async def _run_applier(self) -> None:
        """Goes on with what one turn of the loop was too short for."""
        while True:
            await self._unapplied.wait()
            await asyncio.sleep(0)
            self._apply_some()

    def _apply_some(self) -> None:
        began_ms = self._clock.now_ms()
        unseen_bytes = 0  # applied since the last look at the clock
        while self._applies:
            entry = self._applies.popleft()
            self._apply(entry)
            unseen_bytes += APPLY_ENTRY_BYTES + len(entry.data)
            if unseen_bytes >= APPLY_LOOK_BYTES:
                if self._clock.now_ms() - began_ms >= APPLY_SLICE_MS:
                    break
                unseen_bytes = 0
        self.snapshots.consider(self)
        if self._applies:
            self._unapplied.set()
        else:
            self._unapplied.clear()
            self._caught_up.set()

    def _apply(self, entry: Entry) -> None:
        if entry.index <= self.applied_index:
            return  # a snapshot that was installed meanwhile covers it
        applied = Applied(None, ())
        if entry.kind == EntryKind.CONF_CHANGE:
            self.step(ConfApplied(entry))
        elif entry.data:
            applied = apply(self.state, entry.index, entry.data)
            self.snapshots.applied_bytes += len(entry.data)
        self.applied_index, self.applied_term = entry.index, entry.term
        self._resolve(entry, applied)
        self.watch.advance(entry.index, applied.events)

    def _resolve(self, entry: Entry, applied: Applied) -> None:
        waiter = self._waiters.pop(entry.index, None)
        if waiter is None or waiter.done.done():
            return
        if waiter.term != entry.term:
            waiter.done.set_exception(Unavailable("another node leads now; the write was replaced by others"))
        elif isinstance(applied.result, OrionError):
            waiter.done.set_exception(applied.result)
        else:
            waiter.done.set_result(Committed(entry.index, applied.result))

    def installed(self, state: State, index: int, term: int) -> None:
        """A snapshot has replaced the log: its state is the state."""
        self._set_state(state)
        self.applied_index, self.applied_term = index, term
        for waiting in list(self._waiters):  # those past the snapshot too: it took the place of the whole log
            self._give_up(waiting, "leadership changed; the write may or may not survive")
        self.watch.reset(index)

    def _set_state(self, state: State) -> None:
        self.state, self.view = state, View(state)
        self.installs += 1

    def disk_bytes(self) -> int:
        return self._store.bytes_on_disk()

    def _fail_everything(self, error: OrionError) -> None:
        futures = [w.done for w in self._waiters.values()] + [p.done for p in self._proposals]
        for future in futures:
            if not future.done():
                future.set_exception(error)
                future.exception()  # nobody may be left to hear it
        for readers in (*self._read_rounds.values(), self._readers):
            for reader in readers:
                if not reader.done():
                    reader.set_result(0)
        self._waiters.clear()
        self._proposals.clear()
        self._waiting_bytes = 0
