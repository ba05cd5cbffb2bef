"""One request and its answer, as ASGI has them."""

import asyncio
import logging
import re
import time
from collections.abc import MutableMapping
from http import HTTPStatus
from typing import Any, Protocol

from orion.api.http.asgi import ASGIApp, Message, Scope

log = logging.getLogger(__name__)

MOST_HELD_BYTES = 64 * 1024  # of a body that nobody has taken yet; then nothing more is read

_NO_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_REASONS = {status.value: status.phrase for status in HTTPStatus}
_BODILESS = (204, 304)


class Wire(Protocol):
    """The part of its connection that an exchange needs."""

    transport: asyncio.Transport

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    async def room(self) -> None:
        """Returns when an answer may go on, or is of no use any more."""

    def answered(self) -> None:
        """The answer is complete."""

    def broken_off(self) -> None:
        """The answer ends before its end, with its connection."""


def status_line(status: int) -> bytes:
    return f"HTTP/1.1 {status} {_REASONS.get(status, '')}\r\n".encode("ascii")


class Exchange:
    """`answered` is true once the last of the answer is written."""

    def __init__(self, scope: Scope, wire: Wire, *, keep_alive: bool, expects_continue: bool) -> None:
        self.answered = False
        self._scope = scope
        self._wire = wire
        self._keep_alive = keep_alive
        self._expects_continue = expects_continue
        self._hung_up = False
        self._news = asyncio.Event()  # for who receives
        self._body = bytearray()
        self._more_body = True
        self._started = False
        self._chunked = False
        self._left_bytes: int | None = 0  # of the answer; None where it does not say its length

    @property
    def bodiless(self) -> bool:
        return bool(self._scope["method"] == "HEAD")

    async def run(self, app: ASGIApp) -> None:
        """An app that fails before it has begun an answer is answered for; one that fails later has its connection
        closed, which is how the client learns of it.
        """
        try:
            await app(self._scope, self.receive, self.send)
        except Exception:
            log.exception("the answer to %s %s broke off", self._scope["method"], self._scope["path"])
        except BaseException:
            self._break_off()
            raise
        if self._hung_up or self.answered:
            return
        if self._started:
            self._break_off()
        else:
            await self._mistake()

    def _break_off(self) -> None:
        if not self.answered:
            self._wire.broken_off()

    async def _mistake(self) -> None:
        body = b"Internal Server Error"
        headers = [(b"content-length", b"%d" % len(body)), (b"connection", b"close")]
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    # --- the connection calls these -----------------------------------------------------------------------

    def take(self, body: bytes) -> None:
        """A part of the request's body has come."""
        if self.answered:
            return
        self._body += body
        if len(self._body) > MOST_HELD_BYTES:
            self._wire.pause_reading()
        self._news.set()

    def taken_whole(self) -> None:
        if not self.answered:
            self._more_body = False
            self._news.set()

    def hang_up(self) -> None:
        """The connection is lost."""
        self._hung_up = self._hung_up or not self.answered
        self._news.set()

    def is_given_up(self) -> bool:
        """Returns whether the connection may answer in its place: nothing of an answer is sent yet, and nothing
        will be.
        """
        if not self._started:
            self.hang_up()
        return not self._started

    def be_the_last(self) -> None:
        """No further request follows on this connection."""
        self._keep_alive = False

    # --- the app calls these ------------------------------------------------------------------------------

    async def receive(self) -> Message:
        if self._expects_continue and not self._wire.transport.is_closing():
            self._wire.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._expects_continue = False
        if not self._hung_up and not self.answered:
            self._wire.resume_reading()
            await self._news.wait()
            self._news.clear()
        if self._hung_up or self.answered:
            return {"type": "http.disconnect"}
        body, self._body = bytes(self._body), bytearray()
        return {"type": "http.request", "body": body, "more_body": self._more_body}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        await self._wire.room()
        if self.answered:
            raise RuntimeError(f"{message['type']} after the answer's end")
        if self._hung_up or self._wire.transport.is_closing():
            return
        if message["type"] == "http.response.start" and not self._started:
            self._start(message["status"], message.get("headers", ()))
        elif message["type"] == "http.response.body" and self._started:
            self._go_on(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise RuntimeError(f"{message['type']} out of its turn")

    def _start(self, status: int, headers: Any) -> None:
        if self._expects_continue and self._more_body:
            # It may send its body or leave it out, so where the next request begins is not known.
            self._keep_alive = False
        self._started, self._expects_continue = True, False
        lines, length = [status_line(status), _date()], None
        for name, value in headers:
            if _NO_VALUE.search(value):
                raise RuntimeError(f"the header {name!r} can't be {value!r}")
            if name == b"content-length":
                length = int(value)
            elif name == b"connection" and value.lower() == b"close":
                self._keep_alive = False
                continue
            lines.append(name + b": " + value + b"\r\n")
        if not self._keep_alive:
            lines.append(b"connection: close\r\n")
        bodiless = self.bodiless or status in _BODILESS
        self._left_bytes = 0 if bodiless else length
        # HTTP/1.0 has no chunks: there the end of the connection is that of the answer, whole or not.
        self._chunked = length is None and not bodiless and self._scope["http_version"] != "1.0"
        if self._chunked:
            lines.append(b"transfer-encoding: chunked\r\n")
        self._wire.transport.write(b"".join([*lines, b"\r\n"]))

    def _go_on(self, body: bytes, *, more: bool) -> None:
        if self.bodiless:
            body = b""
        if self._chunked:
            chunk = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
            self._wire.transport.write(chunk if more else chunk + b"0\r\n\r\n")
        else:
            if self._left_bytes is not None:
                self._left_bytes -= len(body)
                if self._left_bytes < 0:
                    raise RuntimeError("the answer is longer than it says")
            self._wire.transport.write(body)
        if more:
            return
        if self._left_bytes:
            raise RuntimeError("the answer is shorter than it says")
        self.answered = True
        self._news.set()
        if not self._keep_alive:
            self._wire.transport.close()
        self._wire.answered()


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_date_of: tuple[int, bytes] = (0, b"")


def _date() -> bytes:
    """The header, made once a second."""
    global _date_of  # noqa: PLW0603 -- one clock for all
    now = int(time.time())
    if _date_of[0] != now:
        at = time.gmtime(now)
        day = f"{_DAYS[at.tm_wday]}, {at.tm_mday:02} {_MONTHS[at.tm_mon - 1]} {at.tm_year}"
        time_of_day = f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02} GMT"
        _date_of = now, f"date: {day} {time_of_day}\r\n".encode("ascii")
    return _date_of[1]
