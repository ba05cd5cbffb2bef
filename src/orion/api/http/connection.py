"""One connection of the API: requests out of bytes, on httptools, and answers in their order.

A connection that waits has a deadline, whatever it waits for: a head to begin or to end, the next request, a client
that takes nothing of its answer.
"""

import asyncio
from collections import deque
from urllib.parse import unquote

import httptools

from orion.api.http.asgi import ASGIApp, Receive, Scope, Send
from orion.api.http.connections import Connections
from orion.api.http.exchange import Exchange, status_line
from orion.api.http.head import Head, HeadTooLarge, NoHttp
from orion.api.http.problems import problem, problem_bytes
from orion.api.http.upgrade import Upgrade
from orion.api.reader import LEAST_TAKEN_BYTES, LOOK_S, Reader
from orion.model.errors import OrionError, Unavailable

HEAD_S = 10.0  # for the whole head of a request, from its first byte; for the first of a connection, from its start
UNSENT_BYTES = 16 * 1024  # beyond it an answer that goes on waits: it is written in the turn in which there is room
MOST_WAITING_BYTES = 64 * 1024  # of requests that come before an answer is complete; then nothing more is read
# The parser stops only where its bytes end, and a request that it has told of takes a hundred times its bytes. So
# it is given so many, and on to the next end of a head.
STEP_BYTES = 512

_END_OF_HEAD = b"\r\n\r\n"


class Connection(asyncio.Protocol):
    """A protocol of asyncio. Requests that come before an answer is complete wait, as bytes as far as can be."""

    transport: asyncio.Transport

    def __init__(self, app: ASGIApp, connections: Connections, keep_alive_s: float) -> None:
        self._app = app
        self._connections = connections
        self._keep_alive_s = keep_alive_s
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        # Bytes behind a request that says it is the last are nothing, and no mistake.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._head = Head()
        self._waiting = b""  # yet to be given to the parser
        self._taking: Exchange | None = None  # whose body comes
        self._exchanges: deque[tuple[Exchange, ASGIApp]] = deque()  # the first is under way
        self._reads = True
        self._look_for_end: asyncio.TimerHandle | None = None  # of a connection of which nothing is read
        self._room = asyncio.Event()
        self._room.set()
        self._deadline: asyncio.TimerHandle | None = None
        self._keeping: asyncio.TimerHandle | None = None  # the deadline of one that may ask again
        self._taken_bytes = 0  # at the last look

    @property
    def under_way(self) -> bool:
        return bool(self._exchanges)

    @property
    def unsent(self) -> bool:
        """True if the client has yet to take a part of its answer."""
        return self.transport.get_write_buffer_size() > 0

    def end(self) -> None:
        """No further request is taken."""
        if self.under_way:
            for exchange, _ in self._exchanges:
                exchange.be_the_last()
        else:
            self.transport.close()

    # --- the event loop calls these -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        transport.set_write_buffer_limits(high=UNSENT_BYTES)
        self._give(HEAD_S)
        self._connections.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio's signature
        for exchange, _ in self._exchanges:
            exchange.hang_up()
        self._room.set()
        self._take_back()
        self._keep_no_longer()
        if self._look_for_end is not None:
            self._look_for_end.cancel()
        self._connections.lost(self)
        # These refer to this object, as this does to them.
        del self._parser
        self._exchanges.clear()
        self._taking = None

    def data_received(self, data: bytes) -> None:
        self._keep_no_longer()
        self._waiting += data
        self._parse()
        if self.transport.is_closing():
            self._closes()
        elif not self.under_way:
            self._wait_for_a_head()

    def eof_received(self) -> None:
        self._closes()  # as the transport does now

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    # --- the parser calls these ---------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._head.begin()

    def on_url(self, url: bytes) -> None:
        self._head.add_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head.add_header(name, value)

    def on_headers_complete(self) -> None:
        version = self._parser.get_http_version()
        head = self._head.complete(version, upgrades=self._parser.should_upgrade())
        self._take_back()
        exchange = Exchange(
            self._scope(head, version),
            self,
            keep_alive=version != "1.0" and self._parser.should_keep_alive(),
            expects_continue=head.expects_continue and version != "1.0",
        )
        app = _too_many if self._connections.full else self._answer
        self._taking = exchange
        self._exchanges.append((exchange, app))
        self._connections.busy(self)
        if len(self._exchanges) == 1:
            self._start()

    def on_body(self, body: bytes) -> None:
        self._head.is_news()
        assert self._taking is not None
        self._taking.take(body)

    def on_message_complete(self) -> None:
        assert self._taking is not None
        self._taking.taken_whole()
        self._taking = None

    # --- an exchange calls these --------------------------------------------------------------------------

    def pause_reading(self) -> None:
        if self._reads:
            self._reads = False
            self.transport.pause_reading()
            if self._look_for_end is None:
                self._look_for_end = self._loop.call_later(LOOK_S, self._end_if_hung_up)

    def resume_reading(self) -> None:
        if not self._reads and len(self._waiting) <= MOST_WAITING_BYTES:
            self._reads = True
            self.transport.resume_reading()

    def _end_if_hung_up(self) -> None:
        """The event loop tells of a client that hung up only while it reads."""
        self._look_for_end = None
        if self._reads:
            return
        if Reader(self.transport).hung_up():
            self.transport.abort()
        else:
            self._look_for_end = self._loop.call_later(LOOK_S, self._end_if_hung_up)

    async def room(self) -> None:
        await self._room.wait()

    def answered(self) -> None:
        self._exchanges.popleft()
        self._look()
        if self.transport.is_closing():
            self._closes()
            return
        if self.under_way:
            self._start()
        else:
            self._connections.done(self)
        self._parse()
        if self.transport.is_closing():
            self._closes()
            return
        self.resume_reading()
        if not self.under_way:
            self._wait_for_a_head()

    def hand_over(self) -> bytes:
        """Returns what has come behind the request: it is of the protocol that the client asked for."""
        before, self._waiting = self._waiting, b""
        return before

    def broken_off(self) -> None:
        self.transport.close()
        self._closes()

    # --- requests -----------------------------------------------------------------------------------------

    def _parse(self) -> None:
        """Gives the parser what waits, up to the end of a request that has to wait for the answer to another."""
        data, begin = self._waiting, 0
        while begin < len(data) and not self.transport.is_closing() and (self._taking or not self.under_way):
            end = data.find(_END_OF_HEAD, begin + STEP_BYTES)
            end = len(data) if end < 0 else end + len(_END_OF_HEAD)
            begin += self._feed(data[begin:end])
        self._waiting = data[begin:]
        if len(self._waiting) > MOST_WAITING_BYTES and not self.transport.is_closing():
            self.pause_reading()

    def _feed(self, data: bytes) -> int:
        """Returns how many bytes were taken."""
        taken = len(data)
        self._head.fed()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as asked:
            taken = asked.args[0]  # to what, who answers knows; others answer as if it had not asked
        except httptools.HttpParserError as error:
            self._refuse(_why(error))
        if self._head.drags_on(taken) and not self.transport.is_closing():
            self._refuse(HeadTooLarge())
        return taken

    def _scope(self, head: Head, version: str) -> Scope:
        """Raises into the parser, which then takes nothing more, for an address that is none."""
        address = httptools.parse_url(head.url)
        if address.path is None:
            raise NoHttp
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": version,
            "server": self._host_and_port("sockname"),
            "client": self._host_and_port("peername"),
            "scheme": "http",
            "root_path": "",
            "method": self._parser.get_method().decode("ascii"),
            "path": unquote(address.path.decode("ascii")),
            "raw_path": address.path,
            "query_string": address.query or b"",
            "headers": head.headers,
        }

    def _host_and_port(self, end: str) -> tuple[str, int] | None:
        """None for a connection that was reset before anybody asked."""
        address = self.transport.get_extra_info(end)
        return (address[0], address[1]) if address else None

    def _start(self) -> None:
        exchange, app = self._exchanges[0]
        answer = self._loop.create_task(exchange.run(app))
        self._connections.answers.add(answer)
        answer.add_done_callback(self._connections.answers.discard)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        Reader(self.transport).offer(scope)
        Upgrade(self).offer(scope)
        await self._connections.starts.passed()
        await self._app(scope, receive, send)

    def _refuse(self, error: OrionError) -> None:
        exchange = self._exchanges[0][0] if self.under_way else None
        if exchange is not None and not (exchange is self._taking and exchange.is_given_up()):
            self.transport.abort()  # in the midst of another's answer it would be taken for a part of that
            return
        body = problem_bytes(error)
        head = b"content-type: application/problem+json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(status_line(error.status) + head % len(body) + body)
        self.transport.close()

    # --- deadlines ----------------------------------------------------------------------------------------

    def _wait_for_a_head(self) -> None:
        """Bytes came: they may be the beginning of one, or stand between two, which gives no further time."""
        if self._deadline is not None:
            return
        if self._head.begun:
            self._give(HEAD_S)
        elif self._keeping is None:
            self._keep_alive()

    def _closes(self) -> None:
        """A client still has its time to take what is there of its answer: `close` alone gives it for ever."""
        if self._deadline is None and self in self._connections.open:
            self._give(self._keep_alive_s)

    def _keep_alive(self) -> None:
        self._look()
        self._keeping = self._loop.call_later(self._keep_alive_s, self._kept_long_enough)

    def _kept_long_enough(self) -> None:
        self._keeping = None
        if self._look():
            self._keep_alive()
        else:
            self.transport.abort()

    def _keep_no_longer(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            self._keeping = None

    def _give(self, seconds: float) -> None:
        self._take_back()
        self._look()
        self._deadline = self._loop.call_later(seconds, self._time_is_over, seconds)

    def _time_is_over(self, seconds: float) -> None:
        self._give(seconds) if self._look() else self.transport.abort()

    def _look(self) -> bool:
        """Returns whether the client reads: since the last look it took a fair part of its answer, but not all.
        An answer is done as soon as the transport has it, and may be large.
        """
        before, self._taken_bytes = self._taken_bytes, Reader(self.transport).taken_bytes()
        return self.unsent and self._taken_bytes - before >= LEAST_TAKEN_BYTES

    def _take_back(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _why(error: httptools.HttpParserError) -> OrionError:
    """Returns what one of the methods that the parser calls has raised, if it was that. A function of its own: a
    variable beside the call of the parser would refer to the frame that refers to it.
    """
    raised = error.__context__
    return raised if isinstance(raised, OrionError) else NoHttp()


_too_many = problem(
    Unavailable("this node has as many requests under way as it takes at a time: ask another, or later"),
    {"connection": "close"},
)
