"""Persist, send, apply, in that order: the runners around the consensus core.

    inputs (messages, proposals, reads, time) ─► core ─► Ready ─┬─► messages at once
                                                                ├─► log writer: one transaction and fsync ─► what
                                                                │   had to wait for it ─► Persisted ─► core
                                                                ├─► read rounds: who asked, at which index
                                                                └─► applier ─► proposers, watch, ConfApplied ─► core

The core runner never waits for the disk: while a batch is being written, inputs gather and become the next batch
(group commit), and a leader's followers write at the same time as it does.
"""

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence

import msgspec

from orion.model.errors import Unavailable
from orion.model.ids import RaftId
from orion.node.consensus.applied import AppliedWatch
from orion.node.consensus.applier import Applier
from orion.node.consensus.intake import Intake, require_readable
from orion.node.consensus.log_writer import LogWriter
from orion.node.consensus.proposals import Committed, Proposals, require_size
from orion.node.consensus.read_rounds import ReadRounds
from orion.node.consensus.snapshots import Snapshots
from orion.node.runtime.alarm import Alarm
from orion.node.runtime.bell import Bell
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
    Ready,
    Received,
    Role,
    SoftState,
    Tick,
    TransferLeader,
)
from orion.raft.messages import AnyMessage, ConfChange, Entry, EntryKind, HardState, MsgSnap
from orion.state.core.step import Applied
from orion.state.tables import State
from orion.state.view import View

MAX_INBOX_MESSAGES = 8_192  # past this, messages are dropped
MAX_INBOX_BYTES = 64 * 1024 * 1024  # of entries; a leader has a quarter of it under way
READ_RETRY_S = 0.25  # a read round whose messages were lost is asked again


class RaftDriver:
    """Owns the core, and what its inputs come from and its outputs go to.

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
        self._proposals = Proposals()
        self._read_rounds = ReadRounds()
        self._wake = Bell()
        self._alarm = Alarm(clock, self._wake.ring)
        self._writer = LogWriter(store, self._install, self._persisted)
        self._applier = Applier(
            clock=clock,
            watch=watch,
            on_conf=lambda entry: self.step(ConfApplied(entry)),
            on_applied=self._on_applied,
            on_slice=lambda: snapshots.consider(self),
        )
        self._closed = False
        self._excluded = False  # until a leader speaks to this node again
        self.watch = watch
        self.snapshots = snapshots
        self.commits = self._proposals.times
        self.standing = SoftState(role=Role.FOLLOWER, term=0, leader=0)
        self.on_standing: Callable[[SoftState], None] = lambda _: None
        self.raft: Raft

    # --- life ---------------------------------------------------------------------------------------------

    async def load(self, persistent: Persistent) -> None:
        """Begin with what the disk holds: state from its snapshot, the core from its log. Raises Corrupt when the
        snapshot is damaged, Unreadable when the log holds what can't be understood.
        """
        require_readable(persistent)
        index, term = persistent.snapshot.index, persistent.snapshot.term
        if index:
            self._applier.replace(await self.snapshots.restore_stored(index), index, term)
        else:
            self._applier.move_to(index, term)
        self.raft = Raft(self._config, persistent, self._rng, self._clock.now_ms())
        self._writer.last_index = self.raft.last_index

    async def run(self) -> None:
        """Until cancelled. A failure of the disk or of `apply` raises out of here and ends the node."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._run_core(), name="raft-core")
                group.create_task(self._writer.run(), name="raft-writer")
                group.create_task(self._applier.run(), name="raft-applier")
                group.create_task(self.snapshots.run(self), name="raft-snapshots")
        finally:
            self._closed = True
            self._alarm.cancel()
            self._proposals.fail(Unavailable("this node is stopping"))
            self._read_rounds.refuse_all()

    # --- what others ask ----------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        return self._applier.state

    @property
    def view(self) -> View:
        return self._applier.view

    @property
    def applied_index(self) -> int:
        return self._applier.index

    @property
    def applied_term(self) -> int:
        return self._applier.term

    @property
    def installs(self) -> int:
        """How often another state took the place of the one before."""
        return self._applier.installs

    def disk_bytes(self) -> int:
        return self._store.bytes_on_disk()

    @property
    def is_leader(self) -> bool:
        return self.standing.role is Role.LEADER

    async def until(self, *, leading: bool) -> None:
        while self.is_leader != leading:
            await self.watch.changed()

    @property
    def is_member(self) -> bool:
        """Returns whether the applied configuration holds this node, so that its state follows the cluster's."""
        conf, me = self.raft.conf, self._config.id
        return not self._excluded and (me in conf.voters or me in conf.learners or me in conf.voters_outgoing)

    def exclude(self) -> None:
        """The leader says that a later configuration, which this node never saw, is without it
        (membership/removed_member.py).
        """
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
        self._wake.ring()

    def step(self, value: Input) -> None:
        """Step an input that can't be refused."""
        self.raft.step(self._clock.now_ms(), value)
        self._wake.ring()

    async def propose(self, command: bytes) -> Committed:
        """Returns once the command is committed and applied here.

        Raises Unavailable when this node does not lead or stops leading (the entry may yet survive), TooLarge
        past 4 MiB. The deadline is the caller's.
        """
        require_size(command)
        if self._closed or not self.is_leader:
            raise Unavailable("this node does not lead the cluster")
        done = self._proposals.add(command)
        self._wake.ring()
        return await done

    def propose_conf(self, change: ConfChange) -> None:
        """Raises Unavailable when the core refuses it now."""
        try:
            self.step(ProposeConf(change))
        except ProposalRefused as error:
            raise Unavailable(error.reason) from None

    async def hand_over(self, to: RaftId | int) -> None:
        """Returns once this node leads no more. `to` 0: whichever voter is the best. The core gives up on one that
        does not take over in an election timeout; then one is asked again. The deadline is the caller's.
        """
        while self.is_leader:
            self.step(TransferLeader(to))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._config.election_ms / 1000):
                    await self.until(leading=False)

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
        while not self._closed:
            safe = self._read_rounds.join()
            self._wake.ring()
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
            await self._wake.rung()
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
        if (context := self._read_rounds.begin()) is not None:
            raft.step(now, ReadRequest(context))

    def _step_proposals(self, now: int) -> None:
        batch = self._proposals.next_batch()
        if self._proposals:
            self._wake.ring()
        if not batch:
            return
        try:
            self.raft.step(now, Propose(tuple(p.data for p in batch)))
        except ProposalRefused as error:
            for proposal in batch:
                proposal.done.set_exception(Unavailable(error.reason))
            return
        self._proposals.proposed(batch, last_index=self.raft.last_index, term=self.raft.term)

    async def _handle(self, ready: Ready) -> None:
        if ready.standing is not None and ready.standing != self.standing:
            self.standing = ready.standing
            self._excluded = self._excluded and not ready.standing.leader
            self.on_standing(ready.standing)
        if ready.entries and self._proposals.in_log and not self.is_leader:
            self._proposals.replaced(ready.entries)
        self._send(ready.messages)
        if ready.must_persist or (ready.messages_after_persist and not self._writer.idle):
            await self._writer.put(ready)
        else:
            self._send(ready.messages_after_persist)
        for read in ready.reads:
            self._read_rounds.answer(read)
        if ready.committed:
            await self._applier.put(ready.committed)

    def _send(self, messages: tuple[AnyMessage, ...]) -> None:
        for to, theirs in _by_receiver(messages):
            address = self._address_of(RaftId(to))
            if address is None:
                self.step(PeerUnreachable(to))
            else:
                self._peers.send(address, RaftId(to), theirs)

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

    def _on_applied(self, entry: Entry, applied: Applied) -> None:
        if entry.kind != EntryKind.CONF_CHANGE:
            self.snapshots.applied_bytes += len(entry.data)
        self._proposals.applied(entry, applied.result)

    def installed(self, state: State, index: int, term: int) -> None:
        """A snapshot has replaced the log: its state is the state."""
        self._proposals.log_replaced()
        self._applier.replace(state, index, term)


def _by_receiver(messages: tuple[AnyMessage, ...]) -> Iterable[tuple[int, Sequence[AnyMessage]]]:
    """Each in its order. Most often there is one message."""
    if len(messages) == 1:
        return ((messages[0].to, messages),)
    grouped: dict[int, list[AnyMessage]] = {}
    for message in messages:
        grouped.setdefault(message.to, []).append(message)
    return grouped.items()
