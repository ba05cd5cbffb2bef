"""An answer's bytes. The question stands in it as it was asked, letter for letter, which clients check (0x20)."""

from collections.abc import Iterable, Iterator

from orion.model.dns import DOMAIN, INTERNET, NEGATIVE_TTL_S, TTL_S, Answer, Code, Service, Type
from orion.wire.dns.parts import (
    AUTHORITATIVE,
    CHECKING_DISABLED,
    CODE,
    FIXED,
    HEAD,
    IS_ANSWER,
    MAX_UDP_BYTES,
    OPCODE,
    POINTER,
    RECURSION_AVAILABLE,
    RECURSION_DESIRED,
    TRUNCATED,
    name_bytes,
)
from orion.wire.dns.query import Query

_ASKED = b"\xc0\x0c"  # a pointer to the question's name
_HIGHEST_POINTER = 0x3FFF
_KEPT = OPCODE | RECURSION_DESIRED | CHECKING_DISABLED
_TYPES = {4: Type.A, 16: Type.AAAA}
_FIXED_PARTS = {length: FIXED.pack(kind, INTERNET, TTL_S, length) for length, kind in _TYPES.items()}
_ADDRESS_HEADS = {length: _ASKED + fixed for length, fixed in _FIXED_PARTS.items()}
_SOA_TIMES = b"".join(each.to_bytes(4, "big") for each in (1, 3_600, 600, 86_400, NEGATIVE_TTL_S))
_EDNS, _EDNS_DNSSEC_OK = (b"\0" + FIXED.pack(Type.OPT, MAX_UDP_BYTES, ttl, 0) for ttl in (0, 0x8000))
_EDNS_VERSION = b"\0" + FIXED.pack(Type.OPT, MAX_UDP_BYTES, Code.BADVERS >> 4 << 24, 0)


def write_answer(query: Query, answer: Answer, limit: int) -> bytes:
    """Returns at most `limit` bytes, of 512 or more. Where not all answers fit, the message says so (TC)."""
    edns = _edns(query)
    room = limit - query.end - len(edns)
    if answer.is_empty:
        return _empty(query, answer, edns)
    records, whole = _fitting(_records(answer), room)
    more: tuple[bytes, ...] = ()
    if answer.services and whole:
        more = tuple(_targets(query, answer.services, records, room))
    flags = AUTHORITATIVE | (0 if whole else TRUNCATED)
    return b"".join(
        (_head(query, answer.code, flags, len(records), 0, len(more) + bool(edns)), *records, *more, edns)
    )


def refuse(query: Query, code: Code, *, truncated: bool = False) -> bytes:
    """Returns an answer without records."""
    edns = _edns(query)
    return _head(query, code, TRUNCATED if truncated else 0, 0, 0, bool(edns)) + edns


def refuse_bytes(data: bytes, code: Code) -> bytes:
    """Returns the answer to what was not understood beyond its head, which is of 12 bytes or more."""
    ident, flags, *_ = HEAD.unpack_from(data)
    edns = _EDNS_VERSION if code > CODE else b""
    return HEAD.pack(ident, _flags(flags, code, 0), 0, 0, 0, bool(edns)) + edns


def _flags(asked: int, code: Code, more: int) -> int:
    return IS_ANSWER | RECURSION_AVAILABLE | (asked & _KEPT) | more | (code & CODE)


def _head(query: Query, code: Code, flags: int, answers: int, authority: int, additional: int) -> bytes:
    head = HEAD.pack(query.ident, _flags(query.flags, code, flags), 1, answers, authority, additional)
    return head + query.data[HEAD.size : query.end]


def _edns(query: Query) -> bytes:
    if not query.edns_at:
        return b""
    return _EDNS_DNSSEC_OK if query.dnssec_ok else _EDNS


def _empty(query: Query, answer: Answer, edns: bytes) -> bytes:
    """Says who would know, and for how long there is nothing (RFC 2308)."""
    if answer.code not in (Code.NOERROR, Code.NXDOMAIN):
        return refuse(query, answer.code)
    zone = name_bytes(answer.zone)
    asked = query.data[HEAD.size : query.end - 4].lower()
    if asked.endswith(zone):
        zone = (POINTER << 8 | query.end - 4 - len(zone)).to_bytes(2, "big")
    data = zone + b"\x0ahostmaster" + name_bytes(DOMAIN) + _SOA_TIMES
    soa = zone + FIXED.pack(Type.SOA, INTERNET, NEGATIVE_TTL_S, len(data)) + data
    return _head(query, answer.code, AUTHORITATIVE, 0, 1, bool(edns)) + soa + edns


def _records(answer: Answer) -> Iterator[bytes]:
    for address in answer.addresses:
        yield _ADDRESS_HEADS[len(address)] + address
    for service in answer.services:
        target = name_bytes(service.target)  # never compressed (RFC 2782)
        data = b"\0\0\0\0" + service.port.to_bytes(2, "big") + target
        yield _ASKED + FIXED.pack(Type.SRV, INTERNET, TTL_S, len(data)) + data
    for pointer in answer.pointers:
        data = name_bytes(pointer)
        yield _ASKED + FIXED.pack(Type.PTR, INTERNET, TTL_S, len(data)) + data


def _fitting(records: Iterable[bytes], room: int) -> tuple[list[bytes], bool]:
    """Returns the first of the records, and True when these are all."""
    fitting: list[bytes] = []
    for record in records:
        room -= len(record)
        if room < 0:
            return fitting, False
        fitting.append(record)
    return fitting, True


def _targets(query: Query, services: Iterable[Service], records: list[bytes], room: int) -> Iterator[bytes]:
    """Yields the addresses of the targets, as far as they fit: whoever misses one asks for it."""
    at = query.end
    room -= sum(map(len, records))
    for service, record in zip(services, records, strict=True):
        at += len(record)
        target = name_bytes(service.target)
        where = at - len(target)
        name = (POINTER << 8 | where).to_bytes(2, "big") if where <= _HIGHEST_POINTER else target
        for address in service.addresses:
            more = name + _FIXED_PARTS[len(address)] + address
            room -= len(more)
            if room < 0:
                return
            yield more
