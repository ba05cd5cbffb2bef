"""Frames on a peer connection: u32 length (big endian, counts all that follows) | u8 kind | payload."""

import enum
import struct

import msgspec

MAX_FRAME_BYTES = 8 * 1024 * 1024
MAX_HELLO_BYTES = 1024  # of a frame, until the hello has come: strangers can't make a node hold more
HEADER = struct.Struct(">IB")
_LENGTH_BYTES = 4
_COMPACT_BYTES = 256 * 1024  # consumed bytes stay in the buffer until there are more than this


class Kind(enum.IntEnum):
    HELLO = 1
    RAFT = 2  # messages, one way
    CALL = 3
    REPLY = 4
    REQUEST = 5  # opens a stream
    ITEM = 6
    END = 7
    REFUSED = 8  # in place of all else, after the hello: why the peer is not let in
    DUPLEX = 9  # opens a stream that carries both ways


_KINDS = frozenset(int(kind) for kind in Kind)


class FrameError(Exception):
    """The bytes are not Orion's protocol, or are damaged: the connection has to be closed."""


class Frame(msgspec.Struct, frozen=True, gc=False):
    kind: int
    payload: bytes


def encode_frame(kind: Kind, payload: bytes) -> bytes:
    """Raises FrameError when the payload is over the limit."""
    length = len(payload) + 1
    if length > MAX_FRAME_BYTES:
        raise FrameError(f"a frame of {length} bytes is over the limit of {MAX_FRAME_BYTES}")
    return HEADER.pack(length, kind) + payload


class FrameReader:
    """Takes bytes and gives whole frames. A frame's length is checked before its payload is kept.

    `max_frame_bytes` may be changed between two frames: it is small until the hello has come.
    """

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self.max_frame_bytes = max_frame_bytes
        self._buffer = bytearray()
        self._start = 0

    @property
    def buffered(self) -> int:
        return len(self._buffer) - self._start

    def feed(self, data: bytes) -> list[Frame]:
        """Returns the frames that `data` completes. Raises FrameError, after which the reader is of no use."""
        self.push(data)
        frames: list[Frame] = []
        while (frame := self.pop()) is not None:
            frames.append(frame)
        return frames

    def push(self, data: bytes) -> None:
        if self._start > _COMPACT_BYTES or self._start == len(self._buffer):
            del self._buffer[: self._start]
            self._start = 0
        self._buffer += data

    def pop(self) -> Frame | None:
        """Returns the next whole frame, or None. Raises FrameError as soon as the frame's head is wrong."""
        have = len(self._buffer) - self._start
        if have < HEADER.size:
            return None
        length, kind = HEADER.unpack_from(self._buffer, self._start)
        if not 1 <= length <= self.max_frame_bytes:
            raise FrameError(f"a frame of {length} bytes; the limit is {self.max_frame_bytes}")
        if kind not in _KINDS:
            raise FrameError(f"unknown frame kind {kind}")
        if have < _LENGTH_BYTES + length:
            return None
        begin = self._start + HEADER.size
        self._start += _LENGTH_BYTES + length
        return Frame(kind, bytes(memoryview(self._buffer)[begin : self._start]))
