import contextlib
import typing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.model.errors import EngineError, FieldError, Invalid, NotFound, OrionError, Unavailable
from orion.model.ids import NodeId, RaftId
from orion.raft.confchange import MAX_MEMBERS, encode_change
from orion.raft.messages import (
    AnyMessage,
    ConfChange,
    ConfState,
    Entry,
    MsgApp,
    MsgAppResp,
    MsgHeartbeat,
    MsgHeartbeatResp,
    MsgPreVote,
    MsgPreVoteResp,
    MsgReadIndex,
    MsgReadIndexResp,
    MsgSnap,
    MsgSnapStatus,
    MsgTimeoutNow,
    MsgVote,
    MsgVoteResp,
    SnapshotMeta,
)
from orion.wire.envelopes import (
    LANE_CALL,
    LANE_RAFT,
    LANE_STREAM,
    MAGIC,
    MAX_CALL_MS,
    MAX_ENTRY_BYTES,
    MAX_POSITION,
    VERSION,
    Call,
    Failure,
    Hello,
    Reply,
    decode_call,
    decode_end,
    decode_hello,
    decode_messages,
    decode_reply,
    encode_call,
    encode_end,
    encode_hello,
    encode_messages,
    encode_reply,
    failure_of,
)
from orion.wire.frames import MAX_FRAME_BYTES, Frame, FrameError, FrameReader, Kind

uint = st.integers(0, 2**64 - 1)
positions = st.integers(0, MAX_POSITION)
ids = st.tuples(uint, uint, positions)  # sender, to, term
members = st.lists(st.integers(1, 2**64 - 1), min_size=4, max_size=4, unique=True)


@st.composite
def appends(draw):
    sender, to, term = draw(ids)
    index, log_term = draw(positions), draw(st.integers(0, term))
    made = []
    for position, rise in enumerate(draw(st.lists(st.integers(0, 3), max_size=5)), 1):
        last = made[-1].term if made else log_term
        made.append(
            Entry(
                min(term, last + rise),
                index + position,
                *draw(st.tuples(st.just(0), st.binary(max_size=20)) | st.tuples(st.just(1), changes)),
            )
        )
    return MsgApp(sender, to, term, index, log_term, tuple(made), draw(positions))


@st.composite
def votes(draw, kind, *fields):
    sender, to, _ = draw(ids)
    term = draw(st.integers(1, MAX_POSITION))
    return kind(sender, to, term, draw(positions), draw(st.integers(0, term - 1)), *draw(st.tuples(*fields)))


@st.composite
def offers(draw):
    sender, to, term = draw(ids)
    a, b, c, d = draw(members)
    confs = [
        ConfState(),
        ConfState((a,), (b,)),
        ConfState(tuple(sorted((a, b))), (c,)),
        ConfState((a,), (c,), tuple(sorted((b, d))), (d,), True),
    ]
    meta = SnapshotMeta(draw(positions), draw(st.integers(0, term)), draw(st.sampled_from(confs)))
    return MsgSnap(sender, to, term, meta)


changes = st.builds(lambda ids: encode_change(ConfChange(tuple(ids[:3]), tuple(ids[3:]))), members)


def plain(kind, *fields):
    return st.builds(lambda head, rest: kind(*head, *rest), ids, st.tuples(*fields))


messages = st.one_of(
    appends(),
    plain(MsgAppResp, positions, st.booleans(), positions, positions),
    votes(MsgVote, st.booleans(), positions, positions),
    plain(MsgVoteResp, st.booleans()),
    votes(MsgPreVote, positions, positions),
    plain(MsgPreVoteResp, st.booleans()),
    plain(MsgHeartbeat, positions, positions),
    plain(MsgHeartbeatResp, positions),
    offers(),
    plain(MsgSnapStatus, positions),
    plain(MsgTimeoutNow),
    plain(MsgReadIndex, positions),
    plain(MsgReadIndexResp, positions, positions),
)
hellos = st.builds(
    Hello,
    st.sampled_from([LANE_RAFT, LANE_CALL, LANE_STREAM]),
    uint,
    st.from_regex(r"[a-zA-Z0-9._-]{1,64}", fullmatch=True),
    uint,
    uint,
)


def only(data, kind):
    (frame,) = FrameReader().feed(data)
    assert frame.kind == kind
    return frame.payload


def test_the_strategies_know_every_message():
    assert len(typing.get_args(AnyMessage)) == len(messages.original_strategies)


# --- round trips -------------------------------------------------------------------------------------------


@given(hellos)
def test_hellos_come_back(hello):
    (frame,) = FrameReader().feed(encode_hello(hello))
    assert decode_hello(frame) == hello


@given(st.lists(messages, min_size=1, max_size=5))
def test_messages_come_back(sent):
    (data,) = encode_messages(sent)
    assert decode_messages(only(data, Kind.RAFT)) == tuple(sent)


@given(uint, st.integers(0, MAX_CALL_MS), st.binary(max_size=50))
def test_calls_come_back(number, timeout_ms, body):
    call = Call(number, timeout_ms, body)
    assert decode_call(only(encode_call(call), Kind.CALL)) == call


@given(st.binary(max_size=50), st.text(max_size=50))
def test_replies_come_back(body, words):
    for reply in (Reply(1, body), Reply(2, failure=Failure("conflict", words, (FieldError("/a", words),)))):
        assert decode_reply(only(encode_reply(reply), Kind.REPLY)) == reply


@pytest.mark.parametrize(
    "error",
    [
        OrionError("a"),
        Invalid([FieldError("/x", "is wrong")]),
        NotFound("there is no such task"),
        Unavailable("no leader"),
        EngineError("it says no"),
    ],
)
def test_errors_are_themselves_again_on_the_other_side(error):
    failure = decode_end(only(encode_end(failure_of(error)), Kind.END))
    again = failure.error()
    assert (type(again), again.detail, again.errors) == (type(error), error.detail, error.errors)


def test_a_stream_may_end_well():
    assert decode_end(only(encode_end(None), Kind.END)) is None


def test_a_code_from_a_later_version_is_an_error_all_the_same():
    assert type(Failure("melted", "words").error()) is OrionError


# --- batches over the limit --------------------------------------------------------------------------------


def test_a_batch_over_the_limit_becomes_several_frames_in_order():
    sent = [MsgApp(1, 2, 3, index, 3, (Entry(3, index + 1, 0, bytes(3_000_000)),), 0) for index in range(5)]
    frames = encode_messages(sent)
    assert len(frames) > 1
    assert all(len(frame) <= MAX_FRAME_BYTES + 4 for frame in frames)
    got = [m for frame in frames for m in decode_messages(only(frame, Kind.RAFT))]
    assert got == sent


def test_a_single_message_over_the_limit_is_refused():
    with pytest.raises(FrameError):
        encode_messages([MsgApp(1, 2, 3, 0, 0, (Entry(3, 1, 0, bytes(MAX_FRAME_BYTES)),), 0)])


# --- what is refused ---------------------------------------------------------------------------------------

DECODERS = [decode_messages, decode_call, decode_reply, decode_end]


@pytest.mark.parametrize("decode", [*DECODERS, lambda data: decode_hello(Frame(Kind.HELLO, data))])
@given(data=st.binary(max_size=80))
def test_any_bytes_are_understood_or_refused(decode, data):
    with contextlib.suppress(FrameError):
        decode(data)


@pytest.mark.parametrize("decode", DECODERS)
@given(
    value=st.recursive(
        st.none()
        | st.integers(-(2**63), 2**64 - 1)
        | st.binary(max_size=5)
        | st.text(max_size=5)
        | st.booleans()
        | st.floats(),
        lambda inner: st.lists(inner, max_size=6),
        max_leaves=20,
    )
)
def test_any_msgpack_is_understood_or_refused(decode, value):
    with contextlib.suppress(FrameError):
        decode(msgspec.msgpack.encode(value))


@given(st.lists(messages, min_size=1, max_size=3), st.data())
def test_damaged_messages_are_messages_or_refused(sent, data):
    payload = bytearray(only(encode_messages(sent)[0], Kind.RAFT))
    for _ in range(data.draw(st.integers(1, 3))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(FrameError):
        decode_messages(bytes(payload))


@given(hellos, st.binary(max_size=8).filter(lambda start: not start.startswith(MAGIC)))
def test_a_hello_without_the_magic_word_is_refused(hello, start):
    (frame,) = FrameReader().feed(encode_hello(hello))
    with pytest.raises(FrameError, match="not a hello"):
        decode_hello(Frame(Kind.HELLO, start + frame.payload[len(MAGIC) + 1 :]))


def test_another_version_is_named():
    with pytest.raises(FrameError, match=f"version {VERSION + 1}"):
        decode_hello(Frame(Kind.HELLO, MAGIC + bytes([VERSION + 1]) + b"whatever it is then"))
    with pytest.raises(FrameError, match="version"):
        decode_hello(Frame(Kind.HELLO, MAGIC))


@pytest.mark.parametrize(
    "hello",
    [
        Hello("other", 0, NodeId("n"), RaftId(1), 0),
        Hello(LANE_CALL, -1, NodeId("n"), RaftId(1), 0),
        Hello(LANE_CALL, 0, NodeId("n\n"), RaftId(1), 0),
        Hello(LANE_CALL, 0, NodeId(""), RaftId(1), 0),
        Hello(LANE_CALL, 0, NodeId("x" * 65), RaftId(1), 0),
        Hello(LANE_CALL, 0, NodeId("n"), RaftId(-5), 0),
    ],
)
def test_a_hello_with_a_wrong_field_is_refused(hello):
    (frame,) = FrameReader().feed(encode_hello(hello))
    with pytest.raises(FrameError, match="hello"):
        decode_hello(frame)


@pytest.mark.parametrize(
    "message",
    [
        MsgHeartbeat(-1, 2, 3, 4),
        MsgAppResp(1, 2, 3, -4),
        MsgAppResp(1, 2, 3, 4, True, -1),
        MsgVote(1, 2, 3, 4, -5),
        MsgSnap(1, 2, 3, SnapshotMeta(-1, 1)),
        MsgSnap(1, 2, 3, SnapshotMeta(1, 1, ConfState((-1,)))),
        MsgApp(1, 2, 3, -1, 0, (), 0),
        MsgApp(1, 2, 3, 0, 0, (), -1),
        MsgApp(1, 2, 3, 4, 3, (Entry(3, 6),), 0),  # a gap
        MsgApp(1, 2, 3, 4, 3, (Entry(3, 5), Entry(3, 5)), 0),
        MsgApp(1, 2, 3, 4, 3, (Entry(2, 5),), 0),  # an older term after a newer one
        MsgApp(1, 2, 3, 4, 3, (Entry(4, 5),), 0),  # a term past the sender's
        MsgApp(1, 2, 3, 4, 3, (Entry(3, 5, 2),), 0),  # no such kind
        MsgApp(1, 2, 3, 4, 4, (), 0),  # a log ahead of its owner's term
        MsgVote(1, 2, 3, 4, 3),
        MsgPreVote(1, 2, 3, 4, 3),
        MsgSnap(1, 2, 3, SnapshotMeta(4, 4)),
        *(MsgHeartbeat(1, 2, term, 4) for term in (MAX_POSITION + 1, 2**64 - 1)),
        MsgHeartbeat(1, 2, 3, MAX_POSITION + 1),
        MsgTimeoutNow(1, 2, 2**64 - 1),
        MsgApp(1, 2, 3, 4, 3, (Entry(3, 5, 0, bytes(MAX_ENTRY_BYTES + 1)),), 0),
        MsgApp(1, 2, 3, 4, 3, (Entry(3, 5, 1, b""),), 0),  # no configuration
        MsgApp(1, 2, 3, 4, 3, (Entry(3, 5, 1, b"\xc1"),), 0),
        *(
            MsgApp(1, 2, 3, 4, 3, (Entry(3, 5, 1, encode_change(ConfChange(voters))),), 0)
            for voters in ((0,), (-1,), tuple(range(1, MAX_MEMBERS + 2)))
        ),
        *(
            MsgSnap(1, 2, 3, SnapshotMeta(1, 1, conf))
            for conf in (
                ConfState((2, 1)),
                ConfState((1, 1)),
                ConfState((0,)),
                ConfState((1,), (1,)),
                ConfState((1,), (), (), (2,)),
                ConfState((1,), auto_leave=True),
                ConfState(tuple(range(1, MAX_MEMBERS + 2))),
            )
        ),
    ],
)
def test_messages_that_no_member_sends_are_refused(message):
    (data,) = encode_messages([message])
    with pytest.raises(FrameError):
        decode_messages(only(data, Kind.RAFT))


def test_a_call_that_nobody_would_wait_for_is_refused():
    with pytest.raises(FrameError, match="deadline"):
        decode_call(only(encode_call(Call(1, 2**64 - 1, b"")), Kind.CALL))
