"""The frames a snapshot is made of: 4 bytes of length, then a msgpack array with a tag.

Header and End are here; what lies between belongs to the tables, each of which declares frames of its own.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Annotated, Any, TypeVar

import msgspec

from orion.model.levels import since
from orion.state.core.encoding import LeveledEncoder
from orion.state.core.shapes import tag_of

FORMAT = 3
LENGTH_BYTES = 4
MAX_FRAME_BYTES = 64 * 1024 * 1024  # more can't be a length
CHUNK_BYTES = 256 * 1024
ROWS = 64  # of one frame; reasons and answers are bounded, so a frame of them stays under a chunk's limit

_Row = TypeVar("_Row")


class Frame(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Fields are only ever added at the end, with a default; another meaning is another FORMAT."""


class Header(Frame, frozen=True, array_like=True, tag=1):
    """The values that are one of a kind in a state. Whatever a newer table has of that is in a frame of its own.
    `level`: at which everything in the snapshot is written, this frame too.
    """

    format: int
    index: int
    cluster: int
    next_number: int
    next_allocation: int
    answers_from: int = 0
    recovery: int = 0
    config_answers_from: int = 0
    level: int = 1


class Rows(Frame, frozen=True, array_like=True, tag=0):
    """Some rows of one table. Each table declares a subclass with a tag of its own and the type of its rows."""

    rows: list[Any]


class End(Frame, frozen=True, array_like=True, tag=7):
    """How many rows came before. The first tables have a field each, the later ones are in `more`, by the tag of
    their frame.
    """

    nodes: int
    jobs: int
    allocations: int
    configs: int = 0
    successors: int = 0
    more: Annotated[dict[int, int], since(2)] = {}


_FIELDS = {2: "nodes", 5: "jobs", 6: "allocations", 8: "configs", 10: "successors"}  # of End, by the tag of a frame


_UNCOUNTED = frozenset((3, 4, 9))  # removed nodes, and answers


def frame_tag(kind: type[Frame]) -> int:
    tag = tag_of(kind)
    assert isinstance(tag, int)
    return tag


def end_of(rows: dict[type[Frame], int]) -> End:
    """`rows`: how many came, by their frame."""
    counts = {frame_tag(kind): count for kind, count in rows.items()}
    fields = {name: counts.get(tag, 0) for tag, name in _FIELDS.items()}
    more = {tag: counts[tag] for tag in sorted(counts) if tag not in _FIELDS and tag not in _UNCOUNTED}
    return End(**fields, more=more)


def batches(rows: Iterable[_Row]) -> Iterator[list[_Row]]:
    """Few enough rows for a frame to stay well under a chunk's limit."""
    left = iter(rows)
    while batch := list(islice(left, ROWS)):
        yield batch


def batches_by_size(rows: Iterable[_Row], size_bytes: Callable[[_Row], int]) -> Iterator[list[_Row]]:
    """As `batches`, of rows that can be large."""
    batch: list[_Row] = []
    total = 0
    for row in rows:
        batch.append(row)
        total += size_bytes(row)
        if len(batch) == ROWS or total >= CHUNK_BYTES:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch


_encoder = LeveledEncoder()
_NO_LENGTH = bytes(LENGTH_BYTES)  # yet


def encode_into(frame: Frame, buffer: bytearray, level: int) -> None:
    """Append the frame with its length."""
    start = len(buffer)
    buffer += _NO_LENGTH
    body = start + LENGTH_BYTES
    _encoder.encode_into(frame, buffer, body, level)
    buffer[start:body] = (len(buffer) - body).to_bytes(LENGTH_BYTES)
