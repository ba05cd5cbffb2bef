"""The head of a request as it comes: its address and its headers, with a bound."""

from orion.model.errors import TooLarge

MAX_HEAD_BYTES = 64 * 1024


class HeadTooLarge(TooLarge):
    status = 431

    def __init__(self) -> None:
        super().__init__(
            f"the address and the headers are larger than {MAX_HEAD_BYTES} bytes, the most that is taken"
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
        self._bytes = 0
        self._news = False  # from the parser, of the bytes that it is fed
        self._bytes_without_news = 0

    @property
    def too_large(self) -> bool:
        return self._bytes > MAX_HEAD_BYTES

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
        self.headers.append((name, value))

    def complete(self) -> "Head":
        self.begun = False
        return self

    def _count(self, piece_bytes: int) -> None:
        """Raises into the parser, which then takes nothing more."""
        self._bytes += piece_bytes
        if self.too_large:
            raise HeadTooLarge
