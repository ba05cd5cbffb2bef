"""The messages of a session over a WebSocket. Data are binary: a byte for the stream (0 stdin, 1 stdout, 2 stderr),
and then what goes through it. All else is JSON in text.
"""

import msgspec


class ResizeMessage(msgspec.Struct, frozen=True, tag="resize", forbid_unknown_fields=True):
    """The window of the client's terminal."""

    columns: int
    rows: int


class EndMessage(msgspec.Struct, frozen=True, tag="end", forbid_unknown_fields=True):
    """The client sends no more input."""


class ExitMessage(msgspec.Struct, frozen=True, tag="exit"):
    """The last of a session that came to its end. 0 where there is no program."""

    code: int


class ErrorMessage(msgspec.Struct, frozen=True, tag="error"):
    """The last of a session that broke off. `code` is a problem document's."""

    code: str
    detail: str


FromClient = ResizeMessage | EndMessage
FromServer = ExitMessage | ErrorMessage
