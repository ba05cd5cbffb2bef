"""One machine's disk, and how it fails.

It keeps two images of itself: what was written (the page cache, which outlives a killed process) and what is
durable (which alone outlives a loss of power). A transaction is all or nothing and durable ones form a prefix, as
LMDB's do: a transaction counts from the moment its meta page is there, which LMDB writes after all else was synced.
"""

from collections.abc import Callable

from sim.image import CHUNK, CHUNK_BYTES, ENTRY, IDENTITY, PAGES, VOTE, Image, Transaction
from sim.world import World

EIO, ENOSPC = "Input/output error", "No space left on device"


class DiskError(Exception):
    """What LMDB or the kernel raises; the log makes a LogFailed of it."""


class Disk:
    """`on_write` is told of each transaction after it was written; `slowness` multiplies latencies, `hang_ms` is
    added to each fsync. `write_error` and `fsync_error`, while set, are what happens instead.
    """

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.written = Image()
        self.durable = Image()
        self.slowness = 1.0
        self.hang_ms = 0.0
        self.write_error = ""
        self.fsync_error = ""
        self.on_write: Callable[[Disk, Transaction], None] = lambda *_: None
        self._unsynced: list[Transaction] = []
        self._doubtful: list[Transaction] = []  # their fsync failed: the medium may have them all the same
        self._rng = world.rng("disk", name)

    def heal(self) -> None:
        """It works again. What it lost or damaged stays so."""
        self.slowness, self.hang_ms = 1.0, 0.0
        self.write_error = self.fsync_error = ""

    # --- writing ------------------------------------------------------------------------------------------

    def commit(self, transaction: Transaction) -> None:
        """Written, not yet durable. Raises DiskError, and then nothing was written."""
        if self.write_error:
            self.world.count(f"write refused: {self.write_error}")
            raise DiskError(self.write_error)
        transaction.apply(self.written)
        self._unsynced.append(transaction)
        self.on_write(self, transaction)

    def sync(self) -> None:
        """All that was written so far is durable. Raises DiskError: then nobody knows. The page cache shows what
        was there before (LMDB puts the old meta page back), the medium the one or the other.
        """
        if self.fsync_error:
            self.world.count("fsync failed")
            self._doubtful += self._unsynced
            self._unsynced = []
            self.written = self.durable.copy()
            raise DiskError(self.fsync_error)
        for transaction in self._unsynced:
            transaction.apply(self.durable)
        self._unsynced.clear()
        self._doubtful.clear()

    def latency_ms(self, *, fsync: bool) -> float:
        if not fsync:
            return self._rng.uniform(0.01, 0.1) * self.slowness
        usual = self._rng.uniform(0.2, 2.0)
        rare = self._rng.uniform(0, 30.0) if self._rng.random() < 0.02 else 0.0
        return (usual + rare) * self.slowness + self.hang_ms

    # --- losing -------------------------------------------------------------------------------------------

    def lose_power(self, *, torn: bool = False) -> bool:
        """What was not synced is lost from some point on: the kernel may have written some of it by itself.

        `torn`: the drive had promised an order that it did not keep, so that the last transaction's meta page is
        there without the pages it points to. Returns whether that could happen.
        """
        unsure = [*self._doubtful, *self._unsynced]
        kept = self._rng.randint(0, len(unsure))
        if kept < len(unsure):
            self.world.count("unsynced transaction lost")
        if kept and self._doubtful:
            self.world.count("transaction of a failed fsync found again")
        torn = torn and bool(self._unsynced)
        for transaction in unsure[:kept]:
            transaction.apply(self.durable)
        if torn:
            self.durable.damage[PAGES, 0] = 0
        self._unsynced, self._doubtful = [], []
        self.written = self.durable.copy()
        return torn

    def roll_back(self, older: Image) -> None:
        """Somebody put an older copy of the file in its place."""
        self.written, self.durable = older.copy(), older.copy()
        self._unsynced, self._doubtful = [], []

    def flip_bit(self, rng) -> str:
        """One bit of one record, on the medium and in the cache. Returns which record, "" when there is none."""
        image = self.durable
        places: list[tuple[str, int]] = [(ENTRY, entry.index) for entry in image.entries] * 3
        if image.snapshot_data:
            chunks = -(-len(image.snapshot_data) // CHUNK_BYTES)
            places += [(CHUNK, number) for number in range(chunks)] * max(1, len(places) // 6)
        if image.hard_state.term:
            places += [(VOTE, 0)]
        if image.identity is not None:
            places += [(IDENTITY, 0)]
        if not places:
            return ""
        what, number = rng.choice(places)
        bit = rng.getrandbits(24)
        for each in (self.written, self.durable):
            if _same_record(each, image, what, number):
                each.damage[what, number] = bit
        return f"{what} {number}"


def _same_record(image: Image, other: Image, what: str, number: int) -> bool:
    if what == ENTRY:
        return image.term_at(number) == other.term_at(number) and image.first <= number <= image.last
    return what != CHUNK or image.snapshot == other.snapshot
