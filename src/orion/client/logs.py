"""A task's output as a client reads it: line by line, and followed over breaks of the way to it."""

import time
from base64 import b64decode
from collections.abc import Callable, Iterator

import msgspec

from orion.client.session import EVENT_STREAM, STREAM_SILENCE_S, Session, path_of
from orion.client.sse import messages
from orion.client.transport import MARGIN_S
from orion.model.api.logs import LogLineView, LogsView, TextView
from orion.model.errors import Unavailable

RETRY_S = 1.0

OnNotice = Callable[[str], None]
# Opens the stream, from just past the event with this id.
Open = Callable[[str], Iterator[bytes]]


class LogLine(msgspec.Struct, frozen=True, gc=False):
    """A line with its end, or a part of a long one. `at`: RFC 3339, UTC. `stream`: stdout or stderr. `run`: the id
    of the task's allocation that wrote it.
    """

    at: str
    stream: str
    text: bytes
    node: str
    run: str


def once(chunks: Iterator[bytes]) -> Iterator[LogLine]:
    for message in messages(chunks):
        if message.event == "message":
            yield from _lines(message.data)


def followed(open_after: Open, on_notice: OnNotice, on_end: OnNotice) -> Iterator[LogLine]:
    """Goes on where it was, perhaps at another node, whenever the stream breaks off. Raises what comes of it before
    any stream has begun, and later what is no Unavailable.
    """
    following = _Following(open_after, on_notice, on_end)
    while not following.over:
        words = "the node that was asked ended the stream"
        try:
            yield from following.lines()
        except Unavailable as error:
            if not following.begun:
                raise
            words = error.detail
        if not following.over:
            following.pause(words)


class Logs(Session):
    def logs(
        self,
        task: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: str = "",
        stream: str = "all",
        previous: bool = False,
        on_notice: Callable[[str], None] = lambda _: None,
        on_end: Callable[[str], None] | None = None,
    ) -> Iterator[LogLine]:
        """Yields the task's output. `since`: how long ago (10m) or an RFC 3339 time. `stream`: stdout, stderr, all.

        Following is of the task, wherever it runs, until it has ended. It goes on when the node that is asked, or
        the way to it, breaks. `on_notice` is told each time what happened, in a sentence; `on_end`, if
        it is given, in its place how the task has ended.
        """
        query = {"stream": stream, "follow": "1" if follow else "0"}
        if tail is not None:
            query["tail"] = str(tail)
        if since:
            query["since"] = since
        if previous:
            query["previous"] = "1"
        connect_s = self._timeout_s + MARGIN_S
        silence_s = STREAM_SILENCE_S if follow else connect_s

        def open_after(position: str) -> Iterator[bytes]:
            asked = {**query, "after": position} if position else query
            path = f"{path_of('/tasks', task)}/logs"
            return self._transport.stream(path, asked, self._headers({}), connect_s, silence_s, EVENT_STREAM)

        return followed(open_after, on_notice, on_end or on_notice) if follow else once(open_after(""))


class _Following:
    """One stream after the other. `begun`: anything was heard of any of them."""

    def __init__(self, open_after: Open, on_notice: OnNotice, on_end: OnNotice) -> None:
        self._open_after = open_after
        self._on_notice = on_notice
        self._on_end = on_end
        self._position = ""
        self._told = ""  # of the stream that broke off, while nothing was heard since
        self.begun = False
        self.over = False

    def lines(self) -> Iterator[LogLine]:
        """Those of the next stream."""
        for message in messages(self._heard(self._open_after(self._position))):
            if message.event == "message":
                self._position = message.id
                yield from _lines(message.data)
            else:
                self.over = message.event == "end"
                tell = self._on_end if self.over else self._on_notice
                tell(msgspec.json.decode(message.data, type=TextView).text)
            if self.over:
                return

    def pause(self, why: str) -> None:
        if self._told:
            time.sleep(RETRY_S)
        if why != self._told:
            self._told = why
            self._on_notice(f"{why}; trying again")

    def _heard(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._told, self.begun = "", True
            yield chunk


def _lines(data: str) -> Iterator[LogLine]:
    view = msgspec.json.decode(data, type=LogsView)
    for line in view.lines:
        yield LogLine(line.at, line.stream, _bytes(line), view.node_id, view.allocation)


def _bytes(line: LogLineView) -> bytes:
    return b64decode(line.base64) if line.base64 else line.text.encode()
