"""Netlink messages and attributes as bytes (linux/netlink.h, linux/rtnetlink.h). No I/O.

A message is a header, a body of its kind's own and attributes, which may hold attributes. Everything is in the
machine's byte order, but for addresses and ports, and padded to four bytes.
"""

import os
import struct
import sys
from collections.abc import Iterator
from typing import NamedTuple

REQUEST, ACK = 0x1, 0x4
DUMP, REPLACE, EXCL, CREATE = 0x300, 0x100, 0x200, 0x400
DUMP_INTERRUPTED = 0x10
CAPPED, ACK_TLVS = 0x100, 0x200  # flags of an answer that is an error
ERROR, DONE = 2, 3  # kinds of messages that all families have

_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
_ATTRIBUTE = struct.Struct("=HH")  # struct nlattr: length, type
_CODE = struct.Struct("=i")
NESTED, _KIND_BITS = 0x8000, 0x3FFF
_ERROR_WORDS = 1  # NLMSGERR_ATTR_MSG
_ORDER = sys.byteorder


class Malformed(ValueError):
    """Bytes that are no netlink."""


class Message(NamedTuple):
    kind: int
    flags: int
    sequence: int
    body: memoryview


def message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, sequence, 0) + body + bytes(-len(body) % 4)


def attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def nested(kind: int, *attributes: bytes) -> bytes:
    return attribute(kind | NESTED, b"".join(attributes))


def number(kind: int, value: int) -> bytes:
    return attribute(kind, value.to_bytes(4, _ORDER))


def text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def messages(data: bytes) -> Iterator[Message]:
    """Yields the messages of one datagram. Raises Malformed."""
    view, at = memoryview(data), 0
    while at < len(view):
        if len(view) - at < _HEADER.size:
            raise Malformed("a netlink message ends within its header")
        length, kind, flags, sequence, _ = _HEADER.unpack_from(view, at)
        if not _HEADER.size <= length <= len(view) - at:
            raise Malformed(f"a netlink message of {len(view) - at} bytes says that it has {length}")
        yield Message(kind, flags, sequence, view[at + _HEADER.size : at + length])
        at += _padded(length)


def attributes(data: memoryview) -> dict[int, memoryview]:
    """Returns the attributes by kind; of several of one kind the last. Raises Malformed."""
    return dict(each_attribute(data))


def each_attribute(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yields kinds and values. Raises Malformed."""
    at = 0
    while len(data) - at >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if not _ATTRIBUTE.size <= length <= len(data) - at:
            raise Malformed(f"a netlink attribute of {len(data) - at} bytes says that it has {length}")
        yield kind & _KIND_BITS, data[at + _ATTRIBUTE.size : at + length]
        at += _padded(length)


def fields(layout: struct.Struct, body: memoryview) -> tuple[int, ...]:
    """Returns the numbers at the beginning of a body. Raises Malformed when it is too short."""
    if len(body) < layout.size:
        raise Malformed(f"a netlink body of {len(body)} bytes is shorter than {layout.size}")
    return layout.unpack_from(body)


def as_number(value: memoryview | None, size: int = 4) -> int:
    """Returns the number of an attribute of so many bytes; 0 when there is none. Raises Malformed."""
    if value is None:
        return 0
    if len(value) != size:
        raise Malformed(f"a netlink number has {len(value)} bytes instead of {size}")
    return int.from_bytes(value, _ORDER)


def as_text(value: memoryview | None) -> str:
    return "" if value is None else bytes(value).partition(b"\0")[0].decode(errors="replace")


def refusal(answer: Message) -> OSError | None:
    """Returns the error that an answer of the kind ERROR or DONE is, in the kernel's own words where it has some;
    None when it says that all is well. Raises Malformed.
    """
    if len(answer.body) < _CODE.size:
        raise Malformed("a netlink answer has no code")
    (code,) = _CODE.unpack_from(answer.body)
    if code >= 0:
        return None
    return OSError(-code, _words(answer) or os.strerror(-code))


def _words(answer: Message) -> str:
    """Returns what an extended acknowledgement says; "" where it says nothing."""
    if not answer.flags & ACK_TLVS:
        return ""
    at = _CODE.size
    if answer.kind == ERROR:  # the request follows, or only its header
        at += _HEADER.size
        if not answer.flags & CAPPED and len(answer.body) >= at:
            (length,) = struct.unpack_from("=I", answer.body, _CODE.size)
            at = _CODE.size + _padded(length)
    return as_text(attributes(answer.body[at:]).get(_ERROR_WORDS))


def _padded(length: int) -> int:
    return (length + 3) & ~3
