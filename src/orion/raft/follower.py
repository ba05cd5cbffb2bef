"""A follower's handlers of its leader's messages (sections 5.3 and 7). All messages here bear the current term."""

from collections.abc import Callable
from typing import TypeVar

from orion.raft.interface import ReadState, Role
from orion.raft.member import Member
from orion.raft.messages import (
    MsgApp,
    MsgAppResp,
    MsgHeartbeat,
    MsgHeartbeatResp,
    MsgReadIndexResp,
    MsgSnap,
    SnapshotMeta,
)

LeaderMessage = TypeVar("LeaderMessage", MsgApp, MsgHeartbeat, MsgSnap)


def from_leader(handle: Callable[[Member, LeaderMessage], None]) -> Callable[[Member, LeaderMessage], None]:
    """Wraps a handler of a message that only a leader sends: the sender leads this term, and this member
    follows.
    """

    def handler(me: Member, message: LeaderMessage) -> None:
        if me.role is Role.FOLLOWER and me.leader == message.sender:
            me.heard_leader(message.sender)
        else:
            me.become_follower(me.term, message.sender)
        handle(me, message)

    return handler


@from_leader
def on_append(me: Member, message: MsgApp) -> None:
    log, entries = me.log, message.entries
    if entries and (entries[0].index != message.index + 1 or entries[-1].index != message.index + len(entries)):
        return  # no leader sends that
    if message.index < log.commit:
        _acknowledge(me, log.commit)
        return
    agreed = log.try_append(message.index, message.log_term, entries)
    if agreed is None:
        hint_index, hint_term = log.guess_match(message.index, message.log_term)
        me.after_persist.append(
            MsgAppResp(me.id, message.sender, me.term, message.index, True, hint_index, hint_term)
        )
        return
    log.commit_to(min(message.commit, agreed))
    _acknowledge(me, agreed)


@from_leader
def on_heartbeat(me: Member, message: MsgHeartbeat) -> None:
    me.log.commit_to(message.commit)
    me.messages.append(MsgHeartbeatResp(me.id, message.sender, me.term, message.context))


@from_leader
def on_snapshot(me: Member, message: MsgSnap) -> None:
    """Handles a snapshot whose bytes have been fetched. It is installed only when the log does not hold its last
    entry: a log that does is as good, and reaches further.
    """
    meta, log = message.meta, me.log
    if meta.index <= log.commit:
        _acknowledge(me, log.commit)
        return
    if log.term(meta.index) == meta.term:
        log.commit_to(meta.index)
    else:
        _restore(me, meta)
    _acknowledge(me, meta.index)


def _restore(me: Member, meta: SnapshotMeta) -> None:
    me.log.restore(meta)
    me.snapshot = me.install = meta
    me.conf, me.conf_index = meta.conf, meta.index


def _acknowledge(me: Member, index: int) -> None:
    """Notes an acknowledgement. One MsgAppResp per Ready speaks for all of them; it leaves once the entries are on
    disk.
    """
    me.ack = index if me.ack is None else max(me.ack, index)


def take_acknowledgement(me: Member) -> None:
    if me.ack is not None:
        me.after_persist.append(MsgAppResp(me.id, me.leader, me.term, me.ack))
        me.ack = None


def on_read_response(me: Member, message: MsgReadIndexResp) -> None:
    context = me.forwarded.answered(message.context)
    if context is not None:
        me.read_states.append(ReadState(context, message.index))
