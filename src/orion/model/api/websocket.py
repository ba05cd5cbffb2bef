"""WebSocket messages as bytes (RFC 6455), without extensions, for either end."""

import base64
import hashlib
import struct
from enum import IntEnum

import msgspec

MOST_MESSAGE_BYTES = 1024 * 1024
MOST_CONTROL_BYTES = 125
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_SHORT, _LONG = struct.Struct(">H"), struct.Struct(">Q")


class Opcode(IntEnum):
    MORE = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class Reason(IntEnum):
    """Why a connection is closed, as the RFC numbers it."""

    DONE = 1000
    PROTOCOL = 1002
    NOT_TEXT = 1007
    TOO_LARGE = 1009
    FAILED = 1011


class Message(msgspec.Struct, frozen=True):
    """One whole message, or a control frame. TEXT is valid UTF-8."""

    opcode: Opcode
    data: bytes


class BrokenWebSocket(Exception):
    """No WebSocket message came, or none that is taken here."""

    def __init__(self, reason: Reason, words: str) -> None:
        super().__init__(words)
        self.reason = reason


def accept_key(key: str) -> str:
    """The Sec-WebSocket-Accept that answers a Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1(key.encode("latin-1") + _MAGIC, usedforsecurity=False).digest()).decode()


def is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except ValueError:
        return False


def frame(opcode: Opcode, data: bytes, mask: bytes = b"") -> bytes:
    """A message in one frame. `mask` has four random bytes where a client sends it."""
    masked = 0x80 if mask else 0
    size = len(data)
    if size <= MOST_CONTROL_BYTES:
        head = bytes((0x80 | opcode, masked | size))
    elif size < 1 << 16:
        head = bytes((0x80 | opcode, masked | 126)) + _SHORT.pack(size)
    else:
        head = bytes((0x80 | opcode, masked | 127)) + _LONG.pack(size)
    return head + mask + (_masked(data, mask) if mask else data)


def close_frame(reason: Reason, mask: bytes = b"") -> bytes:
    return frame(Opcode.CLOSE, _SHORT.pack(reason), mask)


def _masked(data: bytes, mask: bytes) -> bytes:
    """The same again gives the data back."""
    size = len(data)
    pattern = mask * (size // 4 + 1)
    both = int.from_bytes(data, "little") ^ int.from_bytes(pattern[:size], "little")
    return both.to_bytes(size, "little")


class Messages:
    """Messages out of bytes that are cut anywhere. `masked`: they come from a client. After a BrokenWebSocket, or a
    CLOSE, nothing more is to be fed.
    """

    def __init__(self, *, masked: bool, most_bytes: int = MOST_MESSAGE_BYTES) -> None:
        self._masked = masked
        self._most_bytes = most_bytes
        self._pending = bytearray()
        self._opcode: Opcode | None = None  # of the message whose frames come
        self._parts = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Returns the messages that are whole. Raises BrokenWebSocket."""
        self._pending += data
        found = []
        while (taken := self._frame()) is not None:
            if (message := self._message(*taken)) is not None:
                found.append(message)
        return found

    def _frame(self) -> tuple[int, bool, bytes] | None:
        """Returns opcode, whether it is the last of its message, and data of the next whole frame."""
        pending = self._pending
        if len(pending) < 2:
            return None
        first, second = pending[0], pending[1]
        size, at = second & 0x7F, 2
        self._check_head(first, second)
        if size > MOST_CONTROL_BYTES:
            length = _SHORT if size == 126 else _LONG
            if len(pending) < at + length.size:
                return None
            (size,) = length.unpack_from(pending, at)
            at += length.size
            if size <= MOST_CONTROL_BYTES or (length is _LONG and size < 1 << 16):
                raise BrokenWebSocket(Reason.PROTOCOL, "a length is not written as short as it can be")
        if size + len(self._parts) > self._most_bytes and not first & 0x08:
            raise BrokenWebSocket(Reason.TOO_LARGE, f"a message is larger than {self._most_bytes} bytes")
        begin = at + (4 if self._masked else 0)
        if len(pending) < begin + size:
            return None
        data = bytes(pending[begin : begin + size])
        if self._masked:
            data = _masked(data, bytes(pending[at:begin]))
        del pending[: begin + size]
        return first & 0x0F, bool(first & 0x80), data

    def _check_head(self, first: int, second: int) -> None:
        if first & 0x70:
            raise BrokenWebSocket(Reason.PROTOCOL, "an extension is used that nobody agreed on")
        if bool(second & 0x80) is not self._masked:
            words = "a client's frame is not masked" if self._masked else "a server's frame is masked"
            raise BrokenWebSocket(Reason.PROTOCOL, words)
        if first & 0x08 and (not first & 0x80 or second & 0x7F > MOST_CONTROL_BYTES):
            raise BrokenWebSocket(Reason.PROTOCOL, "a control frame is too large, or not whole")

    def _message(self, number: int, last: bool, data: bytes) -> Message | None:
        try:
            opcode = Opcode(number)
        except ValueError:
            raise BrokenWebSocket(Reason.PROTOCOL, f"there is no opcode {number}") from None
        if opcode >= Opcode.CLOSE:
            return Message(opcode, data)
        if (opcode is Opcode.MORE) is (self._opcode is None):
            raise BrokenWebSocket(Reason.PROTOCOL, "a frame is not in its turn")
        kind = self._opcode if opcode is Opcode.MORE else opcode
        assert kind is not None
        self._opcode = None if last else kind
        if not last:
            self._parts += data
            return None
        whole = bytes(self._parts + data) if self._parts else data
        self._parts.clear()
        if kind is Opcode.TEXT:
            _check_text(whole)
        return Message(kind, whole)


def _check_text(data: bytes) -> None:
    try:
        data.decode()
    except UnicodeDecodeError:
        raise BrokenWebSocket(Reason.NOT_TEXT, "a text is not UTF-8") from None
