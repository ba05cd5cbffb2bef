"""Netlink's bytes: the ones that a kernel was seen to take and give, and any others."""

import contextlib
import errno
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orion.adapters.netlink import codec, link, tables
from orion.adapters.netlink.codec import Malformed
from orion.model.overlay import Forwarding, Neighbour, OverlayDevice, Route

DEVICE = OverlayDevice("orion.vx", 4200, 8472, "10.77.0.1", "02:4f:52:00:00:01", 1450, "10.200.1.0", "orion node1")


def body_of(request):
    return memoryview(request.body)


def only(data):
    (found,) = codec.messages(data)
    return found


@given(st.lists(st.tuples(st.integers(0, 65_535), st.integers(0, 65_535), st.binary(max_size=30)), max_size=5))
def test_messages_of_one_datagram_come_back(given_messages):
    sent = [codec.message(kind, flags, 7, data) for kind, flags, data in given_messages]
    found = [(each.kind, each.flags, bytes(each.body)) for each in codec.messages(b"".join(sent))]
    assert found == given_messages
    assert all(len(each) % 4 == 0 for each in sent)


@given(st.dictionaries(st.integers(0, 0x3FFF), st.binary(max_size=30), max_size=6))
def test_attributes_come_back(values):
    data = b"".join(codec.attribute(kind, value) for kind, value in values.items())
    assert {kind: bytes(value) for kind, value in codec.attributes(memoryview(data)).items()} == values


def test_nested_attributes_come_back_without_their_flag():
    data = codec.nested(18, codec.text(1, "vxlan"), codec.number(2, 4200))
    inner = codec.attributes(codec.attributes(memoryview(data))[18])
    assert (codec.as_text(inner[1]), codec.as_number(inner[2])) == ("vxlan", 4200)


@pytest.mark.parametrize(
    "data",
    [b"\x10\0\0", struct.pack("=IHHII", 15, 1, 0, 0, 0), struct.pack("=IHHII", 17, 1, 0, 0, 0), b"\0" * 16],
)
def test_a_message_with_a_wrong_length_is_malformed(data):
    with pytest.raises(Malformed, match="netlink message"):
        list(codec.messages(data))


@pytest.mark.parametrize("length", [0, 3, 9, 0xFFFF])
def test_an_attribute_with_a_wrong_length_is_malformed(length):
    with pytest.raises(Malformed, match="netlink attribute"):
        codec.attributes(memoryview(struct.pack("=HHI", length, 1, 0)))


READERS = [
    link.read,
    tables.read_address,
    tables.read_neighbour,
    tables.read_forwarding,
    tables.read_route,
    tables.neighbour_link,
    lambda body: codec.refusal(codec.Message(codec.ERROR, codec.ACK_TLVS, 1, body)),
    lambda body: codec.refusal(codec.Message(codec.DONE, codec.ACK_TLVS | codec.CAPPED, 1, body)),
    lambda body: list(codec.messages(bytes(body))),
]
REAL = [
    link.create(DEVICE),
    tables.add_address(3, "10.200.1.0/32"),
    tables.set_neighbour(3, Neighbour("10.200.2.0", "02:4f:52:00:00:02")),
    tables.set_forwarding(3, Forwarding("02:4f:52:00:00:02", "fd00::2", 4789, 7)),
    tables.add_route(3, Route("10.200.2.0/24", "10.200.2.0", 5)),
]


@st.composite
def damaged(draw):
    data = bytearray(draw(st.sampled_from(REAL)).body)
    for _ in range(draw(st.integers(1, 3))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))])


@given(st.binary(max_size=80) | damaged())
@example(b"")
def test_whatever_is_read_is_understood_or_malformed(data):
    for read in READERS:
        with contextlib.suppress(Malformed):
            read(memoryview(data))


def test_what_is_written_is_read_as_it_was():
    found = link.read(body_of(link.create(DEVICE)))
    assert (found.name, found.kind, found.mtu) == ("orion.vx", "vxlan", 1450)
    assert (found.vxlan.vni, found.vxlan.port, found.vxlan.local) == (4200, 8472, "10.77.0.1")
    assert (found.vxlan.mac, found.vxlan.learning, found.vxlan.up) == ("02:4f:52:00:00:01", False, False)
    address = tables.read_address(body_of(tables.add_address(3, "10.200.1.0/32")))
    assert (address.index, address.address, address.length, address.usable) == (3, "10.200.1.0", 32, True)
    neighbour = Neighbour("10.200.2.0", "02:4f:52:00:00:02")
    assert tables.read_neighbour(body_of(tables.set_neighbour(3, neighbour))) == neighbour
    for forwarding in (
        Forwarding("02:4f:52:00:00:02", "10.77.0.2"),
        Forwarding("02:4f:52:00:00:02", "fd00::2", 4789, 7),
    ):
        assert tables.read_forwarding(body_of(tables.set_forwarding(3, forwarding))) == forwarding
    for route in (Route("10.200.2.0/24", "10.200.2.0"), Route("10.9.0.0/16", "", 7)):
        assert tables.read_route(body_of(tables.add_route(3, route))) == (3, route)


def test_a_device_over_ipv6_has_its_address_in_the_other_attribute():
    device = OverlayDevice("orion.vx", 1, 2, "fd77::1", "02:4f:52:00:00:01", 1430, "10.200.1.0", "")
    assert link.read(body_of(link.create(device))).vxlan.local == "fd77::1"


def test_a_neighbour_that_is_not_permanent_and_the_kernels_routes_are_left_out():
    neighbour = Neighbour("10.200.2.0", "02:4f:52:00:00:02")
    stale = bytearray(tables.set_neighbour(3, neighbour).body)
    stale[8] = 4  # NUD_STALE
    assert tables.read_neighbour(memoryview(stale)) is None
    by_kernel = bytearray(tables.add_route(3, Route("10.9.0.0/16", "")).body)
    by_kernel[5] = 2  # RTPROT_KERNEL
    assert tables.read_route(memoryview(by_kernel)) is None
    assert tables.read_route(memoryview(by_kernel), by_kernel=True) == (3, Route("10.9.0.0/16", ""))
    other_table = bytearray(tables.add_route(3, Route("10.9.0.0/16", "")).body)
    other_table[4] = 255  # local
    assert tables.read_route(memoryview(other_table)) is None


def error(code, *, flags=0, request=b"", attributes=b""):
    body = struct.pack("=i", -code) + codec.message(16, 5, 7, request) + attributes
    return only(codec.message(codec.ERROR, flags, 7, body))


def test_an_answer_without_an_error_is_none():
    assert codec.refusal(error(0)) is None


def test_an_error_has_the_systems_words_or_the_kernels_own():
    plain = codec.refusal(error(errno.EPERM))
    assert (plain.errno, plain.strerror) == (errno.EPERM, "Operation not permitted")
    said = codec.text(1, "no such thing")
    for flags, request in ((codec.ACK_TLVS | codec.CAPPED, b""), (codec.ACK_TLVS, b"the request, whole")):
        refusal = codec.refusal(error(errno.EINVAL, flags=flags, request=request, attributes=said))
        assert (refusal.errno, refusal.strerror) == (errno.EINVAL, "no such thing")
    assert codec.refusal(error(errno.EINVAL, attributes=said)).strerror == "Invalid argument"
    done = codec.message(codec.DONE, codec.ACK_TLVS, 7, struct.pack("=i", -errno.ENODEV) + said)
    assert codec.refusal(only(done)).strerror == "no such thing"
