"""The rules by which a message is believed. A hello proves nothing, so they bound what one message can do.

A *stranger* is a sender that this member's log does not know as a member. It may be the leader all the same: a
member that was away does not know the members that joined since. So a stranger is heard, but not while a leader is
heard or soon after, and never about what is committed.
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

# Elections that a member can have missed: ten a second for thirteen years. A member that believed any term could be
# brought to the largest there is, after which nobody can be elected.
MAX_TERM_LEAP = 1 << 32

# Election timeouts without a leader before a stranger is followed. By then the members that this one knows have
# elected one of themselves, if they can. A member that knows no others yet does not wait.
STRANGER_PATIENCE_ELECTIONS = 4

_FROM_LEADER = (MsgApp, MsgHeartbeat, MsgSnap, MsgTimeoutNow)


def is_credible(me: Member, message: AnyMessage) -> bool:
    """True when `message` is from another member to this one and may be handled. A term has one leader, and terms
    rise by elections alone.
    """
    if message.to != me.id or message.sender in (me.id, NOBODY):
        return False
    if message.term - me.term > MAX_TERM_LEAP:
        return False
    if isinstance(message, _FROM_LEADER) and message.term == me.term and me.leader not in (NOBODY, message.sender):
        return False
    return knows(me, message.sender) or _OF_STRANGERS.get(type(message), _never)(me, message)


def knows(me: Member, sender: int) -> bool:
    """True when `sender` is a member, by the configuration in force or by a change of it in the log."""
    return is_in(me.conf, sender) or any(sender in _named_by(me, at) for at in me.log.confs if at > me.conf_index)


def _named_by(me: Member, index: int) -> tuple[int, ...]:
    (entry,) = me.log.slice(index, index)
    try:
        change = decode_change(entry.data)
    except msgspec.MsgspecError:
        return ()
    return change.voters + change.learners


# --- messages of strangers --------------------------------------------------------------------------------


def _never(me: Member, message: Message) -> bool:  # noqa: ARG001 -- as all of them
    """Refuses answers, reads and orders to campaign: only members send those."""
    return False


def _lead(me: Member, message: MsgApp | MsgSnap) -> bool:
    """True for a leader where none has been heard for long, and for one of an older term, which is told so."""
    return message.term < me.term or message.sender == me.leader or _would_follow_anybody(me)


def _would_follow_anybody(me: Member) -> bool:
    patience_ms = STRANGER_PATIENCE_ELECTIONS * me.config.election_ms if me.conf.voters else 0
    return not me.in_lease and me.now_ms - me.contact_ms >= patience_ms


def _lead_without_a_claim(me: Member, message: MsgHeartbeat) -> bool:
    """True when the commit index is within this log too: one past its end would end this process."""
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
