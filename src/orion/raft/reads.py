"""Linearizable reads without log entries (ReadIndex, section 6.4 of the thesis).

The leader notes its commit index and sends a round of heartbeats. Once a majority has answered, the leader still
led at that time, and a read at that index is safe. All reads of a turn share one round.
"""

from collections import deque

import msgspec

from orion.raft.messages import ConfState
from orion.raft.quorum import joint_index

MAX_WAITING_READS = 4_096  # at the leader, and forwarded by one follower


class Read(msgspec.Struct, frozen=True, gc=False):
    round: int
    reader: int  # the member that asked
    context: int
    index: int


class ReadRounds:
    """The leader's reads in one term. Rounds are numbered from 1; an answer to one confirms all earlier ones
    too.
    """

    def __init__(self) -> None:
        self.newest = 0  # the newest round that heartbeats were sent for
        self._waiting: deque[Read] = deque()
        self._acked: dict[int, int] = {}

    def add(self, reader: int, context: int, index: int) -> bool:
        """Adds a read to the next round. Returns False when too many wait."""
        if len(self._waiting) >= MAX_WAITING_READS:
            return False
        self._waiting.append(Read(self.newest + 1, reader, context, index))
        return True

    @property
    def due(self) -> bool:
        """True while reads wait for a round to be started."""
        return bool(self._waiting) and self._waiting[-1].round > self.newest

    def start_round(self) -> int:
        self.newest += 1
        return self.newest

    @property
    def context(self) -> int:
        """The number that a heartbeat carries; 0 when nothing waits."""
        return self.newest if self._waiting else 0

    def acked(self, member: int, number: int) -> None:
        self._acked[member] = max(self._acked.get(member, 0), min(number, self.newest))

    def take_confirmed(self, conf: ConfState, leader: int) -> list[Read]:
        """Returns the reads whose round a quorum has answered. The leader counts as having answered."""
        if not self._waiting:
            return []
        confirmed = joint_index(conf, {**self._acked, leader: self.newest})
        reads = []
        while self._waiting and self._waiting[0].round <= confirmed:
            reads.append(self._waiting.popleft())
        return reads

    def take_all(self) -> list[Read]:
        reads = list(self._waiting)
        self._waiting.clear()
        return reads


class ForwardedReads:
    """A follower's reads that were passed on to the leader.

    On the wire they bear numbers that start at random in each process, so that a late answer to a read of an
    earlier process is not taken for an answer to one of this process.
    """

    def __init__(self, salt: int) -> None:
        self._next = salt + 1
        self._contexts: dict[int, int] = {}

    def forward(self, context: int) -> int:
        number, self._next = self._next, self._next + 1
        self._contexts[number] = context
        return number

    @property
    def full(self) -> bool:
        return len(self._contexts) >= MAX_WAITING_READS

    def answered(self, number: int) -> int | None:
        """Returns the context that was forwarded as `number`; None when nobody waits for it any more."""
        return self._contexts.pop(number, None)

    def take_oldest(self) -> int:
        return self._contexts.pop(next(iter(self._contexts)))

    def take_all(self) -> list[int]:
        contexts = list(self._contexts.values())
        self._contexts.clear()
        return contexts
