"""A request between nodes is declared once, in the room that answers it, as a class:

    class AskTask(CallRequest[tuple[TaskView, int]], frozen=True, tag=3):
        task: str
        read: Read

Its base says how it is answered, the argument with what, `at` where, `fault` how much of it is too much. The room
registers its handler (registry.py); whoever asks does so by routing/forward.py, or by ask.py at one address.

Bodies are msgpack with strict types. An error crosses as an OrionError by itself.
"""

import enum
import functools
from typing import Any, ClassVar, Generic, TypeVar, cast, get_args

import msgspec

from orion.model.errors import Unavailable
from orion.node.rpc.reads import Listing, Read, read_fault

R = TypeVar("R")
S = TypeVar("S")

SIGN_OF_LIFE_S = 1.0  # whoever has nothing new to send says so this often
SILENCE_S = 3.0  # so this long a silence means that it is gone


class Place(enum.Enum):
    """Where a request is answered."""

    LOG = "log"  # at a node that follows the cluster's log: the one that asks, if it does, else a voter
    LEADER = "leader"  # a node that does not lead passes it on, once: such requests have a field `forwarded`
    NODE = "node"  # at the node that it is about


class SignOfLife(enum.Enum):
    """Yielded by a stream's handler in place of an item: there is nothing new."""

    ALIVE = "alive"


ALIVE = SignOfLife.ALIVE


class Request(msgspec.Struct, Generic[R], frozen=True, array_like=True, tag=True):
    """Answered with an R, or with a stream of them."""

    at: ClassVar[Place] = Place.LOG

    def fault(self) -> str:
        """Why it asks for more than an honest node does; "" when it does not."""
        return ""


class CallRequest(Request[R], Generic[R], frozen=True, array_like=True, tag=True):
    """Answered with one R that fits into a frame."""


class ListRequest(Request[Listing], frozen=True, array_like=True, tag=True):
    """Answered with a list, which has no limit (lists.py). It has a `read`."""


class StreamRequest(Request[R], Generic[R], frozen=True, array_like=True, tag=True):
    """Answered with Rs one after the other: bytes as they are, all else as msgpack.

    `silence_s`: who sends nothing for so long is gone; None where silence says nothing. `resumable`: each item
    stands by itself, so that any node may go on where another one ends.
    """

    silence_s: ClassVar[float | None] = None
    resumable: ClassVar[bool] = False


class DuplexRequest(Request[R], Generic[R, S], frozen=True, array_like=True, tag=True):
    """Answered with a stream that carries both ways: Rs to whoever asked, Ss from there."""


class NotUnderstood(Unavailable):
    """Another node's reply can't be read here: the two are of different versions, or it is damaged."""


_encoder = msgspec.msgpack.Encoder()


def encode_request(request: Request[Any]) -> bytes:
    return _encoder.encode(request)


def encode_reply(reply: object) -> bytes:
    return _encoder.encode(reply)


def decode_answer(data: bytes, request: Request[R], source: str) -> R:
    """Returns what `source` has answered to `request`, or one item of it. Raises NotUnderstood."""
    kind = answer_type(type(request))
    return cast("R", data if kind is bytes else _decoded(data, decoder_of(kind), source))


def decode_reply(data: bytes, kind: type[R], source: str) -> R:
    """Raises NotUnderstood."""
    return cast("R", _decoded(data, decoder_of(cast("Any", kind)), source))


def answer_type(kind: type[Request[Any]]) -> Any:
    """Returns the R that it was declared with."""
    return _declared(kind)[0]


def sent_type(kind: type[DuplexRequest[Any, Any]]) -> Any:
    """Returns the S that it was declared with."""
    return _declared(kind)[1]


@functools.cache
def _declared(kind: type[Request[Any]]) -> tuple[Any, ...]:
    for base in vars(kind).get("__orig_bases__", kind.__bases__):
        if arguments := get_args(base):
            return arguments
        if base is not Request and issubclass(base, Request):
            return _declared(base)
    raise TypeError(f"{kind.__name__} does not say with what it is answered")


@functools.cache
def decoder_of(kind: Any) -> "msgspec.msgpack.Decoder[Any]":
    return msgspec.msgpack.Decoder(kind)


def _decoded(data: bytes, decoder: "msgspec.msgpack.Decoder[Any]", source: str) -> Any:
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NotUnderstood(
            f"{source} answered with something this version does not understand ({error}): do all nodes run one"
            " version?"
        ) from None


# --- what all requests have in common ----------------------------------------------------------------------


def read_of(request: Request[Any]) -> Read | None:
    """How fresh its answer must be, where it says so."""
    read = getattr(request, "read", None)
    return read if isinstance(read, Read) else None


def patience_s(request: Request[Any]) -> float:
    """How long whoever asks waits for the answer, or for its first item."""
    read = read_of(request) or Read()
    return read.timeout_s + read.wait_s


def request_fault(request: Request[Any]) -> str:
    """Why the request is not answered; "" when it is."""
    read = read_of(request)
    return (read_fault(read) if read is not None else "") or request.fault()
