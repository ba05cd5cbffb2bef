"""The state as bytes, and back.

A snapshot is a stream of frames that begins with a Header, ends with an End that counts what came between, and
may be cut into chunks anywhere. Only tables are in it, each in an order that a restore repeats, so that equal
states give equal bytes.

`capture` is one short step (it copies dicts and lists, not what is in them); after it `apply` may go on while
`encode` yields chunk after chunk. `restore.Restorer` takes them.
"""

from collections import defaultdict
from collections.abc import Iterator

from orion.state.core.frames import CHUNK_BYTES, FORMAT, Frame, Header, encode_into, end_of
from orion.state.tables import State

MAX_CHUNK_BYTES = 1024 * 1024


class Captured:
    """A state as `encode` needs it, untouched by later commands; to be encoded once."""

    __slots__ = ("frames", "header")

    def __init__(self, state: State) -> None:
        fields: dict[str, int] = {}
        for table in state.tables.values():
            fields |= table.header()
        fields |= {"recovery": state.recovery, "level": state.level}
        self.header = Header(FORMAT, state.index, state.cluster, **fields)
        self.frames = [table.capture() for table in state.tables.values()]


def capture(state: State) -> Captured:
    return Captured(state)


def encode(captured: Captured) -> Iterator[bytes]:
    """Chunks of about CHUNK_BYTES, at most MAX_CHUNK_BYTES, each made when asked for."""
    buffer, level = bytearray(), captured.header.level
    for frame in _frames(captured):
        encode_into(frame, buffer, level)
        if len(buffer) >= CHUNK_BYTES:
            yield from _cut(buffer)
            buffer.clear()
    yield from _cut(buffer)


def _cut(buffer: bytearray) -> Iterator[bytes]:
    for start in range(0, len(buffer), MAX_CHUNK_BYTES):
        yield bytes(buffer[start : start + MAX_CHUNK_BYTES])


def _frames(captured: Captured) -> Iterator[Frame]:
    yield captured.header
    counts: dict[type[Frame], int] = defaultdict(int)
    for frames in captured.frames:
        for frame in frames:
            counts[type(frame)] += len(frame.rows)
            yield frame
    yield end_of(counts)
