import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.wire.frames import HEADER, MAX_FRAME_BYTES, Frame, FrameError, FrameReader, Kind, encode_frame

frames = st.builds(Frame, st.sampled_from(Kind).map(int), st.binary(max_size=300))


@given(st.lists(frames, max_size=8), st.data())
def test_frames_come_back_however_they_are_cut(sent, data):
    stream = b"".join(encode_frame(Kind(f.kind), f.payload) for f in sent)
    reader, got = FrameReader(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        got += reader.feed(stream[:size])
        stream = stream[size:]
    assert got == sent
    assert reader.buffered == 0


@given(st.binary(max_size=200), st.integers(1, 64))
def test_any_bytes_give_frames_or_wait_or_are_refused(garbage, limit):
    reader = FrameReader(limit)
    try:
        for position in range(len(garbage)):
            for frame in reader.feed(garbage[position : position + 1]):
                assert frame.kind in list(Kind)
                assert len(frame.payload) < limit
    except FrameError:
        return
    assert reader.buffered < limit + HEADER.size


@pytest.mark.parametrize("length", [0, MAX_FRAME_BYTES + 1, 2**32 - 1])
def test_a_wrong_length_is_refused_before_any_of_the_frame_came(length):
    with pytest.raises(FrameError, match="limit"):
        FrameReader().feed(HEADER.pack(length, Kind.RAFT))


@pytest.mark.parametrize("kind", [0, 10, 255])
def test_an_unknown_kind_is_refused(kind):
    with pytest.raises(FrameError, match="kind"):
        FrameReader().feed(HEADER.pack(5, kind))


@pytest.mark.parametrize(
    "text", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"SSH-2.0-OpenSSH_9.2\r\n"]
)
def test_other_protocols_are_refused_at_their_first_bytes(text):
    with pytest.raises(FrameError):
        FrameReader().feed(text)


def test_a_payload_over_the_limit_is_not_made_into_a_frame():
    assert len(encode_frame(Kind.ITEM, bytes(MAX_FRAME_BYTES - 1))) == MAX_FRAME_BYTES + 4
    with pytest.raises(FrameError, match="limit"):
        encode_frame(Kind.ITEM, bytes(MAX_FRAME_BYTES))


def test_the_limit_may_rise_between_two_frames_of_one_chunk():
    reader = FrameReader(10)
    reader.push(encode_frame(Kind.HELLO, b"hi") + encode_frame(Kind.ITEM, b"x" * 100))
    assert reader.pop() == Frame(Kind.HELLO, b"hi")
    reader.max_frame_bytes = 1_000
    assert reader.pop() == Frame(Kind.ITEM, b"x" * 100)
    assert reader.pop() is None


def test_many_frames_in_small_pieces_do_not_pile_up():
    frame = encode_frame(Kind.ITEM, b"x" * 1_000)
    reader, count = FrameReader(), 0
    stream = frame * 2_000
    for start in range(0, len(stream), 7_001):
        count += len(reader.feed(stream[start : start + 7_001]))
        assert reader.buffered <= len(frame)
    assert count == 2_000
