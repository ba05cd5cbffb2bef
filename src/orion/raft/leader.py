"""The leader's rules: proposals, changes of configuration, reads, handing over, and the check of its quorum."""

from orion.raft import replication
from orion.raft.confchange import ConfRefused, encode_change, is_voter, members, next_conf
from orion.raft.interface import ProposalRefused, Role
from orion.raft.log import ENTRY_BYTES
from orion.raft.member import Member
from orion.raft.messages import NOBODY, ConfChange, ConfState, Entry, EntryKind, MsgReadIndex
from orion.raft.quorum import Vote, joint_vote
from orion.raft.reads import Read, ReadRounds
from orion.raft.tracker import Inflights, Progress

_LEAVE_JOINT = encode_change(ConfChange())


def become_leader(me: Member) -> None:
    """Begins to lead, and appends an empty entry: a leader commits only by an entry of its own term (5.4.2)."""
    me.reset(me.term)
    me.role = Role.LEADER
    me.leader = me.id
    me.lost_leader = NOBODY
    me.rounds = ReadRounds()
    me.heartbeat_due_ms = me.now_ms + me.config.heartbeat_ms
    me.quorum_checked_ms = me.now_ms
    me.quorum_due_ms = me.now_ms + me.config.election_ms
    me.progress = {member: _new_progress(me) for member in members(me.conf)}
    own = me.progress[me.id]
    own.match = me.log.stable
    own.become_replicate()
    _append(me, ((EntryKind.NORMAL, b""),))


def _new_progress(me: Member) -> Progress:
    inflights = Inflights(me.config.max_inflight_messages, me.config.max_inflight_bytes)
    return Progress(me.log.last + 1, inflights)


def _append(me: Member, payloads: tuple[tuple[EntryKind, bytes], ...]) -> None:
    term, first = me.term, me.log.last + 1
    me.log.append([Entry(term, i, kind, data) for i, (kind, data) in enumerate(payloads, first)])


# --- proposals --------------------------------------------------------------------------------------------


def propose(me: Member, data: tuple[bytes, ...]) -> None:
    """Raises ProposalRefused."""
    _refuse_unless_leading(me)
    log = me.log
    uncommitted = log.bytes_after(log.commit, log.last)
    size = sum(map(len, data)) + ENTRY_BYTES * len(data)
    # With nothing uncommitted a proposal is taken whatever its size, or one larger than the bound never would be.
    if uncommitted and uncommitted + size > me.config.max_uncommitted_bytes:
        raise ProposalRefused(
            f"{uncommitted} bytes of writes wait to be committed; try again when the cluster has caught up"
        )
    term, first = me.term, log.last + 1
    log.append([Entry(term, index, 0, item) for index, item in enumerate(data, first)])


def propose_conf(me: Member, change: ConfChange) -> None:
    """Raises ProposalRefused."""
    _refuse_unless_leading(me)
    if not me.committed_in_term:
        raise ProposalRefused("this leader has not committed anything yet; try again in a moment")
    if me.conf_pending:
        raise ProposalRefused("another configuration change is under way")
    try:
        next_conf(me.conf, change)
    except ConfRefused as error:
        raise ProposalRefused(str(error)) from None
    _append(me, ((EntryKind.CONF_CHANGE, encode_change(change)),))


def _refuse_unless_leading(me: Member) -> None:
    if me.role is not Role.LEADER:
        raise ProposalRefused("this node does not lead the cluster")
    if me.transfer_to != NOBODY:
        raise ProposalRefused("leadership is being handed over; try again in a moment")


# --- configuration ----------------------------------------------------------------------------------------


def maybe_leave_joint(me: Member) -> None:
    """Proposes to leave a joint configuration once it is applied. Whichever member leads by then does so."""
    if me.conf.auto_leave and not me.conf_pending and me.transfer_to == NOBODY and me.committed_in_term:
        _append(me, ((EntryKind.CONF_CHANGE, _LEAVE_JOINT),))


def on_conf_switched(me: Member, conf: ConfState) -> None:
    """Takes the configuration in force into account. A leader without a vote steps down (section 6)."""
    if not is_voter(conf, me.id):
        me.become_follower(me.term)
        return
    wanted = members(conf)
    me.progress = {member: me.progress.get(member) or _added(me) for member in wanted}
    if me.transfer_to != NOBODY and me.transfer_to not in conf.voters:
        me.transfer_to = NOBODY
    me.maybe_commit()
    replication.answer_confirmed_reads(me)


def _added(me: Member) -> Progress:
    """The progress of a new member. It counts as heard now, so that the check of the quorum gives it time."""
    progress = _new_progress(me)
    progress.heard_ms = me.now_ms
    return progress


# --- time -------------------------------------------------------------------------------------------------


def on_tick(me: Member) -> None:
    if me.now_ms >= me.quorum_due_ms and not _check_quorum(me):
        return
    if me.transfer_to != NOBODY and me.now_ms >= me.transfer_due_ms:
        me.transfer_to = NOBODY
    if me.now_ms >= me.heartbeat_due_ms:
        me.heartbeat_due_ms = me.now_ms + me.config.heartbeat_ms
        replication.end_patience(me)
        replication.send_heartbeats(me)


def _check_quorum(me: Member) -> bool:
    """Steps down and returns False when no quorum was heard since the last check: the leader is cut off."""
    heard = {
        member: member == me.id or progress.heard_ms >= me.quorum_checked_ms
        for member, progress in me.progress.items()
    }
    if joint_vote(me.conf, heard) is not Vote.WON:
        me.become_follower(me.term)
        return False
    me.quorum_checked_ms = me.now_ms
    me.quorum_due_ms = me.now_ms + me.config.election_ms
    return True


# --- handing over -----------------------------------------------------------------------------------------


def transfer(me: Member, to: int) -> None:
    """Begins to hand over leadership. Proposals are refused until another member leads, or for one election
    timeout.
    """
    to = to or _most_up_to_date(me)
    if to == me.id or to not in me.conf.voters or to == me.transfer_to:
        return
    me.transfer_to = to
    me.transfer_due_ms = me.now_ms + me.config.election_ms
    if not replication.maybe_hand_over(me):
        me.progress[to].wake = True


def _most_up_to_date(me: Member) -> int:
    others = [voter for voter in me.conf.voters if voter != me.id]
    return max(others, key=lambda v: (me.progress[v].match, me.progress[v].heard_ms), default=NOBODY)


def on_peer_dead(me: Member, peer: int) -> None:
    replication.on_peer_unreachable(me, peer)
    if me.transfer_to == peer:
        me.transfer_to = NOBODY


# --- reads ------------------------------------------------------------------------------------------------


def read(me: Member, reader: int, context: int) -> None:
    """Takes a read of this member or of a follower. It is refused before an entry of this term is committed: until
    then the commit index may lag behind what earlier leaders acknowledged (section 8).
    """
    if not me.committed_in_term or not me.rounds.add(reader, context, me.log.commit):
        me.answer_read(Read(0, reader, context, 0), 0)


def start_due_round(me: Member) -> None:
    """Starts one round of heartbeats for all reads of the turn. A sole voter confirms them by itself."""
    if not me.rounds.due:
        return
    me.rounds.start_round()
    replication.answer_confirmed_reads(me)
    if me.rounds.context:
        replication.send_heartbeats(me)


def on_read_index(me: Member, message: MsgReadIndex) -> None:
    read(me, message.sender, message.context)
