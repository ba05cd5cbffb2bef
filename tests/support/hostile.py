"""A program that speaks the peer protocol with a right greeting, and says what no node would."""

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

from orion.model.ids import NodeId, RaftId
from orion.raft.messages import AnyMessage
from orion.wire.envelopes import LANE_RAFT, Hello, encode_hello, encode_messages
from orion.wire.frames import Frame, FrameReader, Kind, encode_frame
from support.nodes import NodeProcess

TIMEOUT_S = 10.0
RECEIVED_BYTES = 256 * 1024


class HostilePeer:
    """One connection, greeted. `raft` and `name` are who it says it is."""

    def __init__(self, sock: socket.socket, told: Hello) -> None:
        self._sock = sock
        self._reader = FrameReader()
        self._frames: list[Frame] = []
        self.told = told  # the other end's own hello

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


@contextlib.contextmanager
def hostile(
    node: NodeProcess, cluster: int, *, lane: str = LANE_RAFT, raft: int = 0x1234, name: str = "stranger"
) -> Iterator[HostilePeer]:
    with socket.create_connection(("127.0.0.1", node.raft_port), TIMEOUT_S) as sock:
        wall_ms = time.time_ns() // 1_000_000
        sock.sendall(encode_hello(Hello(lane, cluster, NodeId(name), RaftId(raft), wall_ms)))
        peer = HostilePeer(sock, Hello(lane, cluster, NodeId("?"), RaftId(0), 0))
        frame = peer.frame()
        assert frame is not None
        assert frame.kind == Kind.HELLO
        yield peer


def say(node: NodeProcess, cluster: int, *messages: AnyMessage, **who: Any) -> None:
    """Raft messages, each on a connection of its own. Returns once the node has read them all: after each it is
    sent what is no Raft message, upon which it hangs up.
    """
    for message in messages:
        with hostile(node, cluster, **who) as peer:
            for frame in encode_messages([message]):
                peer.send(frame)
            peer.send(encode_frame(Kind.CALL, b""))
            assert peer.frame() is None
