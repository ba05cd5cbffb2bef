"""The contents of frames: hellos, Raft messages in batches, calls and streams.

The hello starts with a magic word and a version outside of msgpack, so that strangers and later versions are
told apart from damage. All else is msgpack with strict types.
"""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from orion.model.errors import FieldError, OrionError, by_code
from orion.model.ids import NODE_ID, NodeId, RaftId
from orion.raft.confchange import change_fault, conf_fault
from orion.raft.messages import AnyMessage, Entry, EntryKind, MsgApp, MsgPreVote, MsgSnap, MsgVote
from orion.wire.frames import MAX_FRAME_BYTES, Frame, FrameError, Kind, encode_frame

VERSION = 1
MAGIC = b"ORION"
LANE_RAFT = "raft"
LANE_CALL = "call"
LANE_STREAM = "stream"
LANE_WHO = "who"  # asks for nothing but the answer to the hello
_LANES = frozenset((LANE_RAFT, LANE_CALL, LANE_STREAM, LANE_WHO))
_KINDS_OF_ENTRY = frozenset(int(kind) for kind in EntryKind)
_MAX_UINT64 = 2**64 - 1
_MAX_ADDRESS = 300  # characters: the longest host name, a port
MAX_POSITION = 2**62  # the largest term or index
MAX_ENTRY_BYTES = 4 * 1024 * 1024  # of an entry's data: fits into a frame with all that goes around it
MAX_CALL_MS = 60 * 60 * 1000  # longer than any client may wait for an answer

T = TypeVar("T")


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """The first frame from both ends. `lane` is the one that the dialler asks for, and the answer repeats it.
    `cluster` is 0 while the node is in none. `wall_ms` is Unix time, to notice clocks that are far off. `recovery`
    is as in model/recovery.py. `run` tells this process from others with the same data directory. `address` is the
    one that others dial, "" when unknown.
    """

    lane: str
    cluster: int
    node: NodeId
    raft_id: RaftId
    wall_ms: int
    recovery: int = 0
    run: int = 0
    address: str = ""


class Refusal(msgspec.Struct, frozen=True, array_like=True):
    """The peer is not let in: another node with its data directory or its name answers at `address`."""

    address: str


class Call(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One request. `id` pairs it with its reply on this connection. After `timeout_ms` nobody waits for the
    reply.
    """

    id: int
    timeout_ms: int
    body: bytes


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """An OrionError on its way to the other side."""

    code: str
    detail: str
    errors: tuple[FieldError, ...] = ()

    def error(self) -> OrionError:
        return by_code(self.code, self.detail, self.errors)


class Reply(msgspec.Struct, frozen=True, array_like=True):
    """The answer to one Call: `body`, or the `failure` of the call."""

    id: int
    body: bytes = b""
    failure: Failure | None = None


_encoder = msgspec.msgpack.Encoder()
_hello = msgspec.msgpack.Decoder(Hello)
_refusal = msgspec.msgpack.Decoder(Refusal)
_messages: msgspec.msgpack.Decoder[tuple[AnyMessage, ...]] = msgspec.msgpack.Decoder(tuple[AnyMessage, ...])
_call = msgspec.msgpack.Decoder(Call)
_reply = msgspec.msgpack.Decoder(Reply)
_failure: msgspec.msgpack.Decoder[Failure | None] = msgspec.msgpack.Decoder(Failure | None)


def _decode(decoder: "msgspec.msgpack.Decoder[T]", payload: bytes, what: str) -> T:
    try:
        return decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FrameError(f"not {what}: {error}") from None


def _require_counts(what: str, *numbers: int) -> None:
    if not all(0 <= number <= _MAX_UINT64 for number in numbers):
        raise FrameError(f"{what}: a number is out of range")


# --- hello -------------------------------------------------------------------------------------------------


def encode_hello(hello: Hello) -> bytes:
    return encode_frame(Kind.HELLO, MAGIC + bytes((VERSION,)) + _encoder.encode(hello))


def decode_hello(frame: Frame) -> Hello:
    """Raises FrameError that names the fault: not Orion, another version, or damaged."""
    if frame.kind != Kind.HELLO or not frame.payload.startswith(MAGIC):
        raise FrameError("the first frame is not a hello")
    version = frame.payload[len(MAGIC) : len(MAGIC) + 1]
    if version != bytes((VERSION,)):
        raise FrameError(f"it speaks version {version[0] if version else '?'} of the protocol, we speak {VERSION}")
    hello = _decode(_hello, frame.payload[len(MAGIC) + 1 :], "a hello")
    _require_counts("hello", hello.cluster, hello.raft_id, hello.wall_ms, hello.recovery, hello.run)
    if hello.lane not in _LANES:
        raise FrameError("hello: an unknown lane")
    if not NODE_ID.fullmatch(hello.node):
        raise FrameError("hello: not a node id")
    _require_address("hello", hello.address)
    return hello


def encode_refusal(refusal: Refusal) -> bytes:
    return encode_frame(Kind.REFUSED, _encoder.encode(refusal))


def decode_refusal(payload: bytes) -> Refusal:
    refusal = _decode(_refusal, payload, "a refusal")
    _require_address("refusal", refusal.address)
    return refusal


def _require_address(what: str, address: str) -> None:
    if len(address) > _MAX_ADDRESS or not address.isprintable():
        raise FrameError(f"{what}: not an address")


# --- Raft messages -----------------------------------------------------------------------------------------


def encode_messages(messages: Sequence[AnyMessage]) -> list[bytes]:
    """Returns frames that hold `messages` in order: one frame if they fit into one. Raises FrameError for a single
    message that is over the limit.
    """
    payload = _encoder.encode(messages)
    if len(payload) < MAX_FRAME_BYTES or len(messages) == 1:
        return [encode_frame(Kind.RAFT, payload)]
    half = len(messages) // 2
    return encode_messages(messages[:half]) + encode_messages(messages[half:])


def decode_messages(payload: bytes) -> tuple[AnyMessage, ...]:
    """Raises FrameError for a message that the core is not made for."""
    messages = _decode(_messages, payload, "Raft messages")
    for message in messages:
        name = type(message).__name__
        _require_counts(name, message.sender, message.to)
        if type(message) is MsgApp:
            _require_positions(name, message.term, message.index, message.log_term, message.commit)
            _require_run_of_entries(message)
        elif type(message) is MsgSnap:
            _require_positions(name, message.term, message.meta.index, message.meta.term)
            if fault := conf_fault(message.meta.conf):
                raise FrameError(f"MsgSnap: {fault}")
        else:
            _require_positions(name, *msgspec.structs.astuple(message)[2:])
        if _log_term(message) > message.term:
            raise FrameError(f"{name}: a log is not ahead of its owner's term")
    return messages


def _log_term(message: AnyMessage) -> int:
    """The newest term that the message says is in a log."""
    if isinstance(message, (MsgVote, MsgPreVote)):
        return message.log_term + 1  # a candidate asks for a term newer than those in its log
    if isinstance(message, MsgApp):
        return message.log_term
    return message.meta.term if isinstance(message, MsgSnap) else 0


def _require_positions(what: str, *numbers: int) -> None:
    """Raises FrameError for terms, indexes and counters out of range. No honest one comes near the bound, and
    numbers counted up from there still fit into 64 bits.
    """
    if not all(0 <= number <= MAX_POSITION for number in numbers):
        raise FrameError(f"{what}: a number is out of range")


def _require_run_of_entries(message: MsgApp) -> None:
    """Raises FrameError unless the entries' indexes follow without a gap, their terms never fall and never pass the
    sender's, their changes of configuration can be decoded, and none is over MAX_ENTRY_BYTES.
    """
    index, term = message.index, message.log_term
    entry: Entry
    for entry in message.entries:
        index += 1
        if entry.index != index or not term <= entry.term <= message.term:
            raise FrameError("MsgApp: its entries do not follow each other")
        if entry.kind not in _KINDS_OF_ENTRY:
            raise FrameError("MsgApp: an unknown kind of entry")
        if len(entry.data) > MAX_ENTRY_BYTES:
            raise FrameError(f"MsgApp: an entry of {len(entry.data)} bytes; the limit is {MAX_ENTRY_BYTES}")
        if entry.kind == EntryKind.CONF_CHANGE and (fault := change_fault(entry.data)):
            raise FrameError(f"MsgApp: entry {index} holds no configuration: {fault}")
        term = entry.term


# --- calls and streams -------------------------------------------------------------------------------------


def encode_call(call: Call) -> bytes:
    return encode_frame(Kind.CALL, _encoder.encode(call))


def decode_call(payload: bytes) -> Call:
    call = _decode(_call, payload, "a call")
    _require_counts("call", call.id)
    if not 0 <= call.timeout_ms <= MAX_CALL_MS:
        raise FrameError(f"call: a deadline of {call.timeout_ms} ms; the limit is {MAX_CALL_MS}")
    return call


def encode_reply(reply: Reply) -> bytes:
    return encode_frame(Kind.REPLY, _encoder.encode(reply))


def decode_reply(payload: bytes) -> Reply:
    reply = _decode(_reply, payload, "a reply")
    _require_counts("reply", reply.id)
    return reply


def encode_end(failure: Failure | None) -> bytes:
    """The last frame of a stream. `failure` is None when it ended well."""
    return encode_frame(Kind.END, _encoder.encode(failure))


def decode_end(payload: bytes) -> Failure | None:
    return _decode(_failure, payload, "the end of a stream")


def failure_of(error: OrionError) -> Failure:
    return Failure(error.code, error.detail, error.errors)
