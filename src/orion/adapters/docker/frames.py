"""stdout and stderr in frames of one stream (Engine API, "Stream format"): logs, and attach without a terminal."""

import struct
from typing import NamedTuple

from orion.model.errors import EngineError

MAX_FRAME_BYTES = 1024 * 1024  # Docker itself cuts lines into pieces of 16 kB
STDOUT = 1
STDERR = 2

_HEADER = struct.Struct(">BxxxL")  # which stream, how many bytes follow


class Frame(NamedTuple):
    stream: int
    data: bytes


class Frames:
    """Frames out of pieces that are cut anywhere."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, piece: bytes) -> list[Frame]:
        """Returns the frames that are whole. Raises EngineError for one that is too large."""
        self._pending += piece
        pending, found, begin = self._pending, [], 0
        while len(pending) - begin >= _HEADER.size:
            stream, size = _HEADER.unpack_from(pending, begin)
            if size > MAX_FRAME_BYTES:
                raise EngineError(f"the Docker Engine sent a line of {size} bytes of a container's output")
            end = begin + _HEADER.size + size
            if end > len(pending):
                break
            found.append(Frame(stream, bytes(pending[begin + _HEADER.size : end])))
            begin = end
        del pending[:begin]
        return found
