"""A program that speaks the peer protocol with a right greeting, and says what no node would. It can greet as a
living node: all that one says in its own greeting, it says to whoever asks.
"""

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

import msgspec

from orion.model.ids import NodeId, RaftId
from orion.node.rpc.request import Request, encode_request
from orion.raft.messages import AnyMessage
from orion.wire.envelopes import (
    LANE_CALL,
    LANE_RAFT,
    LANE_STREAM,
    LANE_WHO,
    Call,
    Failure,
    Hello,
    Reply,
    decode_end,
    decode_hello,
    decode_reply,
    encode_call,
    encode_hello,
    encode_messages,
)
from orion.wire.frames import Frame, FrameReader, Kind, encode_frame
from support.nodes import NodeProcess

STRANGER = RaftId(0x1234)
TIMEOUT_S = 10.0
RECEIVED_BYTES = 256 * 1024


class HostilePeer:
    """One connection, greeted."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._reader = FrameReader()
        self._frames: list[Frame] = []

    def send(self, data: bytes) -> None:
        """A connection that was closed already is no news."""
        with contextlib.suppress(ConnectionError):
            self._sock.sendall(data)

    def frame(self) -> Frame | None:
        """The next frame that comes; None when the other end has hung up."""
        while not self._frames:
            try:
                data = self._sock.recv(RECEIVED_BYTES)
            except ConnectionError:
                return None
            if not data:
                return None
            self._frames += self._reader.feed(data)
        return self._frames.pop(0)


def stranger(cluster: int) -> Hello:
    return Hello(LANE_RAFT, cluster, NodeId("stranger"), STRANGER, time.time_ns() // 1_000_000)


def greeting_of(node: NodeProcess) -> Hello:
    """Its own, which `hostile` then says in its place."""
    with _greeted(node, Hello(LANE_WHO, 0, NodeId("nobody"), RaftId(1), 0)) as (_, hello):
        return hello


@contextlib.contextmanager
def hostile(node: NodeProcess, who: Hello, lane: str = LANE_RAFT) -> Iterator[HostilePeer]:
    with _greeted(node, msgspec.structs.replace(who, lane=lane)) as (peer, _):
        yield peer


@contextlib.contextmanager
def _greeted(node: NodeProcess, who: Hello) -> Iterator[tuple[HostilePeer, Hello]]:
    with socket.create_connection(("127.0.0.1", node.raft_port), TIMEOUT_S) as sock:
        sock.sendall(encode_hello(who))
        peer = HostilePeer(sock)
        frame = peer.frame()
        assert frame is not None
        yield peer, decode_hello(frame)


def ask(node: NodeProcess, who: Hello, request: Request[Any]) -> Reply:
    """A call, and what comes back."""
    with hostile(node, who, LANE_CALL) as peer:
        peer.send(encode_call(Call(1, int(TIMEOUT_S * 1000), encode_request(request))))
        frame = peer.frame()
        assert frame is not None
        assert frame.kind == Kind.REPLY
        return decode_reply(frame.payload)


def stream(node: NodeProcess, who: Hello, request: Request[Any], kind: Kind = Kind.REQUEST) -> Failure | None:
    """Opens a stream and takes all that comes; how it ended."""
    with hostile(node, who, LANE_STREAM) as peer:
        peer.send(encode_frame(kind, encode_request(request)))
        while (frame := peer.frame()) is not None and frame.kind == Kind.ITEM:
            pass
        assert frame is not None
        return decode_end(frame.payload)


def say(node: NodeProcess, who: Hello, *messages: AnyMessage) -> None:
    """Raft messages, each on a connection of its own. Returns once the node has read them all: after each it is
    sent what is no Raft message, upon which it hangs up.
    """
    for message in messages:
        with hostile(node, who) as peer:
            for frame in encode_messages([message]):
                peer.send(frame)
            peer.send(encode_frame(Kind.CALL, b""))
            assert peer.frame() is None
