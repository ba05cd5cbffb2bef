"""The tail of the log that is in memory: from the last compaction to the end.

Its indexes: `offset` < entries <= `last`; `applied` (handed out to be applied) <= `commit`;
`stable` (on disk, with the terms held here) <= `handed` (given out to be written) <= `last`.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from operator import attrgetter

from orion.raft.messages import Entry, SnapshotMeta

ENTRY_BYTES = 16  # what an entry counts for beside its data, so that empty ones are not free

_index_of, _term_of = attrgetter("index"), attrgetter("term")


class LogBroken(Exception):
    """The log contradicts what this member has promised: its disk lost acknowledged writes, or a leader asks to
    replace committed entries. The process must not go on as a member.
    """


class RaftLog:
    def __init__(self, snapshot: SnapshotMeta, entries: Sequence[Entry]) -> None:
        """`entries` may begin before the snapshot's index: they are kept for followers that lag a little."""
        first = entries[0].index if entries else snapshot.index + 1
        if first > snapshot.index + 1:
            raise LogBroken(f"log entry {snapshot.index + 1} is missing: the log begins at {first}")
        self.offset = first - 1
        self.offset_term = snapshot.term if self.offset == snapshot.index else 0
        self.last = self.offset
        self.last_term = self.offset_term
        self.confs: list[int] = []  # the indexes of configuration changes in `entries`
        self._entries: list[Entry] = []
        self._ends = [0]  # _ends[k]: bytes up to and with the k-th entry; only differences mean something
        self._writing: deque[tuple[int, int]] = deque()  # batches being written: (persist_seq, last index)
        self._cut: tuple[int, int, tuple[Entry, ...]] = (0, 0, ())  # the last slice, shared while it is the same
        self.append(entries)
        self.stable = self.handed = self.last
        self.commit = self.applied = snapshot.index
        if self.last < snapshot.index:
            raise LogBroken(f"the log ends at {self.last}, before its snapshot at {snapshot.index}")

    # --- reading ------------------------------------------------------------------------------------------

    @property
    def last_conf(self) -> int:
        return self.confs[-1] if self.confs else 0

    def term(self, index: int) -> int | None:
        """The term of an entry; None when it is compacted or past the end. Index 0, before the first, has term
        0.
        """
        if self.offset < index <= self.last:
            return self._entries[index - self.offset - 1].term
        # After a restart the term before the first of the kept trailing entries is not known any more.
        if index == self.offset and (self.offset_term or not index):
            return self.offset_term
        return None

    def slice(self, first: int, last: int) -> tuple[Entry, ...]:
        """Entries first..last, both included. Followers that are sent the same entries share one tuple."""
        if self._cut[0] != first or self._cut[1] != last:
            start = self.offset + 1
            self._cut = (first, last, tuple(self._entries[first - start : last - start + 1]))
        return self._cut[2]

    def bytes_after(self, index: int, last: int) -> int:
        """The bytes of entries index + 1 .. last."""
        return self._ends[last - self.offset] - self._ends[index - self.offset]

    def within(self, first: int, last: int, max_bytes: int) -> int:
        """The last index of the longest run from `first` up to `last` within `max_bytes`; at least one entry."""
        start = first - 1 - self.offset
        fits = bisect_right(self._ends, self._ends[start] + max_bytes, start) - 1 + self.offset
        return max(first, min(fits, last))

    def is_up_to_date(self, index: int, term: int) -> bool:
        """True when a log that ends with this index and term is at least as up-to-date as this one (section
        5.4.1).
        """
        return term > self.last_term or (term == self.last_term and index >= self.last)

    def guess_match(self, index: int, term: int) -> tuple[int, int]:
        """The largest index at or before `index` whose term is at most `term`, and its term: where a log that has
        `term` at `index` may agree with this one. Term 0 when it is not known (compacted).

        Terms never fall along a log, so that both sides skip whole terms (end of section 5.3).
        """
        index = min(index, self.last)
        if index < self.offset:
            return index, 0
        count = bisect_right(self._entries, term, 0, index - self.offset, key=_term_of)
        if count or self.offset_term <= term:
            guess = self.offset + count
            return guess, self.term(guess) or 0
        return max(0, self.offset - 1), 0

    # --- writing ------------------------------------------------------------------------------------------

    def append(self, entries: Sequence[Entry]) -> None:
        """`entries` follow the last one without a gap."""
        if not entries:
            return
        total = self._ends[-1]
        for entry in entries:
            total += len(entry.data) + ENTRY_BYTES
            self._ends.append(total)
            if entry.kind:
                self.confs.append(entry.index)
        self._entries.extend(entries)
        self.last, self.last_term = entries[-1].index, entries[-1].term

    def try_append(self, prev: int, prev_term: int, entries: tuple[Entry, ...]) -> int | None:
        """Appends a leader's entries (section 5.3). Returns the index up to which this log now agrees with the
        leader's, or None when it does not hold `prev`. Raises LogBroken when that would replace committed entries.
        """
        if self.term(prev) != prev_term:
            return None
        if prev == self.last:
            self.append(entries)
            return self.last
        for position, entry in enumerate(entries):
            if self.term(entry.index) != entry.term:
                if entry.index <= self.last:
                    self._truncate(entry.index - 1)
                self.append(entries[position:])
                break
        return prev + len(entries)

    def _truncate(self, last: int) -> None:
        """Drops the entries after `last`. Batches that are being written then prove nothing about the entries that
        come in their place, even when those are the same.
        """
        if last < self.commit:
            raise LogBroken(f"the leader asks to replace entry {last + 1}, but {self.commit} are committed")
        keep = last - self.offset
        del self._entries[keep:]
        del self._ends[keep + 1 :]
        while self.confs and self.confs[-1] > last:
            self.confs.pop()
        self.last, self.last_term = last, self._entries[-1].term if keep else self.offset_term
        self.stable = min(self.stable, last)
        self.handed = min(self.handed, last)
        self._writing = deque((seq, min(end, last)) for seq, end in self._writing)
        self._cut = (0, 0, ())

    def commit_to(self, index: int) -> None:
        """Moves the commit index up to `index`. Raises LogBroken past the end of the log."""
        if index > self.last:
            raise LogBroken(
                f"{index} are committed, but the log ends at {self.last}: acknowledged entries are lost"
            )
        self.commit = max(self.commit, index)

    def compact(self, first_kept: int) -> None:
        """Drops the entries before `first_kept`, all of which are applied."""
        count = first_kept - 1 - self.offset
        if count <= 0:
            return
        assert first_kept <= self.applied + 1, f"compacting to {first_kept}, applied {self.applied}"
        self.offset_term = self._entries[count - 1].term
        self.offset += count
        del self._entries[:count]
        del self._ends[:count]
        self.confs = [index for index in self.confs if index > self.offset]

    def restore(self, snapshot: SnapshotMeta) -> None:
        """Replaces the whole log by a snapshot."""
        self.offset = self.last = self.commit = self.applied = self.stable = self.handed = snapshot.index
        self.offset_term = self.last_term = snapshot.term
        self._entries, self._ends, self.confs = [], [0], []
        self._writing = deque((seq, 0) for seq, _ in self._writing)
        self._cut = (0, 0, ())

    # --- disk and state -----------------------------------------------------------------------------------

    def hand_out(self, persist_seq: int) -> tuple[Entry, ...]:
        """Returns the entries that were not yet given out to be written."""
        if self.handed == self.last:
            return ()
        entries = self.slice(self.handed + 1, self.last)
        self.handed = self.last
        self._writing.append((persist_seq, self.last))
        return entries

    def persisted(self, persist_seq: int) -> None:
        """Takes note that this batch is on disk, and with it all before it: batches are written in order."""
        while self._writing and self._writing[0][0] <= persist_seq:
            self.stable = max(self.stable, self._writing.popleft()[1])

    @property
    def appliable(self) -> int:
        """The last entry that is committed and on this member's disk."""
        return min(self.commit, self.stable)

    def take_committed(self, max_bytes: int) -> tuple[Entry, ...]:
        """Returns the next entries to apply, within `max_bytes`; at least one when there is any."""
        end = self.appliable
        if end <= self.applied:
            return ()
        first = self.applied + 1
        self.applied = self.within(first, end, max_bytes)
        return self.slice(first, self.applied)

    def check(self) -> None:
        """Asserts the invariants of the log."""
        assert self.offset <= self.applied <= self.commit <= self.last, self
        assert self.stable <= self.handed <= self.last, self
        assert self.applied <= self.stable, self
        assert len(self._entries) == self.last - self.offset == len(self._ends) - 1, self
        indexes, terms = list(map(_index_of, self._entries)), [self.offset_term, *map(_term_of, self._entries)]
        assert indexes == list(range(self.offset + 1, self.last + 1)), f"a gap in {indexes}"
        assert terms == sorted(terms), f"a term older than the one before it in {terms}"
        assert self.last_term == terms[-1], self
        assert self.confs == [e.index for e in self._entries if e.kind], self
        for (before, _), (after, end) in pairwise([(0, 0), *self._writing]):
            assert before < after, self
            assert end <= self.handed, self

    def __repr__(self) -> str:
        return (
            f"RaftLog({self.offset + 1}..{self.last} term {self.last_term}, handed {self.handed}, stable"
            f" {self.stable}, commit {self.commit}, applied {self.applied})"
        )
