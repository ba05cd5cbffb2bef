"""Raft's values: entries, hard state, configurations and the messages between members.

Names as in etcd-io/raft. Members are RaftIds (64 bits); 0 is nobody. All are arrays on the wire.
"""

import enum

import msgspec

NOBODY = 0


class EntryKind(enum.IntEnum):
    NORMAL = 0
    CONF_CHANGE = 1  # data is an encoded ConfChange


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One entry of the log. NORMAL with empty `data` is the entry that a new leader commits first (5.4.2)."""

    term: int
    index: int
    kind: int = EntryKind.NORMAL
    data: bytes = b""


class HardState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    term: int = 0
    vote: int = NOBODY
    commit: int = 0


class ConfState(msgspec.Struct, frozen=True, array_like=True):
    """A configuration, as sorted tuples. `voters_outgoing` is not empty while it is joint (section 6);
    `learners_next` become learners when the joint configuration is left.
    """

    voters: tuple[int, ...] = ()
    learners: tuple[int, ...] = ()
    voters_outgoing: tuple[int, ...] = ()
    learners_next: tuple[int, ...] = ()
    auto_leave: bool = False


class ConfChange(msgspec.Struct, frozen=True, array_like=True):
    """The target configuration, reached through a joint one when more than one voter changes.

    With empty `voters` and `learners` it means: leave the joint configuration.
    """

    voters: tuple[int, ...] = ()
    learners: tuple[int, ...] = ()

    @property
    def leaves_joint(self) -> bool:
        return not self.voters and not self.learners


class SnapshotMeta(msgspec.Struct, frozen=True, array_like=True):
    index: int = 0
    term: int = 0
    conf: ConfState = ConfState()


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Any message between members. `term` is the sender's term; in a pre-vote, the term it would campaign for."""

    sender: int
    to: int
    term: int


class MsgApp(Message, frozen=True, array_like=True, tag=1):
    """Entries of the leader's log. `index` and `log_term` name the entry just before them."""

    index: int
    log_term: int
    entries: tuple[Entry, ...]
    commit: int


class MsgAppResp(Message, frozen=True, array_like=True, tag=2):
    """The answer to MsgApp. `index` is the last index that agrees with the leader's log. With `reject` it is the
    index refused, and `hint_index` and `hint_term` are the follower's best guess where the logs agree.
    """

    index: int
    reject: bool = False
    hint_index: int = 0
    hint_term: int = 0


class MsgVote(Message, frozen=True, array_like=True, tag=3):
    """A candidate asks for a vote. With `transfer` the leader has asked for this election, so leases don't count
    (section 4.2.3 of the thesis).

    `commit` and `commit_term` name the last entry that the candidate knows to be committed. A receiver that holds
    the same entry learns that it is committed, and candidates learn the same from the answers.
    """

    index: int
    log_term: int
    transfer: bool = False
    commit: int = 0
    commit_term: int = 0


class MsgVoteResp(Message, frozen=True, array_like=True, tag=4):
    """`commit` and `commit_term` as in MsgVote."""

    reject: bool
    commit: int = 0
    commit_term: int = 0


class MsgPreVote(Message, frozen=True, array_like=True, tag=5):
    """`commit` and `commit_term` as in MsgVote."""

    index: int
    log_term: int
    commit: int = 0
    commit_term: int = 0


class MsgPreVoteResp(Message, frozen=True, array_like=True, tag=6):
    """`commit` and `commit_term` as in MsgVote."""

    reject: bool
    commit: int = 0
    commit_term: int = 0


class MsgHeartbeat(Message, frozen=True, array_like=True, tag=7):
    """`context`: the newest read round that this heartbeat confirms; 0 is none."""

    commit: int
    context: int = 0


class MsgHeartbeatResp(Message, frozen=True, array_like=True, tag=8):
    context: int = 0


class MsgSnap(Message, frozen=True, array_like=True, tag=9):
    """Offers a snapshot. The driver fetches its bytes over a stream before it steps this in."""

    meta: SnapshotMeta


class MsgSnapStatus(Message, frozen=True, array_like=True, tag=10):
    """The follower could not fetch or install the snapshot it was offered."""

    index: int


class MsgTimeoutNow(Message, frozen=True, array_like=True, tag=11):
    """The leader hands over: the receiver campaigns at once."""


class MsgReadIndex(Message, frozen=True, array_like=True, tag=12):
    """A follower asks the leader for a safe read index; `context` is the follower's own number."""

    context: int


class MsgReadIndexResp(Message, frozen=True, array_like=True, tag=13):
    """`index` 0: refused (not leader, or nothing committed in this term yet); ask again."""

    context: int
    index: int


AnyMessage = (
    MsgApp
    | MsgAppResp
    | MsgVote
    | MsgVoteResp
    | MsgPreVote
    | MsgPreVoteResp
    | MsgHeartbeat
    | MsgHeartbeatResp
    | MsgSnap
    | MsgSnapStatus
    | MsgTimeoutNow
    | MsgReadIndex
    | MsgReadIndexResp
)
