"""Frames on a peer connection: u32 length (big endian, counts all that follows) | u8 kind | payload."""

import enum
import struct

import msgspec

MAX_FRAME_BYTES = 8 * 1024 * 1024
MAX_HELLO_BYTES = 1024  # what a stranger may make us hold before it has said who it is
HEADER = struct.Struct(">IB")
_LENGTH_BYTES = 4
_COMPACT_BYTES = 256 * 1024  # consumed bytes are cut off the buffer once there are so many


class Kind(enum.IntEnum):
    HELLO = 1
    RAFT = 2  # messages, one way
    CALL = 3
    REPLY = 4
    REQUEST = 5  # opens a stream
    ITEM = 6
    END = 7
    REFUSED = 8  # in place of all else, to who has greeted: why it is not let in


_KINDS = frozenset(int(kind) for kind in Kind)


class FrameError(Exception):
    """What came in is not Orion's protocol, or is damaged: close the connection."""


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
    """Bytes in, whole frames out. The length is checked before anything of the frame is kept.

    `max_frame_bytes` may be changed between two frames: small until the hello is there.
    """

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self.max_frame_bytes = max_frame_bytes
        self._buffer = bytearray()
        self._start = 0

    @property
    def buffered(self) -> int:
        return len(self._buffer) - self._start

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes. Raises FrameError; the reader is of no use after that."""
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
        """The next whole frame, if it is there. Raises FrameError as soon as its head is wrong."""
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
