"""A client's message -> its question. Whatever is not one plain question is refused here."""

import msgspec

from orion.model.dns import Code, Question, Type
from orion.wire.dns.parts import (
    FIXED,
    HEAD,
    IS_ANSWER,
    MAX_MESSAGE_BYTES,
    MAX_UDP_BYTES,
    OPCODE,
    PLAIN_UDP_BYTES,
    TYPE_CLASS,
    DnsError,
    read_plain_name,
    skip_record,
)

MAX_QUERY_BYTES = 4_096
MAX_OPTIONS = 16  # of EDNS
MAX_ADDITIONAL = 4  # EDNS, a signature (RFC 8945); nobody sends more
_DNSSEC_OK = 0x8000


class Query(msgspec.Struct, frozen=True, gc=False):
    """`data` is the message as it came, its question ends at `end`. `udp_bytes` is how large an answer by UDP may
    be. `edns_at` is where the fixed part of its OPT record begins, 0 without one.
    """

    data: bytes
    ident: int
    flags: int
    question: Question
    end: int
    udp_bytes: int = PLAIN_UDP_BYTES
    edns_at: int = 0
    dnssec_ok: bool = False


def read_query(data: bytes) -> Query:
    """Raises DnsError, and nothing else."""
    size = len(data)
    if size < HEAD.size:
        raise DnsError("a message without a head", None)
    ident, flags, questions, answers, authority, additional = HEAD.unpack_from(data)
    if flags & IS_ANSWER:
        raise DnsError("an answer that nobody asked for", None)
    if size > MAX_QUERY_BYTES:
        raise DnsError("a question of too many bytes")
    if flags & OPCODE:
        raise DnsError("no question but a request of another kind", Code.NOTIMP)
    if questions != 1 or answers or authority or additional > MAX_ADDITIONAL:
        raise DnsError("a question is one question, and no answers")
    name, at = read_plain_name(data, HEAD.size)
    end = at + TYPE_CLASS.size
    if end > size:
        raise DnsError("the message ends within its question")
    question = Question(name, *TYPE_CLASS.unpack_from(data, at))
    if additional:
        return _with_edns(Query(data, ident, flags, question, end), additional)
    if end != size:
        raise DnsError("bytes after the question")
    return Query(data, ident, flags, question, end)


def _with_edns(query: Query, additional: int) -> Query:
    data, at, edns_at = query.data, query.end, 0
    for _ in range(additional):
        begin = at
        kind, fixed, at = skip_record(data, begin)
        if kind != Type.OPT:
            continue
        if edns_at or data[begin]:
            raise DnsError("EDNS is said twice, or of a name")
        _read_options(data, fixed + FIXED.size, at)
        edns_at = fixed
    if at != len(data):
        raise DnsError("bytes after the last record")
    if not edns_at:
        return query
    _, udp_bytes, ttl, _ = FIXED.unpack_from(data, edns_at)
    if ttl >> 16 & 0xFF:
        raise DnsError("a version of EDNS that is not known here", Code.BADVERS)
    return msgspec.structs.replace(
        query,
        udp_bytes=min(max(udp_bytes, PLAIN_UDP_BYTES), MAX_UDP_BYTES),
        edns_at=edns_at,
        dnssec_ok=bool(ttl & _DNSSEC_OK),
    )


def _read_options(data: bytes, at: int, end: int) -> None:
    for _ in range(MAX_OPTIONS):
        if at == end:
            return
        if at + TYPE_CLASS.size > end:
            raise DnsError("an option of EDNS is cut short")
        at += TYPE_CLASS.size + TYPE_CLASS.unpack_from(data, at)[1]
    if at != end:
        raise DnsError("the options of EDNS are too many, or longer than its record")


def forwarded(query: Query, ident: int) -> bytes:
    """Returns the client's message for another resolver: under an id of its own, and with no larger answer
    asked for than passes in one piece.
    """
    data = bytearray(query.data)
    data[0:2] = ident.to_bytes(2, "big")
    if query.edns_at:
        data[query.edns_at + 2 : query.edns_at + 4] = query.udp_bytes.to_bytes(2, "big")
    return bytes(data)


def limit_bytes(query: Query, *, tcp: bool) -> int:
    """Returns how large the answer may be."""
    return MAX_MESSAGE_BYTES if tcp else query.udp_bytes
