"""A snapshot's bytes back into a state, chunk by chunk, the indexes built on the way."""

from collections import defaultdict
from typing import Union

import msgspec

from orion.model.errors import Corrupt
from orion.state.core.frames import (
    FORMAT,
    LENGTH_BYTES,
    MAX_FRAME_BYTES,
    End,
    Frame,
    Header,
    Rows,
    end_of,
)
from orion.state.gate import require_understood
from orion.state.tables import TABLES, State

_OWNERS = {frame: kind for kind in TABLES for frame in kind.frames}
_decoder: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Union[Header, End, *_OWNERS])


class Restorer:
    """Feed it the chunks in order, cut anywhere, then finish. Each raises Corrupt for bytes that are no snapshot
    or not all of one, and Outdated for one that is written at a level which this build does not know.
    """

    def __init__(self) -> None:
        self._state = State()
        self._pending = bytearray()
        self._header: Header | None = None
        self._end: End | None = None
        self._counts: dict[type[Frame], int] = defaultdict(int)
        self._takers = {frame: self._state.of(kind).restore for frame, kind in _OWNERS.items()}

    def feed(self, chunk: bytes) -> None:
        pending = self._pending
        pending += chunk
        start = 0
        while len(pending) - start >= LENGTH_BYTES:
            body = start + LENGTH_BYTES
            length = int.from_bytes(pending[start:body])
            if length > MAX_FRAME_BYTES:
                raise Corrupt(f"the snapshot is damaged: a frame of {length:,} bytes")
            if len(pending) - body < length:
                break
            start = body + length
            try:
                self._take(_decoder.decode(memoryview(pending)[body:start]))
            except (msgspec.MsgspecError, UnicodeDecodeError, LookupError) as error:
                raise Corrupt(f"the snapshot is damaged: {error!r}") from error
        del pending[:start]

    def finish(self) -> State:
        end = self._end
        if end is None or self._pending:
            raise Corrupt("the snapshot is not whole: its end is missing")
        found = end_of(self._counts)
        if found != end:
            raise Corrupt(f"the snapshot is damaged: it holds {found}, not {end}")
        return self._state

    def _take(self, frame: Frame) -> None:
        if (self._header is None) != isinstance(frame, Header) or self._end is not None:
            raise Corrupt("the snapshot is damaged: its frames are out of order")
        if isinstance(frame, Rows):
            self._counts[type(frame)] += len(frame.rows)
            self._takers[type(frame)](frame)
        elif isinstance(frame, Header):
            self._take_header(frame)
        elif isinstance(frame, End):
            self._end = frame

    def _take_header(self, header: Header) -> None:
        if header.format != FORMAT:
            raise Corrupt(f"the snapshot has format {header.format}; this version of orion knows {FORMAT}")
        require_understood(header.level, "the snapshot")
        self._header = header
        state = self._state
        state.index = header.index
        state.recovery = header.recovery
        state.level = header.level
        state.cluster = header.cluster
        state.salt = header.cluster & 0xFFFFFFFF
        fields = msgspec.structs.asdict(header)
        for table in state.tables.values():
            table.restore_header(fields)
