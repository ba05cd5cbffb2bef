"""Names and records inside of a message."""

import struct
from functools import lru_cache

from orion.model.dns import Code

HEAD = struct.Struct(">HHHHHH")  # id, flags, questions, answers, authority, additional
FIXED = struct.Struct(">HHIH")  # of a record, after its name: type, class, TTL, length of the data
TYPE_CLASS = struct.Struct(">HH")

IS_ANSWER = 0x8000
OPCODE = 0x7800
AUTHORITATIVE = 0x0400
TRUNCATED = 0x0200
RECURSION_DESIRED = 0x0100
RECURSION_AVAILABLE = 0x0080
CHECKING_DISABLED = 0x0010
CODE = 0x000F

MAX_NAME_BYTES = 255
MAX_LABEL_BYTES = 63
POINTER = 0xC0
MAX_UDP_BYTES = 1_232  # passes every path of IPv6 in one piece (DNS flag day 2020)
PLAIN_UDP_BYTES = 512  # to whoever does not speak EDNS
MAX_MESSAGE_BYTES = 65_535

# Of a label. Any other byte, a dot among them, is written as \DDD.
_PLAIN = bytes(byte for byte in range(0x21, 0x7F) if byte not in b".\\")
_PLAIN_AND_DOT = _PLAIN + b"."
_WRITTEN = tuple(b"%c" % byte if byte in _PLAIN else b"\\%03d" % byte for byte in range(256))


class DnsError(Exception):
    """The bytes are no message that is understood. `code` is the answer to it; None: there must be no answer."""

    def __init__(self, words: str, code: Code | None = Code.FORMERR) -> None:
        super().__init__(words)
        self.code = code


def read_plain_name(data: bytes, at: int) -> tuple[str, int]:
    """Returns a name that is written without pointers, and where it ends. Raises DnsError."""
    begin, size, labels = at, len(data), []
    while True:
        if at >= size:
            raise DnsError("the message ends within a name")
        length = data[at]
        at += 1
        if not length:
            break
        if length > MAX_LABEL_BYTES:
            raise DnsError("a question's name has a label that is too long, or a pointer")
        labels.append(data[at : at + length])
        at += length
        if at - begin >= MAX_NAME_BYTES:
            raise DnsError("a name is too long")
    return _text(labels), at


def _text(labels: list[bytes]) -> str:
    joined = b".".join(labels)
    if joined.translate(None, _PLAIN_AND_DOT) or joined.count(b".") >= max(len(labels), 1):
        joined = b".".join(map(_escaped, labels))
    return joined.lower().decode("ascii")


def _escaped(label: bytes) -> bytes:
    return b"".join(map(_WRITTEN.__getitem__, label))


def skip_name(data: bytes, at: int) -> int:
    """Returns where a name ends that may end in a pointer. A pointer leads back to before itself, so that whoever
    follows it comes to an end. Raises DnsError.
    """
    begin, size = at, len(data)
    while at < size and at - begin < MAX_NAME_BYTES:
        length = data[at]
        if not length:
            return at + 1
        if length >= POINTER:
            if at + 1 >= size or ((length & ~POINTER) << 8 | data[at + 1]) >= at:
                raise DnsError("a pointer of a name does not lead back")
            return at + 2
        if length > MAX_LABEL_BYTES:
            raise DnsError("a label is too long")
        at += 1 + length
    raise DnsError("a name does not end")


def skip_record(data: bytes, at: int) -> tuple[int, int, int]:
    """Returns the record's type, where its fixed part begins and where it ends. Raises DnsError."""
    fixed = skip_name(data, at)
    if fixed + FIXED.size > len(data):
        raise DnsError("the message ends within a record")
    kind, _, _, length = FIXED.unpack_from(data, fixed)
    end = fixed + FIXED.size + length
    if end > len(data):
        raise DnsError("the message ends within a record")
    return kind, fixed, end


@lru_cache(maxsize=1024)
def name_bytes(name: str) -> bytes:
    """Returns a name of plain labels in full. Raises ValueError."""
    labels = name.encode("ascii").split(b".") if name else []
    if not all(0 < len(label) <= MAX_LABEL_BYTES for label in labels):
        raise ValueError(f"{name[:80]!r} has a label that is empty or too long")
    written = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    if len(written) > MAX_NAME_BYTES:
        raise ValueError(f"the name {name[:80]!r} is too long")
    return written
