"""How fresh a read is to be, which part of a list it wants, and a list as it is answered."""

from typing import TypeVar

import msgspec

from orion.wire.envelopes import MAX_CALL_MS

T = TypeVar("T")


class Read(msgspec.Struct, frozen=True, array_like=True):
    """How fresh a read must be: linearizable, or `stale` from what this node has applied. `after_index` > 0:
    wait up to `wait_s` until the state has passed that index (long poll).
    """

    stale: bool = False
    after_index: int = 0
    wait_s: float = 0.0
    timeout_s: float = 10.0


def read_fault(read: Read) -> str:
    """Why no node would ask for it; "" when one may."""
    most_s = MAX_CALL_MS / 1000
    # Not a number compares with nothing, so it is refused as well.
    if 0 <= read.timeout_s <= most_s and 0 <= read.wait_s <= most_s and read.after_index >= 0:
        return ""
    return f"a wait of {read.wait_s + read.timeout_s} s past {read.after_index}"


class Page(msgspec.Struct, frozen=True, array_like=True):
    """A part of a list: at most `limit` rows (0: all), past the row with the id `after`, be it there or not."""

    after: str = ""
    limit: int = 0


ALL = Page()


Epoch = tuple[int, ...]  # what a list depends on besides the index


class Listing:
    """A list as of `index`, as JSON in chunks. `next`: the id past which there are more rows, "" without any."""

    __slots__ = ("__weakref__", "chunks", "epoch", "index", "next", "size_bytes")

    def __init__(self, index: int, epoch: Epoch, following: str, chunks: tuple[bytes, ...]) -> None:
        self.index = index
        self.epoch = epoch
        self.next = following
        self.chunks = chunks
        self.size_bytes = sum(map(len, chunks))

    def rows(self, kind: type[T]) -> list[T]:
        """Returns what it holds, as views of a `kind`."""
        return msgspec.json.decode(b"".join(self.chunks), type=list[kind])  # type: ignore[valid-type]
