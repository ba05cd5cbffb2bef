"""The Peers port over the simulated network."""

import asyncio
import contextlib
import traceback
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import NoReturn

from orion.model.errors import OrionError, TooLarge, Unavailable, by_code
from orion.model.ids import NodeId, RaftId
from orion.model.recovery import belong_together
from orion.ports.peers import (
    CallHandler,
    DuplexHandler,
    Gate,
    Greeted,
    MessageHandler,
    PortProbe,
    Principal,
    StreamHandler,
)
from orion.raft.messages import AnyMessage
from orion.wire.envelopes import Reply, encode_reply
from orion.wire.frames import FrameError, Kind, encode_frame
from sim.loop import Process
from sim.network import Network, host_of
from sim.world import NS_PER_MS

PROBE_EVERY_MS = 100
CONNECT_TIMEOUT_MS = 1_000  # nothing answers: how long one waits to know
BROKEN_AFTER_MS = 3_000  # a connection over a cut path is given up after so long
RETRANSMIT_MS = 200
RETRY_MS = 50  # a refused message connection is tried again so often
STREAM_WINDOW = 16  # items under way before the sender waits


class Lane:
    """One direction of a TCP connection: what is put in arrives whole and in order, late where packets are lost or
    the path is cut for a while, or the connection breaks.
    """

    def __init__(self, network: Network, source: "SimPeers", target: "SimPeers") -> None:
        self._network = network
        self._source = source
        self._target = target
        self._waiting: deque[tuple[float, Connection, Callable[[], None]]] = deque()
        self._last = 0.0
        self._tries = 0

    def carry(self, connection: "Connection", deliver: Callable[[], None]) -> None:
        world, network = self._network.world, self._network
        delay_ms = network.latency_ms(self._source.host, self._target.host) + network.retransmissions_ms()
        self._last = max(self._last, world.loop.time() + delay_ms / 1000)
        self._waiting.append((self._last, connection, deliver))
        if len(self._waiting) == 1:
            self._wait_for_first()

    def _wait_for_first(self) -> None:
        world = self._network.world
        world.after(max(0.0, (self._waiting[0][0] - world.loop.time()) * 1000), self._arrive)

    def _arrive(self) -> None:
        _, connection, deliver = self._waiting[0]
        if connection.closed:
            self._tries = 0
        elif self._network.both_ways(self._source.host, self._target.host):
            self._tries = 0
            self._target.process.post(lambda: None if connection.closed else deliver())
        elif self._tries * RETRANSMIT_MS < BROKEN_AFTER_MS:
            self._tries += 1
            self._network.world.after(RETRANSMIT_MS, self._arrive)
            return
        else:
            connection.close("the connection was lost")
        self._waiting.popleft()
        if self._waiting:
            self._wait_for_first()


class Connection:
    """One call or stream between two processes. `break_with` is what the asker hears when it breaks."""

    def __init__(
        self,
        asker: "SimPeers",
        server: "SimPeers",
        break_with: Callable[[str], None],
        lanes: tuple[Lane, Lane] | None = None,
    ) -> None:
        self.asker = asker
        self.server = server
        self.break_with = break_with
        self.runner: asyncio.Task | None = None  # the server's
        self.closed = False
        self._forth, self._back = lanes or (
            Lane(asker.network, asker, server),
            Lane(asker.network, server, asker),
        )
        asker.connections[self] = None
        server.connections[self] = None

    def carry(self, *, forth: bool, deliver: Callable[[], None]) -> None:
        """Bring something to the server (`forth`) or to the asker."""
        (self._forth if forth else self._back).carry(self, deliver)

    def finish(self) -> None:
        """All has been said."""
        self.closed = True
        self.asker.connections.pop(self, None)
        self.server.connections.pop(self, None)

    def close(self, reason: str) -> None:
        """Both ends learn of it: at once, or, across a cut path, when they have waited long enough."""
        if self.closed:
            return
        self.finish()
        if self.asker.process.alive:
            self.asker.process.post(self.break_with, reason)
        if self.runner is not None and self.server.process.alive:
            self.server.process.post(self.runner.cancel)


class SimChannel:
    """One end of a stream that carries both ways: the asker's (`forth`), or the other."""

    def __init__(self, connection: Connection, *, forth: bool, name: str) -> None:
        self.connection = connection
        self.other: SimChannel
        self._forth = forth
        self._name = name
        self._items: deque[bytes] = deque()
        self._room = STREAM_WINDOW  # items that the other end takes before it has to read
        self._moved = asyncio.Event()
        self._ended: list[OrionError | None] = []  # the other end has said its last
        self._broken = ""
        self.finished = False

    async def send(self, item: bytes) -> None:
        assert not self.finished
        _must_fit(lambda: encode_frame(Kind.ITEM, item))
        while not self._room:
            await self._wait()
        self._require_connection()
        self._room -= 1
        self.carry(lambda: self.other._came(item))

    async def finish(self) -> None:
        self._require_connection()
        self.end(None)

    def end(self, error: OrionError | None) -> None:
        if error is not None or not self.finished:
            self.finished = True
            self.carry(lambda: self.other._end(error))

    async def receive(self) -> bytes | None:
        while not self._items:
            if self._ended:
                if (error := self._ended[0]) is not None:
                    self._ended[0] = None
                    raise error
                return None
            await self._wait()
        self.carry(self.other._take)
        return self._items.popleft()

    def carry(self, deliver: Callable[[], None]) -> None:
        self.connection.carry(forth=self._forth, deliver=deliver)

    async def _wait(self) -> None:
        self._require_connection()
        self._moved.clear()
        await self._moved.wait()

    def _require_connection(self) -> None:
        if self._broken:
            raise Unavailable(f"{self._name}: {self._broken}")

    def _came(self, item: bytes) -> None:
        self._items.append(item)
        self._moved.set()

    def _take(self) -> None:
        self._room += 1
        self._moved.set()

    def _end(self, error: OrionError | None) -> None:
        self._ended.append(error)
        self._moved.set()

    def broke(self, reason: str) -> None:
        self._broken = reason
        self._moved.set()


class SimPeers:
    """One process's transport. `name` is its node id."""

    def __init__(self, network: Network, process: Process, name: str, address: str, raft: int = 0) -> None:
        self.network = network
        self.process = process
        self.name = name
        self.address = address
        self.raft = raft
        self.host = host_of(address)
        self.cluster = 0
        self.connections: dict[Connection, None] = {}
        self.run = next(network.runs)
        self.recovery = 0
        self.gate: Gate | None = None  # set and never asked: no directory is copied here
        self.on_refused: Callable[[str], None] | None = None
        self.on_lost: Callable[[str], None] | None = None
        self.on_stranger: Callable[[NodeId, int, int], None] | None = None
        self._heard_by: dict[SimPeers, None] = {}  # whose message connections end here
        self._told_lost_ns: dict[str, int] = {}
        self._call_lanes: dict[SimPeers, tuple[Lane, Lane]] = {}  # all calls to one process share a connection
        self._started = False
        self._on_message: MessageHandler = lambda _: None
        self._on_call: CallHandler
        self._on_stream: StreamHandler
        self._on_duplex: DuplexHandler

    async def start(
        self,
        on_message: MessageHandler,
        on_call: CallHandler,
        on_stream: StreamHandler,
        on_duplex: DuplexHandler,
    ) -> None:
        self._on_message, self._on_call = on_message, on_call
        self._on_stream, self._on_duplex = on_stream, on_duplex
        self._started = True
        self.network.listen(self)

    def set_cluster(self, cluster: int, recovery: int = 0) -> None:
        self.cluster, self.recovery = cluster, recovery

    async def close(self) -> None:
        self.vanish("it closed the connection")

    def vanish(self, reason: str = "the connection was reset") -> None:
        """The listener and all connections go, as when the process ends. Peers hear of it over open paths."""
        self.network.unlisten(self)
        for connection in list(self.connections):
            other = connection.server if connection.asker is self else connection.asker
            delay_ms = self.network.latency_ms(self.host, other.host)
            if not self.network.is_open(self.host, other.host):
                delay_ms += BROKEN_AFTER_MS
            self.network.world.after(delay_ms, connection.close, reason)
        for source in self._heard_by:
            if self.network.is_open(self.host, source.host):
                delay_ms = self.network.latency_ms(self.host, source.host)
                self.network.world.after(delay_ms, source.lost, self.address)
        self._heard_by.clear()

    def lost(self, address: str) -> None:
        """The message connection to an address broke or was refused; told at most once in RETRY_MS."""
        now_ns = self.network.world.loop.now_ns
        if self.on_lost is None or now_ns < self._told_lost_ns.get(address, 0):
            return
        self._told_lost_ns[address] = now_ns + RETRY_MS * NS_PER_MS
        self.process.post(self.on_lost, address)

    # --- messages -----------------------------------------------------------------------------------------

    def send(self, address: str, to: RaftId, messages: Sequence[AnyMessage]) -> None:
        target = self.network.listener(address)
        if target is not None:
            target._heard_by[self] = None
        elif self.network.both_ways(self.host, host_of(address)):
            self.network.world.after(self.network.latency_ms(self.host, host_of(address)), self.lost, address)
        for message in messages:
            self.network.transmit(self, address, message)

    def receive(self, source: "SimPeers", message: AnyMessage) -> None:
        """A message has arrived, in this process's own context."""
        if self._started and self._knows(source) and message.to == self.raft:
            self._on_message(message)

    def _knows(self, other: "SimPeers") -> bool:
        """Whether the two speak with each other. If not, each is told of the other, as by its hello."""
        if belong_together(self.cluster, self.recovery, other.cluster, other.recovery):
            return True
        for one, met in ((self, other), (other, self)):
            if one.on_stranger is not None and one.process.alive:
                one.process.post(one.on_stranger, NodeId(met.name), met.cluster, met.recovery)
        return False

    # --- calls --------------------------------------------------------------------------------------------

    async def call(self, address: str, request: bytes, *, timeout_s: float) -> bytes:
        answer: asyncio.Future[bytes] = self.network.world.loop.create_future()

        def broken(reason: str) -> None:
            if not answer.done():
                answer.set_exception(Unavailable(f"{address} did not answer: {reason}"))

        try:
            async with asyncio.timeout(timeout_s):
                server = await self._connect(address)
                connection = Connection(self, server, broken, self._lanes_to(server))
                # When the asker gives up, what is on its way arrives all the same, perhaps long after.
                connection.carry(
                    forth=True, deliver=lambda: server._serve_call(connection, request, answer, timeout_s)
                )
                return await answer
        except TimeoutError:
            raise Unavailable(f"{address} did not answer within {timeout_s:g} s") from None

    def _lanes_to(self, server: "SimPeers") -> tuple[Lane, Lane]:
        if server not in self._call_lanes:
            self._call_lanes[server] = Lane(self.network, self, server), Lane(self.network, server, self)
        return self._call_lanes[server]

    async def _connect(self, address: str, *, strangers: bool = False) -> "SimPeers":
        host, world = host_of(address), self.network.world
        if not self.network.both_ways(self.host, host):
            await asyncio.sleep(CONNECT_TIMEOUT_MS / 1000)
            raise Unavailable(f"{address} can't be reached")
        await asyncio.sleep(2 * self.network.latency_ms(self.host, host) / 1000)
        server = self.network.listener(address)
        if server is None:
            raise Unavailable(f"{address} refuses the connection")
        if not strangers and not self._knows(server):
            world.count("peer of another cluster refused")
            raise Unavailable(f"{address} belongs to another cluster")
        return server

    def _serve_call(self, connection: Connection, request: bytes, answer: asyncio.Future, timeout_s: float) -> None:
        async def serve() -> None:
            try:
                async with asyncio.timeout(timeout_s):
                    reply = await self._on_call(Principal(NodeId(connection.asker.name)), request)
                _must_fit(lambda: encode_reply(Reply(1, reply)))
            except TimeoutError:
                connection.finish()
                return  # the asker has given up too
            except OrionError as error:
                self._answer_error(connection, answer, error)
                return
            except Exception as error:  # noqa: BLE001 -- whatever it is, it is the finding
                self._unexpected(error)

            def done() -> None:
                connection.finish()
                if not answer.done():
                    answer.set_result(reply)

            connection.carry(forth=False, deliver=done)

        connection.runner = self.process.spawn(serve(), name="serve-call")

    def _unexpected(self, error: Exception) -> NoReturn:
        text = "".join(traceback.format_exception(error))
        self.network.world.fail("handlers raise OrionErrors", f"{self.name}:\n{text}")

    def _answer_error(self, connection: Connection, answer: asyncio.Future, error: OrionError) -> None:
        again = by_code(error.code, error.detail, error.errors)  # as it is rebuilt at the other side

        def failed() -> None:
            connection.finish()
            if not answer.done():
                answer.set_exception(again)

        connection.carry(forth=False, deliver=failed)

    # --- streams ------------------------------------------------------------------------------------------

    async def stream(self, address: str, request: bytes) -> AsyncGenerator[bytes, None]:
        server = await self._connect(address)
        items: deque[bytes] = deque()
        ended: list[OrionError | None] = []
        moved = asyncio.Event()
        room = asyncio.Semaphore(STREAM_WINDOW)

        def end(error: OrionError | None) -> None:
            ended.append(error)
            moved.set()

        connection = Connection(self, server, lambda reason: end(Unavailable(f"{address}: {reason}")))

        def item(data: bytes) -> None:
            items.append(data)
            moved.set()

        connection.carry(forth=True, deliver=lambda: server._serve_stream(connection, request, item, end, room))
        try:
            while True:
                while items:
                    data = items.popleft()
                    connection.carry(forth=True, deliver=room.release)
                    yield data
                if ended:
                    break
                moved.clear()
                await moved.wait()
            if ended[0] is not None:
                raise ended[0]
        finally:
            if not connection.closed:
                self._hang_up(connection)

    def _hang_up(self, connection: Connection) -> None:
        """The asker closes the stream: its server's generator ends when it hears of it."""
        server = connection.server

        def closed() -> None:
            connection.closed = True
            server.connections.pop(connection, None)
            if connection.runner is not None:
                connection.runner.cancel()

        connection.asker.connections.pop(connection, None)
        connection.carry(forth=True, deliver=closed)

    def _serve_stream(
        self,
        connection: Connection,
        request: bytes,
        item: Callable[[bytes], None],
        end: Callable[[OrionError | None], None],
        room: asyncio.Semaphore,
    ) -> None:
        async def serve() -> None:
            source = self._on_stream(Principal(NodeId(connection.asker.name)), request)
            error: OrionError | None = None
            try:
                async for data in source:
                    _must_fit(lambda data=data: encode_frame(Kind.ITEM, data))
                    await room.acquire()
                    connection.carry(forth=False, deliver=lambda data=data: item(data))
            except OrionError as raised:
                error = by_code(raised.code, raised.detail, raised.errors)
            except Exception as raised:  # noqa: BLE001 -- whatever it is, it is the finding
                self._unexpected(raised)
            finally:
                await source.aclose()
            connection.carry(forth=False, deliver=lambda: end(error))

        connection.runner = self.process.spawn(serve(), name="serve-stream")

    @contextlib.asynccontextmanager
    async def duplex(self, address: str, request: bytes) -> AsyncGenerator[SimChannel, None]:
        server = await self._connect(address)
        connection = Connection(self, server, lambda reason: here.broke(reason))  # noqa: PLW0108 -- comes next
        here = SimChannel(connection, forth=True, name=address)
        there = SimChannel(connection, forth=False, name=self.name)
        here.other, there.other = there, here
        here.carry(lambda: server._serve_duplex(there, request))
        try:
            yield here
        finally:
            if not connection.closed:
                self._hang_up(connection)

    def _serve_duplex(self, channel: SimChannel, request: bytes) -> None:
        connection = channel.connection

        async def serve() -> None:
            error: OrionError | None = None
            try:
                await self._on_duplex(Principal(NodeId(connection.asker.name)), request, channel)
            except OrionError as raised:
                error = by_code(raised.code, raised.detail, raised.errors)
            except Exception as raised:  # noqa: BLE001 -- whatever it is, it is the finding
                self._unexpected(raised)
            channel.end(error)

        connection.runner = self.process.spawn(serve(), name="serve-duplex")

    # --- proofs of death -----------------------------------------------------------------------------------

    async def probe(self, address: str, *, tries: int) -> PortProbe:
        host, network = host_of(address), self.network
        for left in range(tries, 0, -1):
            way_ms = network.latency_ms(self.host, host) + network.latency_ms(host, self.host)
            if network.arrives(self.host, host) and way_ms <= left * PROBE_EVERY_MS:
                await asyncio.sleep(way_ms / 1000)
                return PortProbe.REFUSED if network.listener(address) is None else PortProbe.ACCEPTED
            await asyncio.sleep(PROBE_EVERY_MS / 1000)
        return PortProbe.SILENT

    async def who(self, address: str, *, timeout_s: float) -> Greeted:
        told: asyncio.Future[Greeted] = self.network.world.loop.create_future()

        def broken(reason: str) -> None:
            if not told.done():
                told.set_exception(Unavailable(f"{address} did not answer: {reason}"))

        connection: Connection | None = None
        try:
            async with asyncio.timeout(timeout_s):
                server = await self._connect(address, strangers=True)
                made = connection = Connection(self, server, broken)
                made.carry(
                    forth=True,
                    deliver=lambda: made.carry(forth=False, deliver=lambda: _tell(told, server.introduced())),
                )
                return await told
        except TimeoutError:
            raise Unavailable(f"{address} does not answer") from None
        finally:
            if connection is not None:
                connection.finish()

    def introduced(self) -> Greeted:
        return Greeted(NodeId(self.name), RaftId(self.raft), self.cluster, self.recovery, self.run, self.address)


def _tell(told: asyncio.Future, what: Greeted) -> None:
    if not told.done():
        told.set_result(what)


def _must_fit(encode: Callable[[], bytes]) -> None:
    """As adapters/peers has it: a frame has a limit."""
    try:
        encode()
    except FrameError as error:
        raise TooLarge(f"it is too large: {error}") from None
