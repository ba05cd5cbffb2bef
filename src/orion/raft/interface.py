"""The core's inputs, outputs and settings."""

import enum

import msgspec

from orion.raft.messages import AnyMessage, ConfChange, ConfState, Entry, HardState, SnapshotMeta


class Role(enum.StrEnum):
    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre-candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


class RaftConfig(msgspec.Struct, frozen=True):
    """Times in milliseconds. An election timeout is drawn from [election_ms, 2 * election_ms)."""

    id: int
    heartbeat_ms: int = 100
    election_ms: int = 500
    max_append_bytes: int = 1024 * 1024  # of entries in one MsgApp
    max_inflight_messages: int = 256  # MsgApps under way to one follower
    max_inflight_bytes: int = 16 * 1024 * 1024
    max_uncommitted_bytes: int = 32 * 1024 * 1024
    max_apply_bytes: int = 4 * 1024 * 1024  # of committed entries in one Ready


class Persistent(msgspec.Struct, frozen=True):
    """A member's disk at start: `entries` follow `snapshot.index` without a gap."""

    hard_state: HardState = HardState()
    snapshot: SnapshotMeta = SnapshotMeta()
    entries: tuple[Entry, ...] = ()


# --- inputs -----------------------------------------------------------------------------------------------


class Tick(msgspec.Struct, frozen=True):
    """Time has passed: due elections, heartbeats and checks happen."""


class Received(msgspec.Struct, frozen=True):
    message: AnyMessage


class Propose(msgspec.Struct, frozen=True):
    """Append commands. The core raises ProposalRefused when it does not lead, while a transfer is under way, or
    past `max_uncommitted_bytes`.
    """

    data: tuple[bytes, ...]


class ProposeConf(msgspec.Struct, frozen=True):
    """Append a change of configuration. The core raises ProposalRefused while another one is not yet applied, and
    while the configuration is joint, except to leave it.
    """

    change: ConfChange


class Persisted(msgspec.Struct, frozen=True):
    """The Ready with this `persist_seq`, and all before it, is on disk."""

    persist_seq: int


class ConfApplied(msgspec.Struct, frozen=True):
    """A CONF_CHANGE entry was applied; the core switches to the configuration it leads to."""

    entry: Entry


class Compacted(msgspec.Struct, frozen=True):
    """A snapshot at `meta` is on disk; entries up to `first_kept - 1` may be forgotten."""

    meta: SnapshotMeta
    first_kept: int


class ReadRequest(msgspec.Struct, frozen=True):
    """Ask for an index that is safe to read at; answered by a ReadState with the same `context`.

    Contexts are positive and grow.
    """

    context: int


class TransferLeader(msgspec.Struct, frozen=True):
    to: int  # 0: the voter that is most up to date


class PeerUnreachable(msgspec.Struct, frozen=True):
    """Messages to this member can't be sent. The leader goes back to probing it."""

    peer: int


class PeerDead(msgspec.Struct, frozen=True):
    """Two independent proofs say that this member's process is gone. If it led, its lease is void, and this member
    need not wait for its election timeout. It is a hint for liveness; safety rests on votes alone.
    """

    peer: int


class Campaign(msgspec.Struct, frozen=True):
    """Start an election now (a single voter at start-up, tests)."""


Input = (
    Tick
    | Received
    | Propose
    | ProposeConf
    | Persisted
    | ConfApplied
    | Compacted
    | ReadRequest
    | TransferLeader
    | PeerUnreachable
    | PeerDead
    | Campaign
)


class ProposalRefused(Exception):
    """Nothing was appended. `reason` is a sentence for a person."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


# --- output -----------------------------------------------------------------------------------------------


class ReadState(msgspec.Struct, frozen=True):
    """The answer to a ReadRequest: once `index` is applied, a read that began before the request is linearizable.
    `index` 0 means refused: ask again.
    """

    context: int
    index: int


class SoftState(msgspec.Struct, frozen=True):
    """Role, term and known leader, given in a Ready only when one of them changed."""

    role: Role
    term: int
    leader: int


class Ready(msgspec.Struct, frozen=True):
    persist_seq: int
    hard_state: HardState | None  # None: unchanged
    entries: tuple[Entry, ...]  # to write; any stored entry from entries[0].index on is replaced
    snapshot: SnapshotMeta | None  # to install: replaces the whole log
    messages: tuple[AnyMessage, ...]
    messages_after_persist: tuple[AnyMessage, ...]
    committed: tuple[Entry, ...]
    reads: tuple[ReadState, ...]
    standing: SoftState | None
    must_sync: bool

    @property
    def must_persist(self) -> bool:
        return self.hard_state is not None or bool(self.entries) or self.snapshot is not None


class FollowerStatus(msgspec.Struct, frozen=True):
    match: int
    state: str  # probe, replicate, snapshot
    unheard_ms: int  # since its last message


class RaftStatus(msgspec.Struct, frozen=True):
    """One member's state as `GET /raft` and the autopilot see it. `followers` is empty except on the leader."""

    id: int
    role: Role
    term: int
    leader: int
    commit: int
    applied: int  # handed out in a Ready
    first_index: int
    last_index: int
    snapshot_index: int
    conf: ConfState
    conf_pending: bool
    transfer_to: int
    followers: dict[int, FollowerStatus]
