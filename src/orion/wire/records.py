"""Records of the log store: a CRC-32 over all that follows, a head that names the record, and its bytes. A flipped
bit is found and named when the record is read, and so is a record under another one's key.
"""

import struct
import zlib
from typing import TypeVar

import msgspec

from orion.model.errors import Corrupt
from orion.raft.messages import Entry

_CRC = struct.Struct(">I")
_ENTRY = struct.Struct(">QQB")  # term, index, kind
_CHUNK = struct.Struct(">QQI")  # the snapshot's term and index, number of the chunk

T = TypeVar("T")


def _seal(head: bytes, data: bytes) -> bytes:
    return b"".join((_CRC.pack(zlib.crc32(data, zlib.crc32(head))), head, data))


def _open(record: bytes, name: str) -> memoryview:
    body = memoryview(record)[_CRC.size :]
    if len(record) < _CRC.size or zlib.crc32(body) != _CRC.unpack_from(record)[0]:
        raise Corrupt(f"{name} is damaged: its checksum is wrong")
    return body


def encode_entry(entry: Entry) -> bytes:
    return _seal(_ENTRY.pack(entry.term, entry.index, entry.kind), entry.data)


def decode_entry(record: bytes, index: int) -> Entry:
    """Raises Corrupt, which names the entry."""
    body = _open(record, f"log entry {index}")
    if len(body) < _ENTRY.size:
        raise Corrupt(f"log entry {index} is damaged: it is cut short")
    term, written, kind = _ENTRY.unpack_from(body)
    if written != index:
        raise Corrupt(f"log entry {index} is damaged: entry {written} is in its place")
    return Entry(term, index, kind, bytes(body[_ENTRY.size :]))


def encode_chunk(term: int, index: int, number: int, data: bytes) -> bytes:
    return _seal(_CHUNK.pack(term, index, number), data)


def decode_chunk(record: bytes, term: int, index: int, number: int) -> bytes:
    """Raises Corrupt, which names the chunk."""
    name = f"chunk {number} of the snapshot at index {index}"
    body = _open(record, name)
    if len(body) < _CHUNK.size or _CHUNK.unpack_from(body) != (term, index, number):
        raise Corrupt(f"{name} is damaged: another record is in its place")
    return bytes(body[_CHUNK.size :])


def encode_record(value: msgspec.Struct) -> bytes:
    return _seal(b"", msgspec.msgpack.encode(value))


def decode_record(record: bytes, kind: type[T], name: str) -> T:
    """Raises Corrupt, which names the record."""
    body = _open(record, name)
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise Corrupt(f"{name} is damaged: {error}") from None
