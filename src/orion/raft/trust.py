"""Which messages may be believed at all. A greeting proves nothing, so what one message can do is bounded.

A *stranger* is a sender that this member's log does not know as a member. It may be the leader all the same: who
was away does not know whom the cluster has taken in since. So a stranger is heard, but only where nobody better is:
not while a leader is heard or soon after, and never about what is committed.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from orion.raft.confchange import decode_change, is_in
from orion.raft.member import Member
from orion.raft.messages import (
    NOBODY,
    AnyMessage,
    Message,
    MsgApp,
    MsgHeartbeat,
    MsgPreVote,
    MsgReadIndexResp,
    MsgSnap,
    MsgTimeoutNow,
    MsgVote,
)

# Elections a member can have missed: ten a second for thirteen years. Who believed any term could be brought
# to the largest there is, after which nobody can be elected.
MAX_TERM_LEAP = 1 << 32

# Election timeouts without a leader before a stranger is followed: by then the members that this one knows have
# elected one of themselves, if they can. Who knows no members yet has nobody to wait for.
STRANGER_PATIENCE_ELECTIONS = 4

_FROM_LEADER = (MsgApp, MsgHeartbeat, MsgSnap, MsgTimeoutNow)


def is_credible(me: Member, message: AnyMessage) -> bool:
    """Whether `message` is somebody else's to this member, and may be handled. A term has one leader, and terms
    rise by elections.
    """
    if message.to != me.id or message.sender in (me.id, NOBODY):
        return False
    if message.term - me.term > MAX_TERM_LEAP:
        return False
    if isinstance(message, _FROM_LEADER) and message.term == me.term and me.leader not in (NOBODY, message.sender):
        return False
    return knows(me, message.sender) or _OF_STRANGERS.get(type(message), _never)(me, message)


def knows(me: Member, sender: int) -> bool:
    """Whether `sender` is a member, by the configuration in force or by a change of it in the log."""
    return is_in(me.conf, sender) or any(sender in _named_by(me, at) for at in me.log.confs if at > me.conf_index)


def _named_by(me: Member, index: int) -> tuple[int, ...]:
    (entry,) = me.log.slice(index, index)
    try:
        change = decode_change(entry.data)
    except msgspec.MsgspecError:
        return ()
    return change.voters + change.learners


# --- what a stranger may say ------------------------------------------------------------------------------


def _never(me: Member, message: Message) -> bool:  # noqa: ARG001 -- as all of them
    """Answers are owed by members only; nobody else leads, hands over or reads here."""
    return False


def _lead(me: Member, message: MsgApp | MsgSnap) -> bool:
    """A leader is believed where none has been heard for long. One of an older term is told so."""
    return message.term < me.term or message.sender == me.leader or _would_follow_anybody(me)


def _would_follow_anybody(me: Member) -> bool:
    patience_ms = STRANGER_PATIENCE_ELECTIONS * me.config.election_ms if me.conf.voters else 0
    return not me.in_lease and me.now_ms - me.contact_ms >= patience_ms


def _lead_without_a_claim(me: Member, message: MsgHeartbeat) -> bool:
    """What a leader says this member has acknowledged would end it, if it is not there."""
    return _lead(me, message) and message.commit <= me.log.last  # type: ignore[arg-type]


def _stand(me: Member, message: MsgVote) -> bool:
    return message.term >= me.term and not me.in_lease


_OF_STRANGERS: dict[type[Message], Callable[[Member, Any], bool]] = {
    MsgApp: _lead,
    MsgSnap: _lead,
    MsgHeartbeat: _lead_without_a_claim,
    MsgVote: _stand,
    MsgPreVote: lambda me, message: True,  # noqa: ARG005 -- it changes nothing
    MsgReadIndexResp: lambda me, message: message.sender == me.leader,
}
