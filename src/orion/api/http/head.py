"""The head of a request as it comes: its address and its headers, with a bound."""

from orion.model.errors import Refused, TooLarge

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 200  # a tiny one takes forty times its bytes here

_VERSIONS = ("1.0", "1.1")
_WITH_BODY = frozenset({b"content-length", b"transfer-encoding"})


class NoHttp(Refused):
    status = 400
    title = "No HTTP"

    def __init__(self, why: str = "what was sent is no HTTP request") -> None:
        super().__init__(why)


class HeadTooLarge(TooLarge):
    status = 431

    def __init__(self) -> None:
        super().__init__(
            f"the address and the headers are larger than {MAX_HEAD_BYTES} bytes, or more than {MAX_HEADERS}: "
            "that is the most that is taken"
        )


class Head:
    """The parser keeps a piece (an address, a header) until it is whole, and tells nothing meanwhile. So both are
    counted: the pieces of a head, which alone are exact, and what comes in without any news from the parser.
    """

    def __init__(self) -> None:
        self.begun = False  # and not yet complete
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.expects_continue = False
        self._hosts = 0
        self._has_body = False
        self._bytes = 0
        self._news = False  # from the parser, of the bytes that it is fed
        self._bytes_without_news = 0

    def fed(self) -> None:
        """The parser is about to be given bytes."""
        self._news = False

    def is_news(self) -> None:
        """The parser has told something of them."""
        self._news = True

    def drags_on(self, fed_bytes: int) -> bool:
        """Returns whether too much has come of which the parser has told nothing, `fed_bytes` the last of it."""
        self._bytes_without_news = 0 if self._news else self._bytes_without_news + fed_bytes
        return self._bytes_without_news > MAX_HEAD_BYTES

    def begin(self) -> None:
        self.begun = self._news = True
        self.url, self.headers, self.expects_continue, self._bytes = b"", [], False, 0
        self._hosts, self._has_body = 0, False

    def add_url(self, piece: bytes) -> None:
        self._count(len(piece))
        self.url += piece

    def add_header(self, name: bytes, value: bytes) -> None:
        if not self.begun:  # it is a trailer, behind a chunked body: nothing here wants one
            return
        self._count(len(name) + len(value) + len(": \r\n"))
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expects_continue = True
        self._hosts += name == b"host"
        self._has_body = self._has_body or name in _WITH_BODY
        self.headers.append((name, value))
        if len(self.headers) > MAX_HEADERS:
            raise HeadTooLarge

    def complete(self, version: str, *, upgrades: bool) -> "Head":
        """Raises NoHttp for what others might take for another request than is taken here."""
        self.begun = False
        if version not in _VERSIONS:
            raise NoHttp(f"HTTP/1.1 is spoken here, not HTTP/{version}")
        if self._hosts > 1 or (version == "1.1" and not self._hosts):
            raise NoHttp(f"a request has one Host header, and this one {self._hosts}")
        if upgrades and self._has_body:
            raise NoHttp("a request with a body can't ask for another protocol here: leave out its Upgrade header")
        return self

    def _count(self, piece_bytes: int) -> None:
        """Raises into the parser, which then takes nothing more."""
        self._bytes += piece_bytes
        if self._bytes > MAX_HEAD_BYTES:
            raise HeadTooLarge
