"""Node-to-node transport."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
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


class PortProbe(Enum):
    """What a host says of a new connection to its peer port."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # nobody listens: the process is gone from a living host
    SILENT = "silent"  # several tries, and no answer to any: the host or the way to it is gone
    UNCLEAR = "unclear"  # it was never asked: no such name, no network here


class Greeted(msgspec.Struct, frozen=True):
    """Who greeted, by its own word. `run` tells its process from others with the same data directory; `address` is
    where it is dialled, "" when unknown.
    """

    node: NodeId
    raft_id: RaftId
    cluster: int = 0
    recovery: int = 0
    run: int = 0
    address: str = ""


class Gate(Protocol):
    """Decides who is let in at the peer port."""

    def knows(self, greeted: Greeted) -> bool:
        """True: it is let in at once."""

    async def rival(self, greeted: Greeted) -> str:
        """The address at which another node with its data directory or its name answers; "" lets it in. Takes at
        most a few seconds.
        """


class Peers(Protocol):
    """Node-to-node transport. Addresses are `host:port`.

    Raft messages are best effort on one connection per address with a bounded queue, oldest dropped first.
    Calls raise Unavailable when the peer can't be reached or answers too late, and re-raise the OrionError
    that the handler raised there. A stream ends when either side closes it.

    `on_lost`, where set, is told the address whenever a connection to it broke or was refused: time to look
    whether anybody is there. `on_stranger`, where set, is told the node, cluster and recovery of a peer that was
    met and is not spoken with, because its cluster or its recovery (model/recovery.py) is another.

    `gate`, where set, is asked about everybody who greets, before anything else of it is heard. `on_refused`, where
    set, is told the address of the node that another one has taken this one for a copy of. `run` is what this one
    greets with.
    """

    run: int
    on_lost: Callable[[str], None] | None
    on_stranger: Callable[[NodeId, int, int], None] | None
    on_refused: Callable[[str], None] | None
    gate: Gate | None

    async def start(self, on_message: MessageHandler, on_call: CallHandler, on_stream: StreamHandler) -> None: ...

    def send(self, address: str, to: RaftId, messages: Sequence[AnyMessage]) -> None: ...

    async def call(self, address: str, request: bytes, *, timeout_s: float) -> bytes: ...

    def stream(self, address: str, request: bytes) -> AsyncGenerator[bytes, None]: ...

    async def probe(self, address: str, *, tries: int) -> PortProbe:
        """What the host says of a new connection. The kernel answers, however busy the process is. Takes as long as
        the answer, at most a tenth of a second for each try.
        """

    async def who(self, address: str, *, timeout_s: float) -> Greeted:
        """Who answers there, of whatever cluster and recovery. Only a process that runs does: one that is frozen
        accepts connections and no more. Raises Unavailable. May be called before `start`.
        """

    def set_cluster(self, cluster: int, recovery: int = 0) -> None:
        """From now on only peers of this cluster, after this recovery, are spoken with."""

    async def close(self) -> None: ...
