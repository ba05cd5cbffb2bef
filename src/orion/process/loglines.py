"""Lines of the log: each message is one line, whatever peers have put into it, and none is repeated in floods."""

import logging
from collections.abc import Hashable

import msgspec

from orion.model.times import rfc3339


def printable(text: str) -> str:
    """The text with its control characters, line ends and other invisible characters written as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


class OneLineFormatter(logging.Formatter):
    """Formats a message as one printable line. It may hold names and words of other machines, which could forge
    lines with a line end in them. Tracebacks follow on lines of their own.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's name
        return printable(super().formatMessage(record))


class JsonFormatter(logging.Formatter):
    """Formats a message as one line of JSON: `at` (RFC 3339, UTC), `level`, `node`, `text`; `error` where there is
    a traceback.
    """

    def __init__(self, node: str) -> None:
        super().__init__()
        self._node = node

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": rfc3339(int(record.created * 1000)),
            "level": record.levelname.lower(),
            "node": self._node,
            "text": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class LogThrottle:
    """Decides which marks are due for a line: each once in `quiet_s`, and at most `most` different ones in that
    time.
    """

    def __init__(self, quiet_s: float, most: int) -> None:
        self._quiet_s = quiet_s
        self._most = most
        self._told_s: dict[Hashable, float] = {}  # the oldest first

    def is_due(self, mark: Hashable, now_s: float) -> bool:
        """Returns True when the mark is due; it then counts as told. `now_s` is monotonic."""
        while self._told_s and now_s - next(iter(self._told_s.values())) >= self._quiet_s:
            del self._told_s[next(iter(self._told_s))]
        if mark in self._told_s or len(self._told_s) >= self._most:
            return False
        self._told_s[mark] = now_s
        return True
