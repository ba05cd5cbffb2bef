"""The grammar of names, and what jobs answer to."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.model.dns import FORWARD, MAX_ANSWERS, NO_SUCH_NAME, NOTHING, Answer, Code, Question, Service, Type
from orion.model.name_answers import Place, Port, Tasks, answer, shuffled
from orion.model.names import (
    NoMeaning,
    OfAddress,
    OfDomain,
    OfJob,
    OfPort,
    OfSlot,
    parse_name,
    reverse_zone,
    slot_name,
)

SIX = bytes.fromhex("20010db8000000000000000000000001")
SIX_NAME = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"

NAMES = {
    "web": OfJob("web", bare=True),
    "web.orion.internal": OfJob("web"),
    "0.web": OfSlot("web", 0, bare=True),
    "0.web.orion.internal": OfSlot("web", 0),
    "999999999.web.orion.internal": OfSlot("web", 999_999_999),
    "_http._tcp.web": OfPort("web", "tcp", "http", bare=True),
    "_80._tcp.web.orion.internal": OfPort("web", "tcp", 80),
    "_65535._udp.web.orion.internal": OfPort("web", "udp", 65_535),
    "_tcp.web.orion.internal": OfPort("web", "tcp", ""),
    "orion.internal": OfDomain(),
    "0": OfJob("0", bare=True),
    "0.0.orion.internal": OfSlot("0", 0),
    "orion": OfJob("orion", bare=True),
    "orion.orion.internal": OfJob("orion"),
    "internal": OfJob("internal", bare=True),
    "a" * 63 + ".orion.internal": OfJob("a" * 63),
    "4.3.2.10.in-addr.arpa": OfAddress(b"\x0a\2\3\4"),
    "0.0.0.0.in-addr.arpa": OfAddress(bytes(4)),
    "255.255.255.255.in-addr.arpa": OfAddress(b"\xff" * 4),
    SIX_NAME: OfAddress(SIX),
}

# Below the domain, so that nobody else is asked.
NO_MEANING = [
    "a" * 64,
    "-web",
    "web-",
    "we_b",
    "_web",
    "",
    ".web",
    "web.",
    "01.web",
    "-1.web",
    "+1.web",
    "1e1.web",
    "1000000000.web",
    "9" * 200 + ".web",
    "٣.web",
    "tasks.web",
    "api.web",
    "0.0.web",
    "0._tcp.web",
    "_sctp.web",
    "_80._sctp.web",
    "_80.web",
    "_0._tcp.web",
    "_65536._tcp.web",
    "_080._tcp.web",
    "_99999999999._tcp.web",
    "__80._tcp.web",
    "_._tcp.web",
    "_ht_tp._tcp.web",
    "_80._tcp._web",
    "80._tcp.web",
    "_80.tcp.web",
    "x._80._tcp.web",
    "a.b.c.d.e.f",
    r"we\046b",
    "*",
    "orion.internal",
]

FORWARDED = [
    "",
    "example.com",
    "www.example.com",
    "_80.web",
    "nas.local",
    "orion.internal.example.com",
    "xorion.internal",
    "web.orion.internal.",
    "we_b",
    "_ldap._tcp.dc._msdcs.example.com",
    "in-addr.arpa",
    "10.in-addr.arpa",
    "3.2.10.in-addr.arpa",
    "5.4.3.2.10.in-addr.arpa",
    "256.3.2.10.in-addr.arpa",
    "04.3.2.10.in-addr.arpa",
    "a.3.2.10.in-addr.arpa",
    ".3.2.10.in-addr.arpa",
    "b._dns-sd._udp.0.2.3.10.in-addr.arpa",
    "ip6.arpa",
    "0.ip6.arpa",
    SIX_NAME.replace("8.b", "8.g"),
    SIX_NAME.replace("8.b", "8b"),
    "1." + SIX_NAME,
]


@pytest.mark.parametrize("name", NAMES)
def test_names(name):
    assert parse_name(name) == NAMES[name]


@pytest.mark.parametrize("name", NO_MEANING)
def test_names_below_the_domain_that_mean_nothing(name):
    if name != "orion.internal":
        assert parse_name(name + ".orion.internal") == NoMeaning()


@pytest.mark.parametrize("name", FORWARDED)
def test_names_of_others(name):
    assert parse_name(name) is None


@given(st.text(max_size=80))
def test_any_text_has_a_meaning_or_none(text):
    for name in (text, text + ".orion.internal", text + ".web", text + ".in-addr.arpa", text + ".ip6.arpa"):
        parse_name(name)
    assert parse_name(text + ".orion.internal") is not None


@given(st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16)))
def test_addresses_come_back(address):
    written = ".".join(map(str, reversed(address))) + ".in-addr.arpa"
    if len(address) == 16:
        written = ".".join(reversed(address.hex())) + ".ip6.arpa"
    assert parse_name(written) == OfAddress(address)
    assert written.endswith("." + reverse_zone(address))


@given(st.integers(0, 999_999_999))
def test_a_slot_has_one_name(slot):
    assert parse_name(slot_name("web", slot)) == OfSlot("web", slot)


# --- answers ----------------------------------------------------------------------------------------------

HTTP = Port(80, "tcp", "http")
DNS = Port(53, "udp")


def address(number):
    return bytes((10, 200, 1, number))


class Facts:
    jobs = {
        "web": Tasks(
            3,
            (Place(0, (address(1), SIX), (HTTP, DNS)), Place(2, (address(3),), (HTTP,))),
            (HTTP, DNS),
        ),
        "stopped": Tasks(0, (), (HTTP,)),
        "com": Tasks(1, (Place(0, (address(9),)),)),
    }

    def tasks(self, job):
        return self.jobs.get(job)

    def owner(self, address_bytes):
        return ("web", 0) if address_bytes == address(1) else None

    def is_ours(self, address_bytes):
        return address_bytes[:2] == b"\x0a\xc8"


def asked(name, kind=Type.A, number=1):
    return answer(Question(name, kind), Facts(), number)


BELOW = ".orion.internal"
NONE_OF_OURS = Answer(Code.NXDOMAIN, zone="1.200.10.in-addr.arpa")


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("0.web", Type.A, Answer(addresses=(address(1),))),
        ("0.web", Type.AAAA, Answer(addresses=(SIX,))),
        ("2.web", Type.AAAA, NOTHING),
        ("1.web", Type.A, NOTHING),  # a slot whose task is not ready
        ("3.web", Type.A, NO_SUCH_NAME),
        ("web", 65, NOTHING),  # HTTPS, of which browsers ask first
        ("web", Type.SRV, NOTHING),
        ("stopped", Type.A, NOTHING),
        ("0.stopped", Type.A, NO_SUCH_NAME),
        ("_http._tcp.stopped", Type.SRV, NOTHING),
        ("nobody", Type.A, NO_SUCH_NAME),
        ("nobody", Type.AAAA, NO_SUCH_NAME),
        ("_53._udp.web", Type.SRV, Answer(services=(Service("0.web.orion.internal", 53, (address(1), SIX)),))),
        ("_53._tcp.web", Type.SRV, NO_SUCH_NAME),
        ("_dns._udp.web", Type.SRV, NO_SUCH_NAME),
        ("_http._tcp.web", Type.A, NOTHING),
        ("_tcp.web", Type.SRV, NOTHING),
        ("_udp.com", Type.SRV, NO_SUCH_NAME),
        ("_80._tcp.nobody", Type.SRV, NO_SUCH_NAME),
    ],
)
def test_answers_below_the_domain_and_bare(name, kind, expected):
    assert asked(name + BELOW, kind) == expected
    assert asked(name, kind) == (FORWARD if expected == NO_SUCH_NAME else expected)


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("orion.internal", Type.A, NOTHING),
        ("a.b.c.d.orion.internal", Type.A, NO_SUCH_NAME),
        ("example.com", Type.A, FORWARD),
        ("nas", Type.A, FORWARD),
        ("163.com", Type.A, FORWARD),  # however a job is called: it has no such slot
        ("1.1.200.10.in-addr.arpa", Type.PTR, Answer(pointers=("0.web.orion.internal",), zone=NONE_OF_OURS.zone)),
        ("1.1.200.10.in-addr.arpa", Type.A, Answer(zone=NONE_OF_OURS.zone)),
        ("9.1.200.10.in-addr.arpa", Type.PTR, NONE_OF_OURS),
        ("8.8.8.8.in-addr.arpa", Type.PTR, FORWARD),
        (SIX_NAME, Type.PTR, FORWARD),
    ],
)
def test_answers(name, kind, expected):
    assert asked(name, kind) == expected


def test_all_ready_tasks_answer_in_an_order_that_the_number_says():
    orders = {asked("web", number=number).addresses for number in range(50)}
    assert orders == {(address(1), address(3)), (address(3), address(1))}
    assert len(asked("web", Type.ANY).addresses) == 3
    both = {tuple(service.target for service in asked("_80._tcp.web", Type.SRV, n).services) for n in range(50)}
    assert len(both) == 2


class OfMany(Facts):
    jobs = {"web": Tasks(600, tuple(Place(n, (n.to_bytes(4, "big"), SIX), (HTTP, DNS)) for n in range(600)))}


def test_of_many_tasks_some_are_drawn():
    def drawn(name, kind, number):
        return answer(Question(name, kind), OfMany(), number)

    for number in (1, 2**63):
        assert len(set(drawn("web", Type.A, number).addresses)) == MAX_ANSWERS
        assert len(drawn("web", Type.ANY, number).addresses) == MAX_ANSWERS
        assert len(set(drawn("_tcp.web", Type.SRV, number).services)) == 0
        assert len({each.target for each in drawn("_80._tcp.web", Type.SRV, number).services}) == MAX_ANSWERS
    assert drawn("web", Type.A, 1) != drawn("web", Type.A, 2)


@given(st.lists(st.integers(), max_size=600), st.integers(0, 2**64 - 1))
def test_a_shuffle_keeps_all_or_as_many_as_an_answer_has(items, number):
    drawn = shuffled(items, number)
    assert len(drawn) == min(len(items), MAX_ANSWERS)
    assert Counter(drawn) <= Counter(items)
    assert drawn == shuffled(items, number)


def test_each_is_as_likely_first_as_any_other():
    # Numbers in a row are the worst that anybody gives.
    for number_of in (lambda n: n, lambda n: n * 0x9E3779B97F4A7C15 % 2**64):
        first = Counter(shuffled(range(5), number_of(n))[0] for n in range(5_000))
        assert all(850 < count < 1_150 for count in first.values()), first
    last = Counter(shuffled(range(400), n * 0x9E3779B97F4A7C15 % 2**64)[255] // 40 for n in range(5_000))
    assert all(380 < count < 620 for count in last.values()), last
