"""Dispatch of messages: first by their term, then by their kind and this member's role."""

from collections.abc import Callable
from typing import Any

from orion.raft import election, follower, leader, replication
from orion.raft.confchange import members
from orion.raft.interface import Role
from orion.raft.member import Member
from orion.raft.messages import (
    AnyMessage,
    Message,
    MsgApp,
    MsgAppResp,
    MsgHeartbeat,
    MsgHeartbeatResp,
    MsgPreVote,
    MsgPreVoteResp,
    MsgReadIndex,
    MsgReadIndexResp,
    MsgSnap,
    MsgSnapStatus,
    MsgTimeoutNow,
    MsgVote,
    MsgVoteResp,
)
from orion.raft.trust import is_credible

Handler = Callable[[Member, Any], None]


def receive(me: Member, message: AnyMessage) -> None:
    """Handles a message from another member, and ignores one that is not credible."""
    if not is_credible(me, message):
        return
    if message.term > me.term:
        if not _NEWER.get(type(message), _from_newer_term)(me, message):
            return
    elif message.term < me.term:
        _OLDER.get(type(message), _ignore)(me, message)
        return
    _HANDLERS[me.role].get(type(message), _ignore)(me, message)


def _ignore(me: Member, message: Message) -> None:
    """Not for this role, or too late."""


# --- a newer term: True when the message is to be handled -------------------------------------------------


def _from_newer_leader(me: Member, message: Message) -> bool:
    me.become_follower(message.term, message.sender)
    return True


def _from_newer_term(me: Member, message: Message) -> bool:
    """Takes over the term of an answer, unless its sender is no member, or none any more."""
    if message.sender not in members(me.conf):
        return False
    me.become_follower(message.term)
    return True


def _timeout_now_from_newer_leader(me: Member, message: MsgTimeoutNow) -> bool:
    me.become_follower(message.term)
    return True


def _newer_vote(me: Member, message: MsgVote) -> bool:
    """Ignores candidates while a leader is heard: they are cut off, removed, or have just come back. A candidate
    that the leader itself asked to campaign is heard.
    """
    if me.in_lease and not message.transfer:
        return False
    me.become_follower(message.term)
    return True


def _newer_pre_vote(me: Member, _: MsgPreVote) -> bool:
    return not me.in_lease


def _newer_pre_vote_response(me: Member, message: MsgPreVoteResp) -> bool:
    """Handles a grant, which bears the term asked for. A refusal bears the sender's own term, which is newer."""
    return _from_newer_term(me, message) if message.reject else True


_NEWER: dict[type[Message], Callable[[Member, Any], bool]] = {
    MsgApp: _from_newer_leader,
    MsgHeartbeat: _from_newer_leader,
    MsgSnap: _from_newer_leader,
    MsgTimeoutNow: _timeout_now_from_newer_leader,
    MsgVote: _newer_vote,
    MsgPreVote: _newer_pre_vote,
    MsgPreVoteResp: _newer_pre_vote_response,
}


# --- an older term ----------------------------------------------------------------------------------------


def _tell_term(me: Member, message: Message) -> None:
    """Tells a leader of an older term this member's term, so that it steps down. Otherwise this member, whose
    campaigns the others ignore, would never get a leader of a term that it can follow.
    """
    me.after_persist.append(MsgAppResp(me.id, message.sender, me.term, 0))


def _refuse_read(me: Member, message: MsgReadIndex) -> None:
    me.messages.append(MsgReadIndexResp(me.id, message.sender, me.term, message.context, 0))


_OLDER: dict[type[Message], Handler] = {
    MsgApp: _tell_term,
    MsgHeartbeat: _tell_term,
    MsgSnap: _tell_term,
    MsgVote: election.learn_commit,
    MsgPreVote: election.on_older_pre_vote,
    MsgVoteResp: election.learn_commit,
    MsgPreVoteResp: election.learn_commit,
    MsgReadIndex: _refuse_read,
}


# --- the current term -------------------------------------------------------------------------------------

_EVERYBODY: dict[type[Message], Handler] = {
    MsgVote: election.on_vote,
    MsgPreVote: election.on_pre_vote,
}

_LED: dict[type[Message], Handler] = {
    **_EVERYBODY,
    MsgApp: follower.on_append,
    MsgHeartbeat: follower.on_heartbeat,
    MsgSnap: follower.on_snapshot,
    MsgVoteResp: election.learn_commit,  # not a candidate any more
    MsgPreVoteResp: election.learn_commit,
    MsgReadIndex: _refuse_read,
    MsgReadIndexResp: follower.on_read_response,
}

_HANDLERS: dict[Role, dict[type[Message], Handler]] = {
    Role.FOLLOWER: {**_LED, MsgTimeoutNow: election.on_timeout_now},
    Role.PRE_CANDIDATE: {
        **_LED,
        MsgTimeoutNow: election.on_timeout_now,
        MsgPreVoteResp: election.on_pre_vote_response,
    },
    Role.CANDIDATE: {**_LED, MsgVoteResp: election.on_vote_response},
    Role.LEADER: {
        **_EVERYBODY,
        MsgAppResp: replication.on_append_response,
        MsgHeartbeatResp: replication.on_heartbeat_response,
        MsgSnapStatus: replication.on_snapshot_status,
        MsgReadIndex: leader.on_read_index,
    },
}
