"""The leader's record of each follower: how far its log reaches, and how much may be under way to it."""

import enum
from collections import deque

NEVER_MS = -(1 << 60)


class ProgressState(enum.StrEnum):
    PROBE = "probe"  # the index at which the logs agree is not known: one MsgApp at a time
    REPLICATE = "replicate"  # MsgApps are pipelined
    SNAPSHOT = "snapshot"  # the entries it needs are compacted: nothing is sent until it has the snapshot


class Inflights:
    """MsgApps sent and not yet acknowledged, bounded by count and bytes. The last one may pass the bound of bytes,
    so that at least one is always allowed.
    """

    __slots__ = ("_max_bytes", "_max_messages", "_sent", "_sent_bytes")

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._sent: deque[tuple[int, int]] = deque()  # last index of each message, and its bytes
        self._sent_bytes = 0

    def add(self, last: int, size: int) -> None:
        self._sent.append((last, size))
        self._sent_bytes += size

    def free_to(self, index: int) -> None:
        sent = self._sent
        while sent and sent[0][0] <= index:
            self._sent_bytes -= sent.popleft()[1]

    def clear(self) -> None:
        self._sent.clear()
        self._sent_bytes = 0

    @property
    def full(self) -> bool:
        return len(self._sent) >= self._max_messages or self._sent_bytes >= self._max_bytes

    def __len__(self) -> int:
        return len(self._sent)

    def check(self) -> None:
        lasts = [last for last, _ in self._sent]
        assert lasts == sorted(lasts), lasts
        assert self._sent_bytes == sum(size for _, size in self._sent)
        assert len(self._sent) <= self._max_messages


class Progress:
    """One follower's state. Entries up to `match` are known to be on its disk; `next` is sent next. match < next.

    While `paused`, nothing is sent until an answer comes. The answer to a heartbeat asks for one more message, in
    case all before it were lost.
    """

    __slots__ = (
        "heard_ms",
        "inflights",
        "match",
        "next",
        "paused",
        "sent_commit",
        "snapshot_due_ms",
        "state",
        "wake",
    )

    def __init__(self, next_index: int, inflights: Inflights, heard_ms: int = NEVER_MS) -> None:
        self.match = 0
        self.next = next_index
        self.state = ProgressState.PROBE
        self.paused = False
        self.wake = False  # send one message even when there is nothing new
        self.sent_commit = 0  # the largest commit index it was told
        self.snapshot_due_ms = 0  # when to give up on the snapshot it was offered
        self.heard_ms = heard_ms
        self.inflights = inflights

    def _become(self, state: ProgressState, next_index: int) -> None:
        self.state = state
        self.next = next_index
        self.paused = False
        self.wake = False
        self.inflights.clear()

    def become_probe(self) -> None:
        """Probes from the entry after `match`."""
        self._become(ProgressState.PROBE, self.match + 1)
        self.sent_commit = min(self.sent_commit, self.match)

    def probe_snapshot(self) -> None:
        """Probes whether the snapshot that was offered has arrived."""
        self._become(ProgressState.PROBE, self.next)
        self.sent_commit = min(self.sent_commit, self.match)

    def become_replicate(self) -> None:
        self._become(ProgressState.REPLICATE, self.match + 1)

    def become_snapshot(self, index: int, due_ms: int) -> None:
        self._become(ProgressState.SNAPSHOT, index + 1)
        self.sent_commit = index
        self.snapshot_due_ms = due_ms

    def sent(self, last: int, size: int) -> None:
        """Notes that entries up to `last` were sent."""
        if self.state is ProgressState.REPLICATE:
            self.next = last + 1
            self.inflights.add(last, size)

    def matched(self, index: int) -> bool:
        """Notes that the follower acknowledged `index`. Returns False when that is no news."""
        if index <= self.match:
            return False
        self.match = index
        self.next = max(self.next, index + 1)
        self.paused = False
        return True

    def refused(self, index: int, hint: int) -> bool:
        """Notes that the follower refused entries after `index` and may agree up to `hint`. Returns False when the
        answer is stale: messages arrive late, twice or out of order.
        """
        if self.state is ProgressState.REPLICATE:
            if index <= self.match:
                return False
            self.become_probe()
            return True
        if self.state is ProgressState.SNAPSHOT or self.next - 1 != index:
            return False
        self.next = max(min(index, hint + 1), self.match + 1)
        self.sent_commit = min(self.sent_commit, self.next - 1)
        self.paused = False
        return True

    def can_bump_commit(self, commit: int) -> bool:
        """True when the follower may commit more once it is told `commit`."""
        return commit > self.sent_commit and self.sent_commit < self.next - 1

    def is_told(self, last: int, commit: int) -> bool:
        """True when there is nothing to send to a follower that keeps up with this log."""
        if self.wake or self.next <= last or self.state is not ProgressState.REPLICATE:
            return False
        return commit <= self.sent_commit or self.sent_commit >= self.next - 1

    def check(self, last: int) -> None:
        assert self.match < self.next <= last + 1, self
        assert self.match <= last, self
        assert self.state is ProgressState.REPLICATE or not len(self.inflights), self
        self.inflights.check()

    def __repr__(self) -> str:
        flags = f"{' paused' * self.paused}{f' inflight {len(self.inflights)}' if len(self.inflights) else ''}"
        return f"Progress({self.state} match {self.match} next {self.next}{flags})"
