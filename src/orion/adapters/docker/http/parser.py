"""One answer out of the bytes of a connection, on httptools, with bounds on what is not its body."""

from typing import NamedTuple

import httptools

MAX_HEAD_BYTES = 64 * 1024  # of status line and headers, and of what chunks and trailers have around the body
_SHOWN_BYTES = 40
_SWITCHING = 101


class BrokenAnswer(ConnectionError):
    """An answer that is no HTTP, or ended before its end."""


class Head(NamedTuple):
    """Status line and headers. Names are in lower case; the last of a name counts."""

    status: int
    reason: str
    headers: dict[str, str]


class AnswerParser:
    """Takes the bytes of one answer. What comes in front of it with a status of 1xx is passed over.

    `upgrade` says that the connection may become a stream that carries both ways: once `raw` is set, all further
    bytes are that stream's.
    """

    def __init__(self, method: str, *, upgrade: bool = False) -> None:
        self.head: Head | None = None
        self.complete = False
        self.raw = False
        self.reusable = False  # for another exchange, once complete
        self.began = False  # at least a byte has come
        self._method = method
        self._upgrade = upgrade
        self._until_the_end = False  # the body ends with the connection
        self._reason = b""
        self._headers: dict[str, str] = {}
        self._head_bytes = 0
        self._overhead_bytes = 0  # since the last piece of the body
        self._pieces: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> list[bytes]:
        """Returns pieces of the body. Raises BrokenAnswer."""
        self.began = True
        if self.raw:
            return [data]
        if self.complete:
            self.reusable = False  # nobody asked for more
            return []
        return self._parse(data)

    def _parse(self, data: bytes) -> list[bytes]:
        self._pieces = []
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as switched:
            self._switched(data[switched.args[0] :])
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, BrokenAnswer):
                raise error.__context__ from None
            if not self.complete:
                raise BrokenAnswer(f"what it sends is no HTTP ({error}): {data[:_SHOWN_BYTES]!r}") from error
            self.reusable = False
        self._bound(len(data))
        if self.complete or self.raw:
            del self._parser  # which refers to this object, as this does to it
        return self._pieces

    def end(self) -> None:
        """The other end has closed the connection. Raises BrokenAnswer where the answer does not end there."""
        if self.complete or self.raw or (self.head is not None and self._until_the_end):
            self.complete, self.reusable = True, False
        elif self.head is None:
            raise BrokenAnswer("it closed the connection without an answer")
        else:
            raise BrokenAnswer("it closed the connection in the middle of an answer")

    def _bound(self, fed_bytes: int) -> None:
        """The parser keeps a header, a chunk's size or a trailer until it is whole, and tells nothing till then."""
        self._overhead_bytes = 0 if self._pieces else self._overhead_bytes + fed_bytes
        if self._overhead_bytes > MAX_HEAD_BYTES and not self.complete:
            raise _too_much()

    def _switched(self, rest: bytes) -> None:
        """The rest of what was fed is the stream's."""
        if not self._upgrade:
            raise BrokenAnswer("it switched to another protocol, which it was not asked for")
        self.raw = True
        if rest:
            self._pieces.append(rest)

    # --- httptools calls these ----------------------------------------------------------------------------

    def on_status(self, reason: bytes) -> None:
        self._reason += reason
        if len(self._reason) > MAX_HEAD_BYTES:
            raise _too_much()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head is not None:  # a trailer, or what comes after the answer
            return
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MAX_HEAD_BYTES:
            raise _too_much()
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self.complete:
            return
        status = self._parser.get_status_code()
        if status // 100 == 1 and status != _SWITCHING:
            return
        headers = self._headers
        self.head = Head(status, self._reason.decode("latin-1"), headers)
        framed = "content-length" in headers or "chunked" in headers.get("transfer-encoding", "").lower()
        self._until_the_end = not framed
        self.reusable = self._parser.should_keep_alive()
        if status == _SWITCHING and not self._parser.should_upgrade():
            raise BrokenAnswer("it switched to another protocol without saying to which")
        if self._upgrade and status == 200 and not framed:
            self.raw = True  # as engines and proxies answer that know no upgrades: the stream follows the head
        if self._method == "HEAD":
            self.complete = True

    def on_body(self, piece: bytes) -> None:
        if self.complete:
            self.reusable = False
        else:
            self._pieces.append(piece)

    def on_message_begin(self) -> None:
        self._headers, self._reason = {}, b""
        if self.complete:
            self.reusable = False

    def on_message_complete(self) -> None:
        if self.head is not None and not self.complete and self.head.status != _SWITCHING:
            self.complete = True


def _too_much() -> BrokenAnswer:
    return BrokenAnswer(f"it sends more than {MAX_HEAD_BYTES} bytes of headers")
