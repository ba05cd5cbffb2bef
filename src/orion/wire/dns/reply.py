"""Other resolvers' answers to questions that were passed on."""

from orion.model.dns import Code
from orion.wire.dns.answer import refuse
from orion.wire.dns.parts import CODE, HEAD, IS_ANSWER, OPCODE, TRUNCATED, DnsError, skip_record
from orion.wire.dns.query import Query


def check_reply(data: bytes, ident: int, query: Query) -> None:
    """Raises DnsError for what is no answer to this question under this id, or can't be taken apart."""
    if len(data) < query.end:
        raise DnsError("an answer without its question")
    given, flags, questions, *counts = HEAD.unpack_from(data)
    if given != ident or not flags & IS_ANSWER or flags & OPCODE or questions != 1:
        raise DnsError("no answer to what was asked")
    begin, kind, end = HEAD.size, query.end - 4, query.end
    if data[kind:end] != query.data[kind:end] or data[begin:kind].lower() != query.data[begin:kind].lower():
        raise DnsError("an answer to another question")
    at = end
    for _ in range(sum(counts)):
        if at >= len(data) and flags & TRUNCATED:
            return  # some say how many there would have been
        _, _, at = skip_record(data, at)
    if at != len(data):
        raise DnsError("bytes after the last record of an answer")


def is_truncated(reply: bytes) -> bool:
    return bool(reply[2] << 8 & TRUNCATED)


def reply_code(reply: bytes) -> int:
    return reply[3] & CODE


def passed_on(reply: bytes, query: Query, limit: int) -> bytes:
    """Returns a reply that was checked as the answer to the client: under its id, with its question. One that is
    larger than `limit` becomes an empty one that says so.
    """
    if len(reply) > limit:
        return refuse(query, Code.NOERROR, truncated=True)
    return query.data[:2] + reply[2 : HEAD.size] + query.data[HEAD.size : query.end] + reply[query.end :]
