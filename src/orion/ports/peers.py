"""The Peers port: transport between nodes."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from enum import Enum
from typing import Protocol

import msgspec

from orion.model.ids import NodeId, RaftId
from orion.raft.messages import AnyMessage


class Principal(msgspec.Struct, frozen=True):
    """Who asks: the node that greeted, and the user for whom it does, "" for itself."""

    node: NodeId
    user: str = ""


# Answers one call, or yields the items of one stream, for who asks and the bytes of the request.
CallHandler = Callable[[Principal, bytes], Awaitable[bytes]]
StreamHandler = Callable[[Principal, bytes], AsyncGenerator[bytes, None]]
MessageHandler = Callable[[AnyMessage], None]


class Channel(Protocol):
    """One end of a stream that carries both ways. One runner may send while another receives."""

    async def send(self, item: bytes) -> None:
        """Returns when there is room for more. Raises Unavailable when the connection is broken, TooLarge."""

    async def finish(self) -> None:
        """Says that nothing more is sent from here; the other end may go on."""

    async def receive(self) -> bytes | None:
        """The next item; None once the other end has said its last. Raises Unavailable when the connection is
        broken, and, where it was asked for, the OrionError that the handler raised.
        """


# Answers one request for a stream that carries both ways. The stream ends with it, for both ends.
DuplexHandler = Callable[[Principal, bytes, Channel], Awaitable[None]]


class PortProbe(Enum):
    """The answer of a host to a new connection to a port."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # nobody listens: the process is gone from a living host
    SILENT = "silent"  # no answer to several tries: the host or the way to it is gone
    UNCLEAR = "unclear"  # the host was never reached out to: no such name, no network here


class Greeted(msgspec.Struct, frozen=True):
    """A peer by its own hello. `run` tells its process from others with the same data directory. `address` is the
    one that others dial, "" when unknown.
    """

    node: NodeId
    raft_id: RaftId
    cluster: int = 0
    recovery: int = 0
    run: int = 0
    address: str = ""


class Gate(Protocol):
    """Decides which peers are let in at the peer port."""

    def knows(self, greeted: Greeted) -> bool:
        """Returns True when the peer is let in at once."""

    async def rival(self, greeted: Greeted) -> str:
        """Returns the address at which another node with its data directory or its name answers; "" lets it in.
        Takes at most a few seconds.
        """


class Peers(Protocol):
    """Transport between nodes. Addresses are `host:port`.

    Raft messages are best effort, on one connection per address with a bounded queue, the oldest dropped first.
    Calls raise Unavailable when the peer can't be reached or answers too late, and re-raise the OrionError
    that the handler raised there. A stream ends when either side closes it: whoever asked by leaving it, whoever
    answers by ending; the one who answers is cancelled when the other is gone.

    If set, `on_lost` gets the address whenever a connection to it broke or was refused. `on_stranger` gets the
    node, cluster and recovery (model/recovery.py) of a peer whose connection was closed because it is of another
    cluster or recovery. `gate` decides about each peer that says hello, before any other frame of it is handled.
    `on_refused` gets the address of the node of which a peer takes this one for a copy. `run` is the one in this
    node's hello.
    """

    run: int
    on_lost: Callable[[str], None] | None
    on_stranger: Callable[[NodeId, int, int], None] | None
    on_refused: Callable[[str], None] | None
    gate: Gate | None

    async def start(
        self,
        on_message: MessageHandler,
        on_call: CallHandler,
        on_stream: StreamHandler,
        on_duplex: DuplexHandler,
    ) -> None: ...

    def send(self, address: str, to: RaftId, messages: Sequence[AnyMessage]) -> None: ...

    async def call(self, address: str, request: bytes, *, timeout_s: float) -> bytes: ...

    def stream(self, address: str, request: bytes) -> AsyncGenerator[bytes, None]: ...

    def duplex(self, address: str, request: bytes) -> AbstractAsyncContextManager[Channel]:
        """A stream that carries both ways, until the block is left. Raises Unavailable."""

    async def probe(self, address: str, *, tries: int) -> PortProbe:
        """Returns the host's answer to a new connection. The kernel answers, however busy the process is. Takes as
        long as the answer, at most a tenth of a second for each try.
        """

    async def who(self, address: str, *, timeout_s: float) -> Greeted:
        """Returns the node that answers at `address`, of whatever cluster and recovery. Only a process that runs
        answers: the kernel of a frozen one accepts connections and no more. Raises Unavailable. May be called
        before `start`.
        """

    def set_cluster(self, cluster: int, recovery: int = 0) -> None:
        """Closes connections to peers of another cluster or recovery, and from now on refuses new ones."""

    async def close(self) -> None: ...
