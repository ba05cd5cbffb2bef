"""One connection of the API: uvicorn's own, which waits for ever for a head that does not begin or does not end,
with bounds on what a client may hold without asking anything.
"""

import asyncio
from collections import OrderedDict
from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from orion.api.http.problems import problem, problem_bytes
from orion.api.reader import LEAST_TAKEN_BYTES, Reader
from orion.model.errors import TooLarge, Unavailable
from orion.node.runtime.turnstile import Turnstile

HEAD_S = 10.0  # for the whole head of a request, from its first byte; for the first of a connection, from its start
MAX_HEAD_BYTES = 64 * 1024
MAX_CONNECTIONS = 4_096
UNSENT_BYTES = 16 * 1024  # beyond it an answer that goes on waits: it is written in the turn in which there is room
# A request may hold two files (logs: one of the engine or of another node besides), and half of all are for the
# rest of the node: its peers, the engine, /proc.
FILES_FOR_EACH = 4
# Of all connections; the others are for those who ask next, and be it to hear that there are too many.
BUSY_SHARE = 0.75


class Connections(ServerState):
    """All connections; at most so many. The one that has asked nothing for longest makes room for the next."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most
        self._most_busy = max(1, int(most * BUSY_SHARE))
        self.starts = Turnstile()  # for requests
        self._idle: OrderedDict[Connection, None] = OrderedDict()  # without a request under way, longest first

    @property
    def full(self) -> bool:
        """Whether so many have a request under way that no further one is taken."""
        return len(self.connections) - len(self._idle) >= self._most_busy

    def opened(self, connection: "Connection") -> None:
        self._idle[connection] = None
        while len(self.connections) > self._most:
            # The new one itself at the last.
            self.lost(longest := next(each for each in self._idle if not each.unsent))
            longest.transport.abort()

    def lost(self, connection: "Connection") -> None:
        self.connections.discard(connection)
        self._idle.pop(connection, None)

    def busy(self, connection: "Connection") -> None:
        self._idle.pop(connection, None)

    def done(self, connection: "Connection") -> None:
        self._idle[connection] = None


class HeadTooLarge(TooLarge):
    status = 431

    def __init__(self) -> None:
        super().__init__(
            f"the address and the headers are larger than {MAX_HEAD_BYTES} bytes, the most that is taken"
        )


class Connection(HttpToolsProtocol):
    """Closed where a head takes too long or is too large. Timers and pauses of uvicorn's own are as they were.

    The parser keeps a piece (an address, a header) until it is whole, and tells nothing meanwhile. So both are
    counted: the pieces of a head, which alone are exact, and what comes in without any news from the parser.
    """

    server_state: Connections

    def __init__(
        self,
        config: Config,
        server_state: Connections,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._in_head = False
        self._head_bytes = 0
        self._news = False  # from the parser, of the bytes that it is fed
        self._bytes_without_news = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._taken_bytes = 0  # at the last look

    @property
    def under_way(self) -> bool:
        """With pipelined requests `cycle` is that of the last."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def unsent(self) -> bool:
        """Whether the client has yet to take a part of its answer."""
        return self.transport.get_write_buffer_size() > 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=UNSENT_BYTES)
        self._give(HEAD_S)
        self.server_state.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._take_back()
        self._unset_keepalive_if_required()
        self.server_state.lost(self)

    def data_received(self, data: bytes) -> None:
        self._news = False
        super().data_received(data)
        self._bytes_without_news = 0 if self._news else self._bytes_without_news + len(data)
        if self._bytes_without_news > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(HeadTooLarge())
        if self.transport.is_closing():
            self._closes()
        elif not self.under_way:
            self._wait_for_a_head()

    def eof_received(self) -> None:
        super().eof_received()
        self._closes()  # as the transport does now

    def send_400_response(self, msg: str) -> None:
        """What the parser won't take."""
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(HeadTooLarge())
        elif self.under_way:
            self.transport.abort()
        else:
            super().send_400_response(msg)

    def on_message_begin(self) -> None:
        self._in_head = self._news = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # else it is a trailer, behind a chunked body: nothing here wants one
            self._count(len(name) + len(value) + len(": \r\n"))
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        self._news = True
        super().on_body(body)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._take_back()
        self.app = _too_many if self.server_state.full else self._answer
        super().on_headers_complete()
        if self.under_way:
            self.server_state.busy(self)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()
        if self.transport.is_closing():
            self._closes()
        elif not self.under_way:
            self.server_state.done(self)
            self._wait_for_a_head()

    def timeout_keep_alive_handler(self) -> None:
        self.timeout_keep_alive_task = None
        if self._look():
            self._keep_alive()
        else:
            self.transport.abort()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(self._answered)
        Reader(self.transport).offer(scope)
        await self.server_state.starts.passed()
        await self.config.loaded_app(scope, receive, send)

    def _answered(self, _: asyncio.Task[None]) -> None:
        """Where an answer broke off uvicorn closes, and tells nobody."""
        if self.transport.is_closing():
            self._closes()

    def _count(self, piece_bytes: int) -> None:
        """Raises into the parser, which then takes nothing more and has `send_400_response` called."""
        self._head_bytes += piece_bytes
        if self._head_bytes > MAX_HEAD_BYTES:
            raise HeadTooLarge

    def _refuse(self, error: HeadTooLarge) -> None:
        if self.under_way:  # in the midst of another's answer it would be taken for a part of that
            self.transport.abort()
            return
        body = problem_bytes(error)
        head = b"content-type: application/problem+json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[error.status] + head % len(body) + body)
        self.transport.close()

    def _wait_for_a_head(self) -> None:
        """What came may be the beginning of one, or bytes between two, for which uvicorn ends its own timer."""
        if self._deadline is not None:
            return
        if self._in_head:
            self._give(HEAD_S)
        elif self.timeout_keep_alive_task is None:
            self._keep_alive()

    def _closes(self) -> None:
        """A client still has its time to take what is there of its answer: `close` alone gives it for ever."""
        if self._deadline is None and self in self.connections:
            self._give(self.timeout_keep_alive)

    def _keep_alive(self) -> None:
        self._look()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _give(self, seconds: float) -> None:
        self._take_back()
        self._look()
        self._deadline = self.loop.call_later(seconds, self._time_is_over, seconds)

    def _time_is_over(self, seconds: float) -> None:
        if self._look():
            self._give(seconds)
        else:
            self.transport.abort()

    def _look(self) -> bool:
        """Whether the client has taken a fair part of its answer since the last look, but not all: it reads. An
        answer is done as soon as the transport has it, and may be large.
        """
        before, self._taken_bytes = self._taken_bytes, Reader(self.transport).taken_bytes()
        return self.unsent and self._taken_bytes - before >= LEAST_TAKEN_BYTES

    def _take_back(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


_too_many = problem(
    Unavailable("this node has as many requests under way as it takes at a time: ask another, or later"),
    {"connection": "close"},
)
