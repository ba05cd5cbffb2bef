"""A connection that becomes a WebSocket once its request is accepted."""

import asyncio
from collections import deque
from typing import Protocol

from orion.api.http.asgi import Scope, header
from orion.api.http.exchange import status_line
from orion.model.api.websocket import (
    BrokenWebSocket,
    Message,
    Messages,
    Opcode,
    Reason,
    accept_key,
    close_frame,
    frame,
    is_key,
)
from orion.model.errors import Refused, Unavailable

VERSION = "13"
MOST_HELD_BYTES = 128 * 1024  # of messages that nobody has taken yet; then nothing more is read
LINGER_S = 5.0  # for the client to take the last message and close

_KEY = "orion.upgrade"


class UpgradeRequired(Refused):
    """The request is not one for a WebSocket."""

    status = 426
    title = "A WebSocket is wanted"


class Upgradable(Protocol):
    """The part of its connection that an upgrade needs."""

    transport: asyncio.Transport

    def hand_over(self) -> bytes:
        """Returns what has come behind the request."""

    def connection_lost(self, exc: Exception | None) -> None: ...

    def broken_off(self) -> None: ...


class Upgrade:
    """Made for each request; few of them want it."""

    def __init__(self, connection: Upgradable) -> None:
        self._connection = connection

    def offer(self, scope: Scope) -> None:
        """Makes it known to who answers the request."""
        scope.setdefault("extensions", {})[_KEY] = self

    def accept(self, key: str) -> "WebSocket":
        """Answers the request. From then on the connection is the WebSocket's."""
        return WebSocket(self._connection, key)


def key_of(scope: Scope) -> str:
    """Raises UpgradeRequired for a request that does not ask for a WebSocket, or not as it must."""
    words = (header(scope, "connection") or "").lower()
    if (header(scope, "upgrade") or "").lower() != "websocket" or "upgrade" not in words:
        raise UpgradeRequired("this is a stream both ways: ask for it as a WebSocket (Upgrade: websocket)")
    if (version := header(scope, "sec-websocket-version")) != VERSION:
        raise UpgradeRequired(f"WebSockets are of version {VERSION} here, not {(version or 'none')[:20]!r}")
    key = (header(scope, "sec-websocket-key") or "").strip()
    if not is_key(key):
        raise UpgradeRequired("the header Sec-WebSocket-Key must be 16 bytes in base64")
    return key


def upgrade_of(scope: Scope) -> Upgrade:
    found: Upgrade | None = scope.get("extensions", {}).get(_KEY)
    if found is None or scope["http_version"] != "1.1":
        raise UpgradeRequired("there are no WebSockets on this connection")
    return found


class WebSocket(asyncio.Protocol):
    """The server's end. A protocol of asyncio, in the place of the connection's. One runner may send while another
    receives.
    """

    def __init__(self, connection: Upgradable, key: str) -> None:
        self._connection = connection
        self._transport = connection.transport
        self._messages = Messages(masked=True)
        self._came: deque[Message] = deque()
        self._held_bytes = 0
        self._reads = True
        self._over = False  # nothing more is taken from the client
        self._broken: BrokenWebSocket | None = None
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._lost = asyncio.Event()
        before = connection.hand_over()
        self._transport.write(
            status_line(101)
            + b"upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: %s\r\n\r\n"
            % accept_key(key).encode()
        )
        self._transport.set_protocol(self)
        self._transport.resume_reading()
        if before:
            self.data_received(before)

    # --- who answers the request calls these --------------------------------------------------------------

    async def send(self, opcode: Opcode, data: bytes) -> None:
        """Returns when there is room for more. Raises Unavailable once the client is gone."""
        self._write(frame(opcode, data))
        await self._room.wait()

    async def receive(self) -> Message | None:
        """The next message with data; None once the client has closed or sent what is none."""
        while not self._came:
            if self._over:
                return None
            self._news.clear()
            await self._news.wait()
        message = self._came.popleft()
        self._held_bytes -= len(message.data)
        if not self._reads and self._held_bytes <= MOST_HELD_BYTES // 2:
            self._reads = True
            self._transport.resume_reading()
        return message

    async def close(self, reason: Reason = Reason.DONE) -> None:
        """Says the last, and waits a little for the client to take it: a connection that is closed with something
        unread takes back what was sent last.
        """
        if self._lost.is_set():
            return
        self._over = True
        self._came.clear()
        self._transport.write(close_frame(self._broken.reason if self._broken else reason))
        self._transport.resume_reading()
        try:
            async with asyncio.timeout(LINGER_S):
                await self._lost.wait()
        except TimeoutError:
            self._transport.abort()

    def break_off(self) -> None:
        self._transport.abort()

    def _write(self, data: bytes) -> None:
        if self._lost.is_set() or self._transport.is_closing():
            raise Unavailable("the client hung up")
        self._transport.write(data)

    # --- the event loop calls these -----------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._over:
            return
        try:
            for message in self._messages.feed(data):
                self._take(message)
        except BrokenWebSocket as error:
            self._broken = error
            self._end()
        if self._held_bytes > MOST_HELD_BYTES and self._reads:
            self._reads = False
            self._transport.pause_reading()

    def _take(self, message: Message) -> None:
        match message.opcode:
            case Opcode.CLOSE:
                self._end()
            case Opcode.PING:
                # One who asks and does not read has no answer; what is held is bounded by that.
                if self._room.is_set():
                    self._transport.write(frame(Opcode.PONG, message.data))
            case Opcode.TEXT | Opcode.BINARY if not self._over:
                self._came.append(message)
                self._held_bytes += len(message.data)
                self._news.set()

    def _end(self) -> None:
        self._over = True
        self._news.set()

    def eof_received(self) -> bool:
        self._end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost.set()
        self._room.set()
        self._end()
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()
