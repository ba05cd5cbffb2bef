"""The consensus core as its driver sees it: inputs go in by `step`, batches of work come out by `ready`.

The package's docstring has the contract. The rules are in election, leader, replication, follower and receive; the
memory that they work on is in member and log.
"""

import random
from collections.abc import Callable
from typing import Any

from orion.raft import election, follower, leader, replication
from orion.raft.check import check
from orion.raft.confchange import ConfRefused, change_fault, decode_change, next_conf
from orion.raft.interface import (
    Campaign,
    Compacted,
    ConfApplied,
    FollowerStatus,
    Input,
    PeerDead,
    PeerUnreachable,
    Persisted,
    Persistent,
    Propose,
    ProposeConf,
    RaftConfig,
    RaftStatus,
    ReadRequest,
    ReadState,
    Ready,
    Received,
    Role,
    SoftState,
    Tick,
    TransferLeader,
)
from orion.raft.log import LogBroken
from orion.raft.member import Member
from orion.raft.messages import NOBODY, AnyMessage, ConfState, MsgReadIndex
from orion.raft.receive import receive
from orion.raft.trust import is_credible


class Raft:
    """One member. Not safe for threads; does no I/O.

    The constructor and `step` raise LogBroken when this member's disk has lost entries that it had acknowledged.
    """

    def __init__(self, config: RaftConfig, persistent: Persistent, rng: random.Random, now_ms: int) -> None:
        """Entries between the snapshot and the hard state's commit index are handed out as committed again, because
        the caller rebuilds its state from the snapshot.
        """
        self._me = Member(config, persistent, rng, now_ms)
        self._seq = 0

    # --- in -----------------------------------------------------------------------------------------------

    def step(self, now_ms: int, value: Input) -> None:
        """Handles one input. The member's clock never goes back: a `now_ms` older than the last one counts as that.

        Raises ProposalRefused for a Propose or ProposeConf that can't be taken.
        """
        me = self._me
        me.settled = False
        me.now_ms = max(me.now_ms, now_ms)
        _STEPS[type(value)](me, value)

    def believes(self, message: AnyMessage) -> bool:
        """True when `step` would handle the message rather than ignore it. Changes nothing."""
        return is_credible(self._me, message)

    # --- out ----------------------------------------------------------------------------------------------

    def has_ready(self) -> bool:
        """True when the next Ready would not be empty. Decides what is sent: call it once a turn, not after each
        step.
        """
        me, log = self._me, self._me.log
        _settle(me)
        hard, soft = me.given_hard_state, me.given_soft_state
        return bool(
            me.messages
            or me.after_persist
            or me.read_states
            or log.handed < log.last
            or log.appliable > log.applied
            or me.ack is not None
            or me.install is not None
            or log.commit != hard.commit
            or me.term != hard.term
            or me.vote != hard.vote
            or me.leader != soft.leader
            or me.role is not soft.role
            or me.term != soft.term
        )

    def ready(self) -> Ready:
        """Returns the work of this turn. Each item is given out once."""
        me, log = self._me, self._me.log
        _settle(me)
        follower.take_acknowledgement(me)
        self._seq += 1
        hard, given = me.hard_state(), me.given_hard_state
        voted = (hard.term, hard.vote) != (given.term, given.vote)
        if voted and me.role is Role.CANDIDATE:
            me.vote_seq = self._seq
        install, me.install = me.install, None
        if install is not None:
            me.install_seq = self._seq
        entries = log.hand_out(self._seq)
        ready = Ready(
            persist_seq=self._seq,
            hard_state=hard if hard != given else None,
            entries=entries,
            snapshot=install,
            messages=tuple(me.messages),
            messages_after_persist=tuple(me.after_persist),
            committed=log.take_committed(me.config.max_apply_bytes),
            reads=tuple(me.read_states),
            standing=_new_soft_state(me),
            must_sync=voted or bool(entries) or install is not None or _commits_conf(me),
        )
        me.given_hard_state = hard
        me.messages, me.after_persist, me.read_states = [], [], []
        return ready

    # --- reads of its state -------------------------------------------------------------------------------

    @property
    def role(self) -> Role:
        return self._me.role

    @property
    def term(self) -> int:
        return self._me.term

    @property
    def leader(self) -> int:
        """0 when none is known."""
        return self._me.leader

    @property
    def leader_heard_ms(self) -> int:
        """The time at which the leader was last heard. It means nothing on the leader itself."""
        return self._me.contact_ms

    @property
    def commit(self) -> int:
        return self._me.log.commit

    @property
    def conf(self) -> ConfState:
        return self._me.conf

    @property
    def last_index(self) -> int:
        return self._me.log.last

    @property
    def snapshot_index(self) -> int:
        return self._me.snapshot.index

    @property
    def awaits_snapshots(self) -> bool:
        """True on a leader that hears a follower whose next entry is compacted here."""
        me = self._me
        since_ms = me.now_ms - replication.SNAPSHOT_PATIENCE_ELECTIONS * me.config.election_ms
        return any(p.match < me.log.offset and p.heard_ms > since_ms for p in me.progress.values())

    def next_deadline_ms(self) -> int:
        """The time at which the next Tick is due."""
        me = self._me
        if me.role is not Role.LEADER:
            return me.election_due_ms
        due = min(me.heartbeat_due_ms, me.quorum_due_ms)
        return due if me.transfer_to == NOBODY else min(due, me.transfer_due_ms)

    def status(self) -> RaftStatus:
        me, log = self._me, self._me.log
        return RaftStatus(
            id=me.id,
            role=me.role,
            term=me.term,
            leader=me.leader,
            commit=log.commit,
            applied=log.applied,
            first_index=log.offset + 1,
            last_index=log.last,
            snapshot_index=me.snapshot.index,
            conf=me.conf,
            conf_pending=me.conf_pending,
            transfer_to=me.transfer_to,
            followers={
                member: FollowerStatus(
                    match=progress.match,
                    state=progress.state.value,
                    unheard_ms=me.now_ms - progress.heard_ms,
                )
                for member, progress in me.progress.items()
                if member != me.id
            },
        )

    def check(self) -> None:
        """Asserts the invariants. For tests and the simulator, because it reads the whole log."""
        check(self._me)


# --- ready ------------------------------------------------------------------------------------------------


def _settle(me: Member) -> None:
    """Does the leader's work of a turn, once, after all its inputs."""
    if me.settled:
        return
    me.settled = True
    if me.role is Role.LEADER:
        leader.maybe_leave_joint(me)
        leader.start_due_round(me)
        replication.send_appends(me)


def _commits_conf(me: Member) -> bool:
    """True when this Ready commits a change of configuration, which is worth an fsync. A member that forgot that a
    joint configuration was left would need the votes of removed members for ever.
    """
    return any(me.given_hard_state.commit < index <= me.log.commit for index in me.log.confs)


def _soft_state(me: Member) -> SoftState:
    return SoftState(me.role, me.term, me.leader)


def _new_soft_state(me: Member) -> SoftState | None:
    soft = _soft_state(me)
    if soft == me.given_soft_state:
        return None
    me.given_soft_state = soft
    return soft


# --- steps ------------------------------------------------------------------------------------------------


def _on_tick(me: Member, _: Tick) -> None:
    if me.role is Role.LEADER:
        leader.on_tick(me)
    else:
        election.on_tick(me)


def _on_persisted(me: Member, value: Persisted) -> None:
    me.log.persisted(value.persist_seq)
    if me.install_seq and value.persist_seq >= me.install_seq:
        me.install_seq = 0
    if me.role is Role.LEADER:
        if me.progress[me.id].matched(me.log.stable):
            me.maybe_commit()
    elif me.vote_seq and value.persist_seq >= me.vote_seq:
        election.own_vote_persisted(me)


def _on_conf_applied(me: Member, value: ConfApplied) -> None:
    """Switches to the configuration that the entry leads to. An entry that a snapshot has overtaken changes
    nothing. Raises LogBroken for an entry that holds no change of configuration.
    """
    if value.entry.index <= me.conf_index:
        return
    if fault := change_fault(value.entry.data):
        raise LogBroken(f"log entry {value.entry.index} holds no configuration: {fault}")
    me.conf_index = value.entry.index
    try:
        conf = next_conf(me.conf, decode_change(value.entry.data))
    except ConfRefused:
        return  # every member refuses it: all of them apply it to the same configuration
    me.conf = conf
    if me.role is Role.LEADER:
        leader.on_conf_switched(me, conf)
    elif me.role is not Role.FOLLOWER and not me.is_promotable:
        me.become_follower(me.term)
    me.hurry_sole_voter()


def _on_compacted(me: Member, value: Compacted) -> None:
    if value.meta.index > me.snapshot.index:
        me.snapshot = value.meta
        me.log.compact(value.first_kept)


def _on_read_request(me: Member, value: ReadRequest) -> None:
    if me.role is Role.LEADER:
        leader.read(me, me.id, value.context)
    elif me.leader == NOBODY:
        me.read_states.append(ReadState(value.context, 0))
    else:
        if me.forwarded.full:
            me.read_states.append(ReadState(me.forwarded.take_oldest(), 0))
        number = me.forwarded.forward(value.context)
        me.messages.append(MsgReadIndex(me.id, me.leader, me.term, number))


def _on_transfer(me: Member, value: TransferLeader) -> None:
    if me.role is Role.LEADER:
        leader.transfer(me, value.to)


def _on_peer_unreachable(me: Member, value: PeerUnreachable) -> None:
    replication.on_peer_unreachable(me, value.peer)


def _on_peer_dead(me: Member, value: PeerDead) -> None:
    if me.role is Role.LEADER:
        leader.on_peer_dead(me, value.peer)
    else:
        election.on_peer_dead(me, value.peer)


def _on_campaign(me: Member, _: Campaign) -> None:
    election.campaign(me)


_STEPS: dict[type, Callable[[Member, Any], None]] = {
    Tick: _on_tick,
    Received: lambda me, value: receive(me, value.message),
    Propose: lambda me, value: leader.propose(me, value.data),
    ProposeConf: lambda me, value: leader.propose_conf(me, value.change),
    Persisted: _on_persisted,
    ConfApplied: _on_conf_applied,
    Compacted: _on_compacted,
    ReadRequest: _on_read_request,
    TransferLeader: _on_transfer,
    PeerUnreachable: _on_peer_unreachable,
    PeerDead: _on_peer_dead,
    Campaign: _on_campaign,
}
