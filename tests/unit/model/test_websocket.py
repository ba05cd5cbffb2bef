"""WebSocket frames: whatever is cut, broken or too large."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.model.api.websocket import (
    BrokenWebSocket,
    Message,
    Messages,
    Opcode,
    Reason,
    accept_key,
    close_frame,
    frame,
    is_key,
)

MASK = b"\x01\x02\x03\x04"
MASKS = st.binary(min_size=4, max_size=4)
SIZES = st.sampled_from((0, 1, 125, 126, 127, 65_535, 65_536, 100_000))


def fed(messages, data, cuts):
    """What comes of `data`, cut at these places."""
    found, begin = [], 0
    for end in (*sorted(set(cuts)), len(data)):
        found += messages.feed(data[begin:end])
        begin = end
    return found


def broken(data, *, masked=True, most_bytes=1_000):
    messages = Messages(masked=masked, most_bytes=most_bytes)
    with pytest.raises(BrokenWebSocket) as raised:
        messages.feed(data)
    return raised.value.reason


def test_the_key_is_answered_as_in_the_rfc():
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert is_key("dGhlIHNhbXBsZSBub25jZQ==")
    assert not is_key("dGhlIHNhbXBsZQ==")
    assert not is_key("no base64, not even nearly")


def test_frames_are_those_of_the_rfc():
    assert frame(Opcode.TEXT, b"Hello") == bytes.fromhex("810548656c6c6f")
    assert frame(Opcode.TEXT, b"Hello", bytes.fromhex("37fa213d")) == bytes.fromhex("818537fa213d7f9f4d5158")
    assert frame(Opcode.BINARY, bytes(256))[:4] == bytes.fromhex("827e0100")
    assert frame(Opcode.BINARY, bytes(65_536))[:10] == bytes.fromhex("827f0000000000010000")
    assert close_frame(Reason.DONE) == bytes.fromhex("880203e8")


@given(st.lists(st.tuples(SIZES, MASKS), max_size=4), st.lists(st.integers(0, 300_000), max_size=8))
def test_what_is_cut_anywhere_comes_whole(parts, cuts):
    said = [Message(Opcode.BINARY, bytes(range(256)) * (size // 256) + bytes(size % 256)) for size, _ in parts]
    data = b"".join(frame(m.opcode, m.data, mask) for m, (_, mask) in zip(said, parts, strict=True))
    assert fed(Messages(masked=True), data, [cut for cut in cuts if cut < len(data)]) == said


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=6), st.booleans())
def test_a_message_in_many_frames_is_one_with_control_frames_between(parts, pinged):
    data = b""
    for number, part in enumerate(parts):
        first = Opcode.BINARY if number == 0 else Opcode.MORE
        one = bytearray(frame(first, part))
        one[0] &= 0xFF if number == len(parts) - 1 else 0x7F
        data += bytes(one) + (frame(Opcode.PING, b"?") if pinged else b"")
    found = Messages(masked=False).feed(data)
    assert [m.data for m in found if m.opcode is Opcode.BINARY] == [b"".join(parts)]
    assert len(found) == 1 + pinged * len(parts)


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_messages_or_refused_and_never_more_than_came(data, masked):
    messages = Messages(masked=masked, most_bytes=100)
    try:
        found = messages.feed(data)
    except BrokenWebSocket:
        return
    assert sum(len(m.data) for m in found) <= len(data)


def test_what_no_honest_end_sends_is_refused():
    assert broken(frame(Opcode.BINARY, b"x")) == Reason.PROTOCOL  # without a mask
    assert broken(frame(Opcode.BINARY, b"x", MASK), masked=False) == Reason.PROTOCOL
    assert broken(b"\xc2\x80") == Reason.PROTOCOL  # an extension
    assert broken(b"\x83\x80" + MASK) == Reason.PROTOCOL  # no such opcode
    assert broken(b"\x09\x80") == Reason.PROTOCOL  # a ping in parts
    assert broken(b"\x89\xfe") == Reason.PROTOCOL  # a ping that is too large
    assert broken(frame(Opcode.MORE, b"x", MASK)) == Reason.PROTOCOL  # of nothing
    assert broken(b"\x02\x80" + MASK + frame(Opcode.TEXT, b"", MASK)) == Reason.PROTOCOL  # amid another
    assert broken(b"\x82\xfe\x00\x05") == Reason.PROTOCOL  # longer than it must be
    assert broken(frame(Opcode.TEXT, b"\xff", MASK)) == Reason.NOT_TEXT


def test_a_huge_length_is_refused_before_its_data_come():
    assert broken(b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff") == Reason.TOO_LARGE
    assert broken(b"\x82\xff\x00\x00\x00\x01\x00\x00\x00\x00") == Reason.TOO_LARGE
    one = b"\x02\xfe\x03\xe8" + MASK + bytes(1_000)
    assert broken(one + b"\x00\x81") == Reason.TOO_LARGE  # with what came of it before
