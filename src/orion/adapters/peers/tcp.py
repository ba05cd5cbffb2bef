"""Fulfils ports.Peers: one listening port, and the connections that this node opens, by lane."""

import asyncio
import errno
import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager

from orion.adapters.peers.calls import Caller, CallServer
from orion.adapters.peers.connection import HELLO_TIMEOUT_S, Connection
from orion.adapters.peers.dial import Dialler
from orion.adapters.peers.duplex import open_duplex
from orion.adapters.peers.handshake import Greeter, ThrottledLog
from orion.adapters.peers.introduce import introduction
from orion.adapters.peers.outbox import Outbox
from orion.adapters.peers.port_probe import probe
from orion.adapters.peers.runners import Runners
from orion.adapters.peers.streams import StreamServer, open_stream
from orion.adapters.peers.tls import Tls
from orion.model.errors import Refused
from orion.model.ids import NodeId, RaftId
from orion.model.node import hosts_meant
from orion.ports.clock import Clock
from orion.ports.peers import (
    CallHandler,
    Channel,
    DuplexHandler,
    Gate,
    Greeted,
    MessageHandler,
    PortProbe,
    StreamHandler,
)
from orion.process import fd_limits
from orion.raft.messages import AnyMessage
from orion.wire.envelopes import (
    LANE_CALL,
    LANE_STREAM,
    LANE_WHO,
    Hello,
    Refusal,
    decode_messages,
    encode_messages,
)
from orion.wire.frames import Frame, FrameError, Kind

MAX_CONNECTIONS = 8_192
FILES_FOR_EACH = 2
# With so many connections whose hello has not come, a new one ends the oldest: a peer says hello at once, and a
# silent connection holds a file too.
MAX_UNGREETED = 1_024
FILES_FOR_EACH_UNGREETED = 8
GOODBYE_S = 2.0


class TcpPeers:
    """The transport of one node. `start` comes before all else. `close` ends every runner and connection and waits
    for them.

    A connection that brings garbage, another version or another cluster ends, with one line in the log. `advertise`
    is the address that others dial, "" when nobody need know it.
    """

    def __init__(
        self,
        *,
        node: NodeId,
        raft: RaftId,
        host: str,
        port: int,
        clock: Clock,
        cluster: int = 0,
        advertise: str = "",
        tls: Tls | None = None,
    ) -> None:
        self._tls = tls
        self._host = host
        self._port = port
        self._log = ThrottledLog(clock.now_ms)
        self.run = secrets.randbits(63) or 1
        self._greeter = Greeter(node, raft, cluster, clock.wall_ms, self._log, run=self.run, address=advertise)
        self._dialler = Dialler(self._greeter, self._log, self._track, self._tell_lost, tls)
        self._runners = Runners()
        self._connections: set[Connection] = set()
        self._most_connections = fd_limits.connections(FILES_FOR_EACH, most=MAX_CONNECTIONS)
        self._ungreeted: dict[Connection, None] = {}  # the oldest first
        self._most_ungreeted = fd_limits.connections(FILES_FOR_EACH_UNGREETED, most=MAX_UNGREETED)
        self._outboxes: dict[str, Outbox] = {}
        self._callers: dict[str, Caller] = {}
        self._server: asyncio.Server | None = None
        self._on_message: MessageHandler
        self._on_call: CallHandler
        self._on_stream: StreamHandler
        self._on_duplex: DuplexHandler
        self.on_lost: Callable[[str], None] | None = None
        self.on_stranger: Callable[[NodeId, int, int], None] | None = None
        self._greeter.on_stranger = self._tell_stranger
        self.gate: Gate | None = None
        self.on_refused: Callable[[str], None] | None = None
        self._greeter.on_refused = self._tell_refused

    @property
    def port(self) -> int:
        """The port that it listens on; the system's choice when 0 was asked for."""
        return self._port

    # --- port ---------------------------------------------------------------------------------------------

    async def start(
        self,
        on_message: MessageHandler,
        on_call: CallHandler,
        on_stream: StreamHandler,
        on_duplex: DuplexHandler,
    ) -> None:
        """Listens. Raises Refused when the port can't be used."""
        self._on_message, self._on_call = on_message, on_call
        self._on_stream, self._on_duplex = on_stream, on_duplex
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                self._accept,
                [hosts_meant(self._host)[0].encode()],  # type: ignore[list-item]  # as bytes, as in api/http/server.py
                self._port,
                backlog=512,
                ssl=None if self._tls is None else self._tls.server,
                ssl_handshake_timeout=None if self._tls is None else HELLO_TIMEOUT_S,
            )
        except OSError as error:
            why = "is taken" if error.errno == errno.EADDRINUSE else f"can't be used ({error.strerror or error})"
            raise Refused(
                f"peer port {self._port} on {self._host} {why}: choose another with --raft-port"
            ) from None
        self._port = self._server.sockets[0].getsockname()[1]

    def send(self, address: str, to: RaftId, messages: Sequence[AnyMessage]) -> None:
        if not messages:
            return
        assert all(message.to == to for message in messages)
        outbox = self._outboxes.get(address)
        if outbox is None:
            outbox = self._outboxes[address] = Outbox(address, self._dialler)
            self._runners.spawn(self._run_outbox(outbox), f"raft messages to {address}")
        outbox.send(encode_messages(messages))

    async def call(self, address: str, request: bytes, *, timeout_s: float) -> bytes:
        caller = self._callers.get(address)
        if caller is None:
            caller = self._callers[address] = Caller(address, self._dialler, self._runners)
        try:
            return await caller.call(request, timeout_s)
        finally:
            if caller.idle and self._callers.get(address) is caller:
                del self._callers[address]

    def stream(self, address: str, request: bytes) -> AsyncGenerator[bytes, None]:
        return open_stream(self._dialler, address, request)

    def duplex(self, address: str, request: bytes) -> AbstractAsyncContextManager[Channel]:
        return open_duplex(self._dialler, address, request)

    async def probe(self, address: str, *, tries: int) -> PortProbe:
        return await probe(address, tries=tries)

    async def who(self, address: str, *, timeout_s: float) -> Greeted:
        return _greeted(await introduction(self._greeter, address, timeout_s=timeout_s, tls=self._tls))

    def set_cluster(self, cluster: int, recovery: int = 0) -> None:
        self._greeter.cluster, self._greeter.recovery = cluster, recovery
        for connection in [c for c in self._connections if c.opened and not self._greeter.belongs(c.hello)]:
            connection.close()

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._runners.close()
        for connection in list(self._connections):
            connection.abort()
        if self._connections:
            await asyncio.wait([connection.over for connection in self._connections])
        if self._server is not None:
            await self._server.wait_closed()

    # --- connections --------------------------------------------------------------------------------------

    def _accept(self) -> Connection:
        connection = Connection(self._greeter, self._log, self._opened)
        connection.on_made = lambda: self._made(connection)
        return connection

    def _made(self, connection: Connection) -> None:
        """Only now: one whose TLS handshake fails is never made, and nobody says when it is over."""
        self._track(connection)
        if self._runners.closed:
            connection.abort()
        self._ungreeted[connection] = None
        connection.over.add_done_callback(lambda _: self._ungreeted.pop(connection, None))
        if len(self._ungreeted) > self._most_ungreeted:
            oldest = next(iter(self._ungreeted))
            del self._ungreeted[oldest]
            oldest.abort()

    def _opened(self, connection: Connection) -> None:
        """Takes over an accepted connection whose hello has come."""
        self._ungreeted.pop(connection, None)
        if len(self._connections) - len(self._ungreeted) > self._most_connections:
            raise FrameError(f"there are {self._most_connections} connections already")
        if connection.lane == LANE_WHO:
            self._wait_for_goodbye(connection)
            return
        gate, greeted = self.gate, _greeted(connection.hello)
        if gate is None or gate.knows(greeted):
            self._serve(connection)
            return
        connection.hold()
        if self._runners.spawn(self._admit(connection, gate, greeted), f"greeting of {greeted.node}") is None:
            connection.abort()

    def _wait_for_goodbye(self, connection: Connection) -> None:
        """Leaves it to the peer that asked to hang up: to its end the connection is then not lost."""
        waiting = asyncio.get_running_loop().call_later(GOODBYE_S, connection.abort)
        connection.over.add_done_callback(lambda _: waiting.cancel())

    async def _admit(self, connection: Connection, gate: Gate, greeted: Greeted) -> None:
        rival = await gate.rival(greeted)
        if rival:
            self._log.warning(
                f"rival {greeted.node}",
                "%s greets from %s, but another node with its data directory or its name answers at %s:"
                " it is not let in",
                greeted.node,
                connection.remote,
                rival,
            )
            connection.turn_away(Refusal(rival))
        elif not connection.lost:
            self._serve(connection)
            connection.release()

    def _serve(self, connection: Connection) -> None:
        if connection.lane == LANE_CALL:
            CallServer(connection, self._on_call, self._runners)
        elif connection.lane == LANE_STREAM:
            StreamServer(connection, self._on_stream, self._on_duplex, self._runners)
        else:
            connection.on_frame = lambda frame: self._messages_came(connection, frame)

    def _track(self, connection: Connection) -> None:
        self._connections.add(connection)
        connection.over.add_done_callback(lambda _: self._connections.discard(connection))

    def _tell_lost(self, address: str) -> None:
        if self.on_lost is not None:
            self.on_lost(address)

    def _tell_stranger(self, node: NodeId, cluster: int, recovery: int) -> None:
        if self.on_stranger is not None:
            self.on_stranger(node, cluster, recovery)

    def _tell_refused(self, address: str) -> None:
        if self.on_refused is not None:
            self.on_refused(address)

    def _messages_came(self, connection: Connection, frame: Frame) -> None:
        if frame.kind != Kind.RAFT:
            raise FrameError("not Raft messages")
        for message in decode_messages(frame.payload):
            # An address may have a new owner: each end sends and takes messages for itself alone.
            if message.to == self._greeter.raft and message.sender == connection.hello.raft_id:
                self._on_message(message)

    async def _run_outbox(self, outbox: Outbox) -> None:
        try:
            await outbox.run()
        finally:
            del self._outboxes[outbox.address]


def _greeted(hello: Hello) -> Greeted:
    return Greeted(hello.node, hello.raft_id, hello.cluster, hello.recovery, hello.run, hello.address)
