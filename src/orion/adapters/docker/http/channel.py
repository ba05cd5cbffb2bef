"""One connection to the server. It carries one exchange at a time, or becomes a stream both ways."""

import asyncio
import select
from collections import deque

from orion.adapters.docker.http.parser import AnswerParser, BrokenAnswer, Head

MOST_HELD_BYTES = 256 * 1024  # of a body that nobody has taken yet; then nothing more is read
UNSENT_BYTES = 64 * 1024  # of a stream; then its writer waits


class Channel(asyncio.Protocol):
    """A protocol of asyncio. Its owner calls `begin`, then `head`, then `piece` until that returns b""."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser: AnswerParser | None = None
        self._pieces: deque[bytes] = deque()
        self._held_bytes = 0
        self._error: Exception | None = None  # told once what came before it is taken
        self._ended = False  # nothing more will come
        self._reading = self._writable = True
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self.lost = asyncio.Event()

    @property
    def usable(self) -> bool:
        """True if another exchange may begin: the last was read to its end, and the server has neither closed the
        connection nor sent what nobody asked for, as far as the kernel knows.
        """
        finished = self._parser is None or (self._parser.complete and self._parser.reusable and not self._pieces)
        return finished and self._open and not self._readable()

    @property
    def answered(self) -> bool:
        """True once a byte of the answer has come."""
        return self._parser is not None and self._parser.began

    @property
    def raw(self) -> bool:
        """True once it is a stream both ways."""
        return self._parser is not None and self._parser.raw

    @property
    def can_end(self) -> bool:
        """False where the way out can't be closed alone, as with TLS."""
        return self._transport is not None and self._transport.can_write_eof()

    @property
    def _open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing() and not self._ended

    def _readable(self) -> bool:
        assert self._transport is not None
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN | select.POLLRDHUP)
        return bool(poll.poll(0))

    # --- one exchange -------------------------------------------------------------------------------------

    def begin(self, request: bytes, parser: AnswerParser) -> None:
        """Raises BrokenAnswer where the server has closed the connection, as it may do at once."""
        assert self._transport is not None
        if not self._open:
            raise BrokenAnswer("it closed the connection without an answer")
        self._parser = parser
        self._transport.write(request)

    async def head(self) -> Head:
        """Raises OSError, as `piece` does: BrokenAnswer, or what the kernel says."""
        assert self._parser is not None
        while self._parser.head is None:
            await self._more()
        return self._parser.head

    async def piece(self) -> bytes:
        """Returns the next part of the body or of the stream, b"" at its end."""
        while not self._pieces:
            if self._ended or (self._parser is not None and self._parser.complete):
                if self._error is not None:
                    raise self._error
                return b""
            await self._more()
        piece = self._pieces.popleft()
        self._held_bytes -= len(piece)
        if not self._reading and self._held_bytes <= MOST_HELD_BYTES // 2:
            self._read(True)
        return piece

    async def _more(self) -> None:
        if self._error is not None:
            raise self._error
        self._news.clear()
        await self._news.wait()

    # --- a stream both ways -------------------------------------------------------------------------------

    async def write(self, data: bytes) -> None:
        """Returns once there is room for more. Raises OSError when the connection is lost."""
        while self._open_for_writing() and not self._writable:
            self._room.clear()
            await self._room.wait()
        if not self._open_for_writing():
            raise self._error or BrokenAnswer("it closed the connection")
        assert self._transport is not None
        self._transport.write(data)

    def end(self) -> None:
        """Closes the way out; the way in stays open."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()

    def _open_for_writing(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # --- the event loop calls these -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        transport.set_write_buffer_limits(high=UNSENT_BYTES)

    def data_received(self, data: bytes) -> None:
        if self._parser is None:  # nobody asked
            self.abort()
            return
        try:
            pieces = self._parser.feed(data)
        except BrokenAnswer as error:
            self._fail(error)
            return
        self._pieces.extend(pieces)
        self._held_bytes += sum(map(len, pieces))
        if self._held_bytes > MOST_HELD_BYTES and self._reading:
            self._read(False)
        self._news.set()

    def eof_received(self) -> bool:
        """Returns whether the way out stays open."""
        self._finish(None)
        return self.raw and self.can_end

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish(exc)
        self._room.set()
        self.lost.set()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._room.set()

    def _finish(self, error: Exception | None) -> None:
        """Nothing more will come; of what has come nothing is lost."""
        if self._ended:
            return
        self._ended = True
        try:
            if self._parser is not None:
                if error is not None and not self._parser.complete:
                    raise error
                self._parser.end()
        except OSError as broken:
            self._error = broken
        self._news.set()

    def _fail(self, error: BrokenAnswer) -> None:
        self._error, self._ended = error, True
        self._news.set()
        self.abort()

    def _read(self, more: bool) -> None:
        self._reading = more
        if self._transport is not None and not self._transport.is_closing():
            (self._transport.resume_reading if more else self._transport.pause_reading)()
