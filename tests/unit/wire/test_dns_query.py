"""What of a client's bytes is a question, and how the rest is refused."""

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orion.model.dns import Code
from orion.wire.dns.answer import refuse_bytes
from orion.wire.dns.parts import DnsError
from orion.wire.dns.query import MAX_QUERY_BYTES, forwarded, read_query
from support import dns

LONG = "a" * 63
WEB = "web.orion.internal"
# A question of RFC 1035's own example names, byte by byte.
F_ISI_ARPA = bytes.fromhex(
    "beef 0100 0001 0000 0000 0000 01 46 03 495349 04 41525041 00 0001 0001".replace(" ", "")
)


def head(*, ident=1, flags=0x0100, counts=(1, 0, 0, 0)):
    return struct.pack(">HHHHHH", ident, flags, *counts)


def record(kind=dns.TXT, data=b"", *, name=b"\0", length=None):
    return name + struct.pack(">HHIH", kind, 1, 0, len(data) if length is None else length) + data


def test_a_question_of_the_standard():
    query = read_query(F_ISI_ARPA)
    assert (query.ident, query.question.name, query.question.type) == (0xBEEF, "f.isi.arpa", dns.A)
    assert (query.udp_bytes, query.edns_at) == (512, 0)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (WEB, WEB),
        ("WeB.oRiOn.InTeRnAl", WEB),
        ("", ""),
        ("_80._tcp.web", "_80._tcp.web"),
        ([b"we.b", b"orion"], r"we\046b.orion"),
        ([b"we\\b"], r"we\092b"),
        ([b"a b\x00\xff"], r"a\032b\000\255"),
        ([b"\xc4"], r"\196"),
        (".".join([LONG] * 3 + ["a" * 61]), ".".join([LONG] * 3 + ["a" * 61])),
        ([b"a"] * 127, ".".join(["a"] * 127)),
    ],
)
def test_names_as_text(name, text):
    assert read_query(dns.query(name)).question.name == text


@pytest.mark.parametrize(
    ("size", "may_be"), [(0, 512), (511, 512), (512, 512), (1000, 1000), (1232, 1232), (4096, 1232), (65535, 1232)]
)
def test_an_answer_is_as_large_as_the_client_takes_and_as_passes_in_one_piece(size, may_be):
    query = read_query(dns.query("web", more=[dns.edns(size)]))
    assert query.udp_bytes == may_be
    passed = dns.parse(forwarded(query, 0xABCD))
    assert (passed.ident, passed.edns.klass) == (0xABCD, may_be)
    assert passed.question == query.data[12 : query.end]


def test_what_a_client_says_beside_its_question_goes_on_with_it():
    cookie = struct.pack(">HH8s", 10, 8, b"12345678")
    query = read_query(dns.query("web", more=[record(data=b"x"), dns.edns(dnssec_ok=True, options=cookie)]))
    assert query.dnssec_ok
    assert forwarded(query, query.ident) == query.data


# name -> bytes, the code of the answer. None: there must be no answer.
HOSTILE = {
    "nothing": (b"", None),
    "one byte": (b"\0", None),
    "half a head": (head()[:11], None),
    "an answer": (dns.query(WEB, flags=0x8180), None),
    "an answer of another kind": (dns.query(WEB, flags=0xA800), None),
    "an inverse question": (dns.query(WEB, flags=0x0800), Code.NOTIMP),
    "a status request": (dns.query(WEB, flags=0x1000), Code.NOTIMP),
    "a notify": (dns.query(WEB, flags=0x2000), Code.NOTIMP),
    "an update": (dns.query(WEB, flags=0x2800), Code.NOTIMP),
    "an unknown kind": (dns.query(WEB, flags=0x7800), Code.NOTIMP),
    "a head alone": (head(), Code.FORMERR),
    "no question": (head(counts=(0, 0, 0, 0)), Code.FORMERR),
    "two questions": (head(counts=(2, 0, 0, 0)) + b"\0\0\1\0\1" * 2, Code.FORMERR),
    "65,535 questions": (head(counts=(65_535, 0, 0, 0)) + b"\0\0\1\0\1", Code.FORMERR),
    "answers in a question": (dns.query(WEB, counts=(1, 1, 0, 0)) + record(), Code.FORMERR),
    "an answer that is not there": (dns.query(WEB, counts=(1, 1, 0, 0)), Code.FORMERR),
    "authority that is not there": (dns.query(WEB, counts=(1, 0, 1, 0)), Code.FORMERR),
    "authority in a question": (dns.query(WEB, counts=(1, 0, 1, 0)) + record(), Code.FORMERR),
    "65,535 more that are not there": (dns.query(WEB, counts=(1, 0, 0, 65_535)), Code.FORMERR),
    "five more": (dns.query(WEB, more=[record()] * 5), Code.FORMERR),
    "one more that is not there": (dns.query(WEB, counts=(1, 0, 0, 1)), Code.FORMERR),
    "a name without an end": (head() + b"\3web", Code.FORMERR),
    "a label without an end": (head() + b"\x3fweb", Code.FORMERR),
    "a name and no type": (head() + b"\3web\0", Code.FORMERR),
    "a name and half a type": (head() + b"\3web\0\0", Code.FORMERR),
    "a type and no class": (head() + b"\3web\0\0\1", Code.FORMERR),
    "a type and half a class": (head() + b"\3web\0\0\1\0", Code.FORMERR),
    "a pointer to itself": (head() + b"\xc0\x0c\0\1\0\1", Code.FORMERR),
    "a pointer to the head": (head() + b"\xc0\0\0\1\0\1", Code.FORMERR),
    "a pointer forwards": (head() + b"\xc0\x10\0\1\0\1\0", Code.FORMERR),
    "a pointer past the end": (head() + b"\xff\xff\0\1\0\1", Code.FORMERR),
    "half a pointer": (head() + b"\xc0", Code.FORMERR),
    "a label and a pointer to it": (head() + b"\1a\xc0\x0c\0\1\0\1", Code.FORMERR),
    "two pointers in a ring": (head() + b"\xc0\x0e\xc0\x0c\0\1\0\1", Code.FORMERR),
    "a label of 64 bytes": (head() + b"\x40" + b"a" * 64 + b"\0\0\1\0\1", Code.FORMERR),
    "a label of 191 bytes": (head() + b"\xbf" + b"a" * 191 + b"\0\0\1\0\1", Code.FORMERR),
    "a bit label of RFC 2673": (head() + b"\x41\x08\xff\0\0\1\0\1", Code.FORMERR),
    "a name of 256 bytes": (dns.query(".".join([LONG] * 3 + ["a" * 62])), Code.FORMERR),
    "a name of 128 labels": (dns.query([b"a"] * 128), Code.FORMERR),
    "a name of 4,000 bytes": (dns.query([b"a"] * 2_000), Code.FORMERR),
    "one byte more": (dns.query(WEB) + b"\0", Code.FORMERR),
    "500 bytes more": (dns.query(WEB) + bytes(500), Code.FORMERR),
    "bytes after EDNS": (dns.query(WEB, more=[dns.edns()]) + b"\0", Code.FORMERR),
    "EDNS twice": (dns.query(WEB, more=[dns.edns(), dns.edns()]), Code.FORMERR),
    "EDNS of a name": (dns.query(WEB, more=[record(dns.OPT, name=b"\3web\0")]), Code.FORMERR),
    "EDNS by a pointer": (dns.query(WEB, more=[record(dns.OPT, name=b"\xc0\x0c")]), Code.FORMERR),
    "EDNS of version 1": (dns.query(WEB, more=[dns.edns(version=1)]), Code.BADVERS),
    "EDNS of version 255": (dns.query(WEB, more=[dns.edns(version=255)]), Code.BADVERS),
    "EDNS longer than the message": (dns.query(WEB, more=[record(dns.OPT, length=9)]), Code.FORMERR),
    "EDNS of 65,535 bytes": (dns.query(WEB, more=[record(dns.OPT, length=65_535)]), Code.FORMERR),
    "half an option": (dns.query(WEB, more=[dns.edns(options=b"\0\x0a\0")]), Code.FORMERR),
    "an option longer than EDNS": (dns.query(WEB, more=[dns.edns(options=b"\0\x0a\0\xff12")]), Code.FORMERR),
    "1,000 options": (dns.query(WEB, more=[dns.edns(options=bytes(4_000))]), Code.FORMERR),
    "17 options": (dns.query(WEB, more=[dns.edns(options=bytes(4 * 17))]), Code.FORMERR),
    "a record cut short": (dns.query(WEB, more=[record()[:-1]]), Code.FORMERR),
    "a record of a pointer to itself": (dns.query("a", more=[record(name=b"\xc0\x13")]), Code.FORMERR),
    "a record of a pointer forwards": (dns.query(WEB, more=[record(name=b"\xc0\xff")]), Code.FORMERR),
    "a record of half a pointer": (dns.query(WEB, more=[b"\xc0"]), Code.FORMERR),
    "a record whose name does not end": (dns.query(WEB, more=[b"\1a" * 300]), Code.FORMERR),
    "too many bytes": (dns.query(WEB, more=[record(data=bytes(MAX_QUERY_BYTES))]), Code.FORMERR),
    "65,000 bytes of nothing": (bytes(65_000), Code.FORMERR),
    "65,000 bytes of ones": (b"\x7f\xff" * 32_500, Code.FORMERR),
    "a web request": (b"GET / HTTP/1.1\r\nHost: web\r\n\r\n", Code.NOTIMP),
    "TLS": (bytes.fromhex("16030100c8010000c40303") + bytes(190), Code.FORMERR),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_messages_are_refused(name):
    data, code = HOSTILE[name]
    with pytest.raises(DnsError) as refused:
        read_query(data)
    assert refused.value.code == code
    assert str(refused.value)
    if code is None:
        return
    answer = dns.parse(refuse_bytes(data, code))
    assert (answer.ident, answer.code) == (int.from_bytes(data[:2]), code & 15)
    assert not answer.question
    assert answer.edns is None if code != Code.BADVERS else answer.edns.ttl >> 24 == 1


@given(st.binary(max_size=600))
@example(b"\0" * 17)
def test_any_bytes_are_a_question_or_refused_in_one_way(data):
    try:
        query = read_query(data)
    except DnsError:
        return
    assert query.data == data
    assert query.question.name.isascii()
    assert query.question.name == query.question.name.lower()
    assert 12 < query.end <= len(data)


@given(st.lists(st.binary(min_size=1, max_size=63), max_size=6), st.integers(0, 65_535), st.data())
def test_a_question_with_changed_bytes_is_a_question_or_refused(labels, kind, data):
    try:
        whole = dns.query(labels, kind, more=[dns.edns()])
        read_query(whole)
    except DnsError:
        assert len(dns.wire_name(labels)) > 255
        return
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:at] + data.draw(st.binary(max_size=4)) + whole[at + data.draw(st.integers(0, 4)) :]
    try:
        query = read_query(changed)
    except DnsError:
        return
    assert dns.parse(forwarded(query, 7)).ident == 7


@given(st.lists(st.binary(min_size=1, max_size=63), max_size=3), st.integers(0, 65_535), st.integers(0, 65_535))
def test_a_question_comes_back(labels, kind, ident):
    query = read_query(dns.query(labels, kind, ident=ident))
    assert (query.ident, query.question.type) == (ident, kind)
    written = query.question.name.split(".") if labels else []
    assert len(written) == len(labels)
    for text, label in zip(written, labels, strict=True):
        plain, codes = bytearray(), iter(text.encode())
        for byte in codes:
            plain.append(int(bytes(next(codes) for _ in range(3))) if byte == 0x5C else byte)
        assert bytes(plain) == label.lower()
