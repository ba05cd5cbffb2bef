"""What stands on a disk, and the transactions that change it: all or nothing, as LMDB's are.

Damage is a flipped bit in one record, or pages that do not belong together. Records are read through the codec of
the real log (wire/records.py), so what finds a flipped bit here is what finds it there.
"""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from orion.model.errors import Corrupt
from orion.ports.log import Identity
from orion.raft.interface import Persistent
from orion.raft.messages import Entry, HardState, SnapshotMeta
from orion.wire import records

T = TypeVar("T")
Where = tuple[str, int]  # a record: what it is, and its index or number

CHUNK_BYTES = 1024 * 1024
ENTRY, VOTE, IDENTITY, CHUNK, PAGES = "entry", "vote", "identity", "chunk", "pages"

IDENTITY_DAMAGED = "the node's identity is damaged"


class Image:
    """`entries` begin at index `first`. `damage`: records with a flipped bit, and which bit."""

    def __init__(self) -> None:
        self.identity: Identity | None = None
        self.hard_state = HardState()
        self.snapshot = SnapshotMeta()
        self.snapshot_data = b""
        self.first = 1
        self.entries: list[Entry] = []
        self.damage: dict[Where, int] = {}

    def copy(self) -> "Image":
        copy = Image()
        copy.__dict__.update(self.__dict__)
        copy.entries, copy.damage = list(self.entries), dict(self.damage)
        return copy

    @property
    def last(self) -> int:
        return self.first + len(self.entries) - 1

    def term_at(self, index: int) -> int | None:
        """None for what is not there."""
        offset = index - self.first
        if 0 <= offset < len(self.entries):
            return self.entries[offset].term
        return self.snapshot.term if index == self.snapshot.index else None

    def holds(self, index: int) -> bool:
        """Whether the log up to `index` is kept, in a snapshot or as entries."""
        return index < self.first + len(self.entries) or index <= self.snapshot.index

    # --- reading as the real log does ---------------------------------------------------------------------

    def open(self) -> None:
        """Raises Corrupt when the file's pages do not belong together."""
        if (PAGES, 0) in self.damage:
            raise _corrupt("data.mdb is damaged: page 17 is referenced but was never written")

    def load(self) -> Persistent:
        """Raises Corrupt, naming the entry."""
        self.open()
        after = max(0, self.snapshot.index + 1 - self.first)
        entries = self.entries[after:]
        state = self._read(VOTE, 0, lambda: records.encode_record(self.hard_state), self.hard_state, _vote)
        for entry in entries:
            self._read(ENTRY, entry.index, lambda e=entry: records.encode_entry(e), entry, _entry(entry.index))
        last, term = self.snapshot.index, self.snapshot.term
        for entry in entries:
            if entry.index != last + 1:
                raise _corrupt(f"log entry {last + 1} is missing")
            if entry.term < term:
                raise _corrupt(f"log entry {entry.index} is damaged: its term is older than the one before it")
            last, term = entry.index, entry.term
        if state.commit > last:
            raise _corrupt(f"log entry {last + 1} is missing: {state.commit} were committed")
        if state.term < term:
            raise _corrupt(f"the vote record is missing or old: term {state.term}, but the log is at term {term}")
        # A commit index alone is not synced, so it may lag behind the snapshot.
        state = msgspec.structs.replace(state, commit=max(state.commit, self.snapshot.index))
        return Persistent(state, self.snapshot, tuple(entries))

    def read_identity(self) -> Identity | None:
        self.open()
        identity = self.identity
        return self._read(IDENTITY, 0, lambda: records.encode_record(identity), identity, _identity)

    def read_chunk(self, number: int) -> bytes:
        """Raises Corrupt, naming the chunk."""
        meta = self.snapshot
        data = self.snapshot_data[number * CHUNK_BYTES : (number + 1) * CHUNK_BYTES]
        return self._read(
            CHUNK,
            number,
            lambda: records.encode_chunk(meta.term, meta.index, number, data),
            data,
            lambda record: records.decode_chunk(record, meta.term, meta.index, number),
        )

    def _read(
        self, what: str, number: int, encode: Callable[[], bytes], value: T, decode: Callable[[bytes], T]
    ) -> T:
        """`value` as it stands there; through bytes only where a bit is wrong, for that costs time."""
        bit = self.damage.get((what, number))
        if bit is None:
            return value
        record = bytearray(encode())
        bit %= 8 * len(record)
        record[bit // 8] ^= 1 << bit % 8
        try:
            return decode(bytes(record))
        except Corrupt as error:
            raise _corrupt(error.detail) from None

    def names_of_damage(self) -> list[str]:
        """What `load` and the identity must stumble over, in words that the refusal has to hold. A trailing entry
        is not read, a snapshot only later."""
        names = {
            PAGES: "data.mdb is damaged",
            VOTE: "the vote record is damaged",
            IDENTITY: IDENTITY_DAMAGED,
        }
        return [
            f"log entry {number} is damaged" if what == ENTRY else names[what]
            for what, number in self.damage
            if what in names or (what == ENTRY and number > self.snapshot.index)
        ]


def _corrupt(what: str) -> Corrupt:
    return Corrupt(f"{what}. Move that directory away and start the node again with --join")


def _vote(record: bytes) -> HardState:
    return records.decode_record(record, HardState, "the vote record")


def _identity(record: bytes) -> Identity | None:
    return records.decode_record(record, Identity, "the node's identity")


def _entry(index: int) -> Callable[[bytes], Entry]:
    return lambda record: records.decode_entry(record, index)


# --- transactions ------------------------------------------------------------------------------------------


class Write(msgspec.Struct, frozen=True):
    hard_state: HardState | None
    entries: tuple[Entry, ...]

    def apply(self, image: Image) -> None:
        if self.hard_state is not None:
            image.hard_state = self.hard_state
            image.damage.pop((VOTE, 0), None)
        if self.entries:
            start = self.entries[0].index
            if not image.entries:
                assert start == max(image.first, image.snapshot.index + 1) or start == image.first, (
                    f"entry {start} is written to an empty log that begins at {image.first}"
                )
                image.first = start
            assert image.first <= start <= image.last + 1, (
                f"entry {start} is written to a log of {image.first}..{image.last}"
            )
            del image.entries[start - image.first :]
            image.entries.extend(self.entries)
            _forget(image, lambda what, number: what == ENTRY and number >= start)


class SaveSnapshot(msgspec.Struct, frozen=True):
    meta: SnapshotMeta
    data: bytes
    first_kept: int
    hard_state: HardState | None

    def apply(self, image: Image) -> None:
        # The log past the snapshot is kept only where the two agree.
        agrees = image.term_at(self.meta.index) == self.meta.term
        image.snapshot, image.snapshot_data = self.meta, self.data
        if self.hard_state is not None:
            image.hard_state = self.hard_state
            image.damage.pop((VOTE, 0), None)
        if not agrees:
            image.entries.clear()
            image.first = self.meta.index + 1
        elif self.first_kept > image.first:
            del image.entries[: self.first_kept - image.first]
            image.first = self.first_kept
        first, last = image.first, image.last
        _forget(image, lambda what, number: what == CHUNK or (what == ENTRY and not first <= number <= last))


class SetIdentity(msgspec.Struct, frozen=True):
    identity: Identity

    def apply(self, image: Image) -> None:
        image.identity = self.identity
        image.damage.pop((IDENTITY, 0), None)


Transaction = Write | SaveSnapshot | SetIdentity


def _forget(image: Image, gone: Callable[[str, int], bool]) -> None:
    """What was written anew, or deleted, is damaged no more."""
    if image.damage:
        image.damage = {where: bit for where, bit in image.damage.items() if not gone(*where)}
