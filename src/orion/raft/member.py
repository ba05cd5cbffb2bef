"""One member's memory and the moves that all roles share; election, leader and follower have the rules by role."""

import random
from collections.abc import Mapping

from orion.raft.confchange import is_sole_voter, is_voter
from orion.raft.interface import Persistent, RaftConfig, ReadState, Role, SoftState
from orion.raft.log import RaftLog
from orion.raft.messages import (
    NOBODY,
    AnyMessage,
    ConfState,
    HardState,
    MsgReadIndexResp,
    SnapshotMeta,
)
from orion.raft.quorum import joint_index
from orion.raft.reads import ForwardedReads, Read, ReadRounds
from orion.raft.tracker import Progress


class Member:
    """All memory of the core. Times are in milliseconds."""

    def __init__(self, config: RaftConfig, persistent: Persistent, rng: random.Random, now_ms: int) -> None:
        """Raises LogBroken when the disk's contents contradict each other."""
        hard = persistent.hard_state
        self.config = config
        self.id = config.id
        self.rng = rng
        self.now_ms = now_ms

        self.log = RaftLog(persistent.snapshot, persistent.entries)
        self.log.commit_to(hard.commit)
        # A snapshot may have been stored without a hard state. Then this member has not voted in the snapshot's
        # term.
        self.term = max(hard.term, self.log.last_term)
        self.vote = hard.vote if self.term == hard.term else NOBODY
        self.role = Role.FOLLOWER
        self.leader = NOBODY
        self.snapshot = persistent.snapshot
        self.conf: ConfState = persistent.snapshot.conf
        self.conf_index = persistent.snapshot.index  # the configuration is the one after applying this entry
        self.install: SnapshotMeta | None = None  # to be given out in the next Ready
        self.install_seq = 0  # the Ready that has it, until that is persisted

        # Elections
        self.votes: dict[int, bool] = {}
        self.vote_seq = 0  # the Ready that holds this candidate's own vote, until that is persisted
        self.timeout_ms = 0  # drawn anew for each election
        self.election_due_ms = 0
        self.contact_ms = now_ms  # when the leader was last heard
        self.lost_leader = NOBODY  # the last leader followed, kept when a timeout resets `leader`

        # Leading
        self.progress: dict[int, Progress] = {}
        self.rounds = ReadRounds()
        self.heartbeat_due_ms = 0
        self.quorum_due_ms = 0
        self.quorum_checked_ms = 0
        self.transfer_to = NOBODY
        self.transfer_due_ms = 0

        # Following
        self.forwarded = ForwardedReads(rng.getrandbits(48))
        self.ack: int | None = None  # the index to acknowledge in the next Ready: the log agrees up to there

        # The next Ready
        self.settled = False  # True once the leader's work of this turn is done
        self.messages: list[AnyMessage] = []
        self.after_persist: list[AnyMessage] = []
        self.read_states: list[ReadState] = []
        self.given_hard_state = hard
        self.given_soft_state = SoftState(Role.FOLLOWER, 0, NOBODY)
        self.reset_election_timer()
        self.hurry_sole_voter()

    # --- what it is ---------------------------------------------------------------------------------------

    @property
    def last_id(self) -> tuple[int, int]:
        return self.log.last, self.log.last_term

    @property
    def commit_id(self) -> tuple[int, int]:
        return self.log.commit, self.log.term(self.log.commit) or 0

    @property
    def is_promotable(self) -> bool:
        """True when it may become leader: a voter that is not installing a snapshot."""
        return is_voter(self.conf, self.id) and self.install is None and not self.install_seq

    @property
    def conf_pending(self) -> bool:
        """True while the log has a configuration change that is not applied yet."""
        return self.log.last_conf > self.conf_index

    @property
    def conf_committed(self) -> bool:
        """True while a configuration change is committed and not applied yet. A campaign has to wait for it, so
        that two members' configurations are never more than one step apart.
        """
        return any(self.conf_index < index <= self.log.commit for index in self.log.confs)

    @property
    def in_lease(self) -> bool:
        """True when a leader was heard within the shortest election timeout (section 6 of the paper, 4.2.3 of the
        thesis). A leader holds its own lease.
        """
        if self.role is Role.LEADER:
            return True
        return self.leader != NOBODY and self.now_ms - self.contact_ms < self.config.election_ms

    @property
    def committed_in_term(self) -> bool:
        return self.log.term(self.log.commit) == self.term

    # --- time ---------------------------------------------------------------------------------------------

    def reset_election_timer(self) -> None:
        self.timeout_ms = self.config.election_ms + self.rng.randrange(self.config.election_ms)
        self.election_due_ms = self.now_ms + self.timeout_ms

    def hurry_sole_voter(self) -> None:
        """Makes an election due at once when this member is the only voter: no other one may lead it for long."""
        if is_sole_voter(self.conf, self.id):
            self.election_due_ms = self.now_ms

    def heard_leader(self, leader: int) -> None:
        self.leader = self.lost_leader = leader
        self.contact_ms = self.now_ms
        self.election_due_ms = self.now_ms + self.timeout_ms

    # --- moves --------------------------------------------------------------------------------------------

    def reset(self, term: int) -> None:
        """Resets all that belongs to one role in one term."""
        if term != self.term:
            self.term = term
            self.vote = NOBODY
        self.leader = NOBODY
        self.votes = {}
        self.vote_seq = 0
        self.transfer_to = NOBODY
        self.ack = None
        self.progress = {}
        self.refuse_reads()
        self.reset_election_timer()

    def become_follower(self, term: int, leader: int = NOBODY) -> None:
        if self.role is Role.LEADER:
            self.contact_ms = self.now_ms
        self.reset(term)
        self.role = Role.FOLLOWER
        if leader != NOBODY:
            self.heard_leader(leader)

    # --- reads --------------------------------------------------------------------------------------------

    def answer_read(self, read: Read, index: int) -> None:
        if read.reader == self.id:
            self.read_states.append(ReadState(read.context, index))
        else:
            self.messages.append(MsgReadIndexResp(self.id, read.reader, self.term, read.context, index))

    def refuse_reads(self) -> None:
        """Refuses all waiting reads: the leader has changed, so their readers have to ask again."""
        for read in self.rounds.take_all():
            self.answer_read(read, 0)
        self.rounds = ReadRounds()
        self.read_states += [ReadState(context, 0) for context in self.forwarded.take_all()]

    # --- commit -------------------------------------------------------------------------------------------

    def maybe_commit(self) -> None:
        """Commits what a quorum has on disk, if its last entry is of this term. Entries of older terms are
        committed only by those after them (section 5.4.2).
        """
        index = joint_index(self.conf, _matches(self.progress))
        if index > self.log.commit and self.log.term(index) == self.term:
            self.log.commit_to(index)

    def hard_state(self) -> HardState:
        return HardState(self.term, self.vote, self.log.commit)


def _matches(progress: Mapping[int, Progress]) -> dict[int, int]:
    return {member: p.match for member, p in progress.items()}
