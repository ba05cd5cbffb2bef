"""Answers as clients get them, and what of other resolvers' answers is passed on."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.model.dns import NEGATIVE_TTL_S, NO_SUCH_NAME, NOTHING, TTL_S, Answer, Code, Service
from orion.wire.dns.answer import refuse, write_answer
from orion.wire.dns.parts import DnsError
from orion.wire.dns.query import read_query
from orion.wire.dns.reply import check_reply, is_truncated, passed_on, reply_code
from support import dns

WEB = "web.orion.internal"
ADDRESSES = tuple(bytes((10, 200, 1, number)) for number in range(200))
six = bytes.fromhex("fd000000000000000000000000000001")


def answered(answer, *, name=WEB, kind=dns.A, limit=None, more=(), **options):
    query = read_query(dns.query(name, kind, more=more, **options))
    data = write_answer(query, answer, limit or query.udp_bytes)
    assert len(data) <= (limit or query.udp_bytes)
    message = dns.parse(data)
    assert message.question == query.data[12 : query.end]
    assert message.ident == query.ident
    assert (message.edns is not None) == bool(more)
    return message


def test_addresses():
    message = answered(Answer(addresses=ADDRESSES[:5]), name="WeB.Orion.internal")
    assert message.values == [f"10.200.1.{number}" for number in range(5)]
    assert {(r.name, r.kind, r.klass, r.ttl) for r in message.answers} == {("WeB.Orion.internal", dns.A, 1, TTL_S)}
    assert message.flags == 0x8580  # an answer, of whoever knows; recursion was wanted, and is to be had


def test_the_bytes_of_an_answer():
    query = read_query(dns.query("web", ident=0xBEEF))
    assert write_answer(query, Answer(addresses=(b"\x0a\xc8\1\2",)), 512) == bytes.fromhex(
        "beef 8580 0001 0001 0000 0000 03 776562 00 0001 0001 c00c 0001 0001 00000002 0004 0ac80102"
    )


def test_what_the_client_said_is_kept():
    assert answered(NOTHING, flags=0x0110).flags & 0x0110 == 0x0110
    assert not answered(NOTHING, flags=0x0020).flags & 0x0130
    assert answered(NOTHING, more=[dns.edns(dnssec_ok=True)]).edns.ttl == 0x8000


def test_addresses_of_both_kinds():
    message = answered(Answer(addresses=(ADDRESSES[0], six)), kind=dns.ANY)
    assert message.values == ["10.200.1.0", "fd00:0000:0000:0000:0000:0000:0000:0001"]


@pytest.mark.parametrize(
    ("more", "limit", "fit"),
    [((), 512, 29), ([dns.edns(512)], 512, 29), ([dns.edns(1232)], 1232, 74), ([dns.edns(4096)], 1232, 74)],
)
def test_what_does_not_fit_is_left_out_and_that_is_said(more, limit, fit):
    message = answered(Answer(addresses=ADDRESSES), more=more, limit=limit)
    assert message.truncated
    assert len(message.answers) == fit
    assert limit - 16 < len(message.question) + 12 + 16 * fit + 11 * bool(more) <= limit


@pytest.mark.parametrize("limit", range(512, 560))
def test_no_limit_is_passed_by_a_byte(limit):
    message = answered(Answer(addresses=ADDRESSES), limit=limit)
    assert len(message.answers) == (limit - 12 - len(message.question)) // 16
    message = answered(Answer(services=services(20)), name="_http._tcp.web", kind=dns.SRV, limit=limit)
    assert (message.truncated, message.additional) == (True, [])


def test_all_that_fits_is_not_called_cut():
    assert not answered(Answer(addresses=ADDRESSES[:29])).truncated
    message = answered(Answer(addresses=ADDRESSES), limit=65_535)
    assert not message.truncated
    assert len(message.answers) == 200


def services(count):
    return tuple(Service(f"{n}.web.orion.internal", 80 + n, (ADDRESSES[n], six)) for n in range(count))


def test_services_come_with_the_addresses_of_their_targets():
    message = answered(Answer(services=services(2)), name="_http._tcp.web", kind=dns.SRV)
    assert message.values == [(0, 0, 80, "0.web.orion.internal"), (0, 0, 81, "1.web.orion.internal")]
    assert [(r.name, r.value) for r in message.additional if r.kind == dns.A] == [
        ("0.web.orion.internal", "10.200.1.0"),
        ("1.web.orion.internal", "10.200.1.1"),
    ]
    assert len(message.additional) == 4


def test_services_that_fit_are_whole_without_the_addresses_that_do_not():
    message = answered(Answer(services=services(9)), name="_http._tcp.web", kind=dns.SRV)
    assert not message.truncated
    assert len(message.answers) == 9
    assert len(message.additional) == 5
    assert answered(Answer(services=services(13)), name="_http._tcp.web", kind=dns.SRV).truncated
    assert len(answered(Answer(services=services(150)), kind=dns.SRV, limit=65_535).additional) == 300
    # Behind 16 KB no pointer leads to a target.
    far = answered(Answer(services=services(200) * 3), kind=dns.SRV, limit=65_535)
    assert [r.name for r in far.additional[::2]] == [value[3] for value in far.values]


def test_pointers():
    assert answered(Answer(pointers=("0.web.orion.internal",)), kind=dns.PTR).values == ["0.web.orion.internal"]


@pytest.mark.parametrize("name", [WEB, "orion.internal", "web", "WEB.ORION.INTERNAL", "", "x" * 63])
@pytest.mark.parametrize(("answer", "code"), [(NOTHING, dns.NOERROR), (NO_SUCH_NAME, dns.NXDOMAIN)])
def test_there_is_none_for_how_long(name, answer, code):
    message = answered(answer, name=name, more=[dns.edns()])
    assert (message.code, message.answers, message.authoritative) == (code, [], True)
    (soa,) = message.authority
    assert soa.name.lower() == "orion.internal"
    assert (soa.ttl, soa.value[-1]) == (NEGATIVE_TTL_S, NEGATIVE_TTL_S)
    assert soa.value[0].lower() == "orion.internal"


def test_a_zone_of_addresses():
    zone = "1.200.10.in-addr.arpa"
    message = answered(Answer(Code.NXDOMAIN, zone=zone), name=f"7.{zone}", kind=dns.PTR)
    assert message.authority[0].name == zone


@pytest.mark.parametrize("code", [Code.REFUSED, Code.SERVFAIL, Code.NOTIMP, Code.FORMERR])
def test_refusals(code):
    query = read_query(dns.query("wEb", more=[dns.edns()]))
    for data in (refuse(query, code), write_answer(query, Answer(code), 512)):
        message = dns.parse(data)
        assert (message.code, message.authoritative, message.question) == (code, False, dns.query("wEb")[12:])


addresses = st.lists(
    st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16)), max_size=300
)
labels = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=63)
names = st.lists(labels, min_size=1, max_size=3).map(".".join)


@given(
    st.lists(st.binary(min_size=1, max_size=63), max_size=3),
    st.one_of(
        addresses.map(lambda found: Answer(addresses=tuple(found))),
        st.lists(names, max_size=20).map(lambda found: Answer(pointers=tuple(found))),
        st.lists(st.builds(Service, names, st.integers(0, 65_535), addresses.map(lambda a: tuple(a[:3])))).map(
            lambda found: Answer(services=tuple(found))
        ),
        st.sampled_from([NOTHING, NO_SUCH_NAME]),
    ),
    st.integers(512, 5_000),
)
def test_any_answer_is_whole_within_its_limit(name, answer, limit):
    message = answered(answer, name=name, limit=limit, more=[dns.edns()])
    told = [*answer.addresses, *answer.services, *answer.pointers]
    assert message.truncated == (len(message.answers) < len(told))
    assert [r.data for r in message.answers if r.kind in (dns.A, dns.AAAA)] == list(
        answer.addresses[: len(message.answers)]
    )


# --- replies of other resolvers ---------------------------------------------------------------------------

CLIENT = read_query(dns.query("eXample.com", ident=7, more=[dns.edns()]))
RECORD = b"\xc0\x0c" + struct.pack(">HHIH", dns.A, 1, 60, 4) + b"\1\2\3\4"


def reply(*, ident=9, flags=0x8180, name="example.com", kind=dns.A, klass=1, counts=(1, 1, 0, 0), rest=RECORD):
    return dns.query(name, kind, ident=ident, flags=flags, klass=klass, counts=counts) + rest


def test_a_reply_is_passed_on_as_the_answer_to_the_client():
    check_reply(reply(), 9, CLIENT)
    message = dns.parse(passed_on(reply(), CLIENT, 1232))
    assert (message.ident, message.name, message.values) == (7, "eXample.com", ["1.2.3.4"])


def test_one_that_is_too_large_becomes_one_that_says_so():
    large = reply(counts=(1, 60, 0, 0), rest=RECORD * 60)
    check_reply(large, 9, CLIENT)
    message = dns.parse(passed_on(large, CLIENT, 512))
    assert (message.truncated, message.answers, message.ident) == (True, [], 7)


def test_a_cut_reply_may_count_what_is_not_there():
    cut = reply(flags=0x8380, counts=(1, 9, 0, 1))
    check_reply(cut, 9, CLIENT)
    assert is_truncated(cut)
    assert not is_truncated(reply())
    assert reply_code(reply(flags=0x8183)) == dns.NXDOMAIN


LIES = {
    "nothing": b"",
    "a head": reply()[:12],
    "another id": reply(ident=10),
    "the client's id": reply(ident=7),
    "a question": reply(flags=0x0100),
    "another kind": reply(flags=0xA980),
    "another name": reply(name="example.org"),
    "a longer name": reply(name="example.com.evil"),
    "another type": reply(kind=dns.AAAA),
    "another class": reply(klass=3),
    "a type that is the other in capitals": reply(kind=0x41),
    "two questions": reply(counts=(2, 1, 0, 0)),
    "no question": reply(counts=(0, 1, 0, 0)),
    "more records than there are": reply(counts=(1, 2, 0, 0)),
    "fewer records than there are": reply(counts=(1, 0, 0, 0)),
    "a record that is longer than the rest": reply(rest=RECORD[:-1]),
    "a pointer to itself": reply(rest=b"\xc0\x1d" + RECORD[2:]),
    "a pointer forwards": reply(rest=b"\xc0\xff" + RECORD[2:]),
    "a label that is too long": reply(rest=b"\x40" + RECORD[1:]),
    "a label that is too long, and whole": reply(rest=b"\x40" + b"a" * 64 + b"\0" + RECORD[2:]),
    "65,535 records": reply(counts=(1, 65_535, 65_535, 65_535)),
}


@pytest.mark.parametrize("name", LIES)
def test_lies_are_not_believed(name):
    with pytest.raises(DnsError):
        check_reply(LIES[name], 9, CLIENT)


@given(st.binary(max_size=80), st.integers(0, 200))
def test_any_bytes_are_a_reply_or_refused_in_one_way(data, keep):
    for given_bytes in (data, reply()[:keep] + data):
        try:
            check_reply(given_bytes, 9, CLIENT)
        except DnsError:
            continue
        assert len(passed_on(given_bytes, CLIENT, 512)) <= 512
