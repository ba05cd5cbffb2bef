"""A backup: the state at one index as a file whose reader finds any damage and names the byte.

    magic | record, record, ...        a record: u32 length | u8 kind | CRC-32 and content (wire/records.py)

The first record describes the backup (About). The numbered chunks of a snapshot of the state follow. The last
record holds their number and a digest of every byte before it. It is written and read as a stream: neither side
holds all of it in memory.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator

import msgspec

from orion.model.errors import Corrupt
from orion.model.ids import NodeId
from orion.wire import records

MAGIC = b"ORIONBAK"
FORMAT = 1
_HEAD = struct.Struct(">IB")
_ABOUT, _CHUNK, _END = 1, 2, 3
_MAX_RECORD_BYTES = 1024 * 1024 + 1024  # a chunk of a snapshot is at most 1 MiB
_DIGEST_BYTES = 32


class About(msgspec.Struct, frozen=True, array_like=True):
    """The first record. `index` and `term` are of the last entry in the state. `at_ms` is by the wall clock of
    `node`, which made the backup and runs `version`. Fields are only ever added at the end, with a default.
    """

    format: int
    cluster: int
    index: int
    term: int
    at_ms: int
    node: NodeId
    version: str


class _End(msgspec.Struct, frozen=True, array_like=True):
    chunks: int
    digest: bytes


def encode_backup(about: About, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yields the file's bytes, a record or two at a time."""
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    head = MAGIC + _record(_ABOUT, records.encode_record(about))
    digest.update(head)
    yield head
    number = 0
    for chunk in chunks:
        data = _record(_CHUNK, records.encode_chunk(about.term, about.index, number, chunk))
        digest.update(data)
        number += 1
        yield data
    yield _record(_END, records.encode_record(_End(number, digest.digest())))


def _record(kind: int, content: bytes) -> bytes:
    return _HEAD.pack(len(content), kind) + content


class BackupReader:
    """Reads a backup. `feed` takes the file in pieces, cut anywhere, and yields the snapshot's chunks; `finish`
    follows the last piece. Both raise Corrupt, with the byte at which the file is damaged or cut short.
    """

    def __init__(self) -> None:
        self._pending = bytearray()
        self._at = 0  # the position of the first pending byte
        self._digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        self._about: About | None = None
        self._chunks = 0
        self._ended = False

    @property
    def about(self) -> About:
        """The first record. It is known from the first chunk on."""
        assert self._about is not None, "nothing was read yet"
        return self._about

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._pending += data
        if self._at == 0 and not self._take_magic():
            return
        while (record := self._next()) is not None:
            kind, content = record
            try:
                chunk = self._take(kind, content)
            except Corrupt as error:
                raise Corrupt(f"the backup is damaged in the record at byte {self._at:,}: {error.detail}") from None
            size = _HEAD.size + len(content)
            if kind != _END:
                self._digest.update(self._pending[:size])
            del self._pending[:size]
            self._at += size
            if chunk:
                yield chunk

    def finish(self) -> About:
        if self._at == 0:
            raise Corrupt("this is no backup of Orion's: it ends before it says so")
        if not self._ended:
            end = self._at + len(self._pending)
            raise Corrupt(f"the backup is cut short at byte {end:,}: its end is missing")
        if self._pending:
            raise Corrupt(f"the backup is damaged at byte {self._at:,}: more follows its end")
        return self.about

    def _take_magic(self) -> bool:
        if len(self._pending) < len(MAGIC):
            return False
        if not self._pending.startswith(MAGIC):
            raise Corrupt("this is no backup of Orion's: it does not begin as one")
        self._digest.update(MAGIC)
        del self._pending[: len(MAGIC)]
        self._at = len(MAGIC)
        return True

    def _next(self) -> tuple[int, bytes] | None:
        if self._ended or len(self._pending) < _HEAD.size:
            return None
        length, kind = _HEAD.unpack_from(self._pending)
        if length > _MAX_RECORD_BYTES:
            raise Corrupt(f"the backup is damaged at byte {self._at:,}: a record of {length:,} bytes")
        if len(self._pending) < _HEAD.size + length:
            return None
        return kind, bytes(self._pending[_HEAD.size : _HEAD.size + length])

    def _take(self, kind: int, content: bytes) -> bytes:
        if kind == _ABOUT and self._about is None:
            self._about = records.decode_record(content, About, "its beginning")
            if self._about.format != FORMAT:
                raise Corrupt(f"it has format {self._about.format}; this version of orion knows {FORMAT}")
        elif kind == _CHUNK and self._about is not None:
            chunk = records.decode_chunk(content, self._about.term, self._about.index, self._chunks)
            self._chunks += 1
            return chunk
        elif kind == _END and self._about is not None:
            self._take_end(records.decode_record(content, _End, "its end"))
        else:
            raise Corrupt(f"a record of kind {kind} has no place here")
        return b""

    def _take_end(self, end: _End) -> None:
        if end.chunks != self._chunks:
            raise Corrupt(f"it has {self._chunks:,} chunks of {end.chunks:,}")
        if end.digest != self._digest.digest():
            raise Corrupt("the digest of the whole is another than that of its parts")
        self._ended = True
