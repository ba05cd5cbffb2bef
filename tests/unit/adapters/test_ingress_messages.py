"""Messages about published ports: elements as the kernel shows them, odd ones among them."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.adapters.ingress import chains, conntrack, elements, routing
from orion.adapters.netlink import codec
from orion.adapters.netlink.codec import Malformed, Message
from orion.model.ingress import Backend
from orion.reconcile.ingress_elements import ElementChange, Elements
from orion.reconcile.ingress_routes import MarkRule

NOTHING = Elements({}, {})
keys = st.tuples(st.sampled_from((6, 17)), st.integers(1, 65_535))
services = st.dictionaries(keys, st.sampled_from(("spread_1", "sticky_128")), max_size=5)
backends = st.dictionaries(
    st.tuples(st.sampled_from((6, 17)), st.integers(1, 65_535), st.integers(0, 4_095)),
    st.builds(Backend, st.integers(1, (1 << 32) - 1), st.integers(1, 65_535)),
    max_size=5,
)


def message(body: bytes, kind: int = 0) -> Message:
    return Message(kind, 0, 0, memoryview(body))


@given(services, backends)
def test_what_is_added_reads_as_it_was_meant(services: dict, backends: dict) -> None:
    """In the bytes of a request, whose nested attributes are marked, unlike the kernel's: each is read."""
    made = Elements(services, backends)
    if not services and not backends:
        return
    sent = elements.transaction(ElementChange(NOTHING, made), 7)[1:-1]
    lists = {"services": [], "backends": []}
    for request in sent:
        name = codec.as_text(codec.attributes(memoryview(request.body)[4:])[2])
        lists[name].append(message(request.body))
    assert elements.read(lists["services"], lists["backends"]) == made


def shown(*parts: bytes) -> Message:
    """A list of elements of `backends`, without marks, as the kernel shows it."""
    body = bytes(4) + codec.attribute(3, b"".join(codec.attribute(1, part) for part in parts))
    return message(body)


KEY = codec.attribute(1, codec.attribute(1, struct.pack(">B3xH2x", 6, 80) + struct.pack("=I", 5)))
VALUE = codec.attribute(2, codec.attribute(1, struct.pack(">IH2x", 0x0AC80102, 8080)))
FLAGS = codec.attribute(3, bytes(4))
FOUND = {(6, 80, 5): Backend(0x0AC80102, 8080)}


@pytest.mark.parametrize("parts", [(KEY + VALUE,), (KEY + VALUE + FLAGS,), (FLAGS + KEY + VALUE, KEY + VALUE)])
def test_an_element_is_read_whatever_else_the_kernel_says_of_it(parts: tuple) -> None:
    assert elements.read([], [shown(*parts)]).backends == FOUND


@pytest.mark.parametrize("parts", [(KEY,), (VALUE,), (b"",), (KEY[:-4] + VALUE,), (bytes(36),)])
def test_an_element_of_another_kind_is_malformed(parts: tuple) -> None:
    with pytest.raises(Malformed):
        elements.read([], [shown(*parts)])


def test_a_verdict_that_leads_to_no_chain_is_no_service_of_ours() -> None:
    key = codec.attribute(1, codec.attribute(1, struct.pack(">B3xH2x", 6, 80)))
    accept = codec.attribute(2, codec.attribute(2, codec.attribute(1, struct.pack(">i", 1))))
    assert elements.read([shown(key + accept)], []).services == {(6, 80): ""}


def test_a_large_change_is_several_messages_and_asks_for_one_answer() -> None:
    many = {(6, 80, number): Backend(1, 1) for number in range(2 * elements.MAX_IN_ONE + 1)}
    sent = elements.transaction(ElementChange(Elements({}, many), Elements({(6, 80): "x"}, many)), 7, anew=True)
    assert len(sent) == 2 + 2 + 3 + 3 + 1
    assert [bool(request.flags & codec.ACK) for request in sent] == [False] * (len(sent) - 2) + [True, False]


def test_a_generation_that_is_none_is_malformed() -> None:
    for found in (message(bytes(4), 10 << 8 | 15), message(bytes(4) + codec.number(1, 5), 1)):
        with pytest.raises(Malformed):
            elements.read_generation(found)


def test_rules_of_others_are_left_out() -> None:
    wanted = routing.wanted(MarkRule("orion0", 0x0F010002, 7))
    assert routing.read_rule(memoryview(routing.add_rule(wanted).body)) == wanted
    theirs = routing.add_rule(wanted).body.replace(codec.attribute(21, bytes((79,))), codec.attribute(21, b"\3"))
    assert routing.read_rule(memoryview(theirs)) is None


def test_routes_with_a_destination_and_those_of_others_are_left_out() -> None:
    ours = routing.add_route(7, 3, "10.200.2.0").body
    assert routing.read_route(memoryview(ours)) == (7, 3, "10.200.2.0")
    for at, value in ((1, 24), (5, 4)):  # a length, another protocol
        changed = bytearray(ours)
        changed[at] = value
        assert routing.read_route(memoryview(bytes(changed))) is None


def test_chains_of_other_tables_and_rules_without_comments() -> None:
    def named(table: str, *more: bytes) -> Message:
        return message(bytes(4) + codec.text(1, table) + b"".join(more))

    base = codec.nested(4, codec.attribute(1, struct.pack(">I", 4)), codec.attribute(2, bytes(4)))
    found = chains.read(
        [
            named("orion_ingress", codec.text(3, "a"), base, codec.attribute(5, struct.pack(">I", 1))),
            named("orion_ingress", codec.text(3, "b")),
            named("orion", codec.text(3, "c")),
        ],
        [
            named("orion_ingress", codec.text(2, "a"), codec.attribute(7, b"\1\1x\0\3ab\0")),
            named("orion_ingress", codec.text(2, "a")),
            named("orion", codec.text(2, "a")),
            named("orion_ingress", codec.text(2, "b"), codec.attribute(7, b"\0")),
        ],
    )
    assert {name: (each.hook, each.policy, each.comments) for name, each in found.items()} == {
        "a": ("postrouting", "accept", ("ab", "")),
        "b": ("", "", ("",)),
    }


def ends(source: bytes, port: int, protocol: int = 6) -> bytes:
    addresses = codec.attribute(1, source) + codec.attribute(2, bytes(4))
    sides = codec.attribute(1, bytes((protocol,))) + codec.attribute(2, port.to_bytes(2, "big"))
    return codec.nested(1, addresses) + codec.nested(2, sides, codec.attribute(3, bytes(2)))


@pytest.mark.parametrize("zone", [b"", codec.attribute(3, b"\0\2")])
def test_a_connection_is_known_by_where_its_answers_come_from(zone: bytes) -> None:
    original = ends(b"\xc0\0\2\1", 40_000) + zone
    body = bytes(4) + codec.nested(1, original) + codec.nested(2, ends(b"\x0a\xc8\1\2", 8080)) + codec.number(3, 1)
    found = conntrack.read(memoryview(body))
    assert found[:2] == (Backend(0x0AC80102, 8080), 6)
    assert bytes(found.original) == original
    assert codec.nested(1, original) in conntrack.delete(found).body


@pytest.mark.parametrize("body", [b"", bytes(4), bytes(100), bytes(4) + codec.nested(1, ends(bytes(4), 1)) * 2])
def test_a_connection_that_is_shown_otherwise_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        conntrack.read(memoryview(body))
