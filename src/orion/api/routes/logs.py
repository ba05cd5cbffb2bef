"""GET /tasks/{id}/logs: a task's output as text, or as Server-Sent Events."""

import contextlib
from collections.abc import AsyncGenerator

import msgspec

from orion.api.endpoint import Routes
from orion.api.http.events import event_stream
from orion.api.http.request import Call
from orion.api.http.stream import Stream
from orion.api.params import FLAG, LINES, TIME, Kind, header, query, text
from orion.api.routes.tasks import TASK
from orion.model.api.logs import LogLineView, LogsView, TextView, line_of
from orion.model.container import LogEntry, LogQuery
from orion.model.errors import Refused
from orion.model.logs import POSITION, LogEnd, LogItem, LogNotice, LogPiece, LogPosition, parse_position

PATIENCE_S = 1.0  # long enough for another node to say that there is no such container


routes = Routes()


def _stream(text: str) -> str:
    if text not in {"stdout", "stderr", "all"}:
        raise ValueError("must be stdout, stderr or all")
    return text


def _position(text: str) -> LogPosition:
    position = parse_position(text)
    if position is None:
        raise ValueError("must be the id of an event of these logs")
    return position


def _known_position(text: str) -> LogPosition | None:
    """As a browser sends it back by itself; one of another server's making is as good as none."""
    return parse_position(text)


def accepts_events(text: str) -> bool:
    return any(part.partition(";")[0].strip() == "text/event-stream" for part in text.split(","))


FOLLOW = query("follow", FLAG, False, "go on as more is written, wherever the task runs, until it has ended")
TAIL = query("tail", LINES, None, 'only the last so many lines, or "all"')
SINCE = query("since", TIME, 0, "from a time on, or from how long ago: 10m")
STREAM = query("stream", Kind(_stream, type="string", enum=["stdout", "stderr", "all"]), "all", "which output")
PREVIOUS = query("previous", FLAG, False, "of the run before the newest, which can't be followed")
TIMES = query("timestamps", FLAG, False, "with text: the time before each line")
ACCEPT_EVENTS = header(
    "Accept",
    Kind(accepts_events, type="string"),
    False,
    "text/event-stream: as Server-Sent Events, with comments as signs of life; data is a LogsView, or a TextView "
    "in the events notice (what happened to the task) and end (it has ended). Any other: text, without such signs",
)
AFTER = query("after", Kind(_position, **text(f"^{POSITION}$")), None, "begin just past the event with this id")
LAST_ID = header(
    "Last-Event-ID",
    Kind(_known_position, type="string"),
    None,
    "as after, sent by browsers by themselves",
    same_as=AFTER,
)


@routes.add(
    "GET",
    "/tasks/{id}/logs",
    "What a task has written: text, or with Accept: text/event-stream Server-Sent Events",
    params=(TASK, FOLLOW, TAIL, SINCE, STREAM, TIMES, PREVIOUS, ACCEPT_EVENTS, AFTER, LAST_ID),
    media="text/plain",
    goes_on=True,
)
async def logs(call: Call) -> Stream:
    query = LogQuery(
        follow=call[FOLLOW],
        tail=call[TAIL],
        since_ns=call[SINCE] * 1_000_000,
        stdout=call[STREAM] != "stderr",
        stderr=call[STREAM] != "stdout",
    )
    if call[PREVIOUS] and call[FOLLOW]:
        raise Refused("a previous run has ended: it can't be followed")
    items = call.service.logs(call[TASK], query, call[LAST_ID] or call[AFTER], previous=call[PREVIOUS])
    if call[ACCEPT_EVENTS]:
        return event_stream(call.limits, items, _event, patience_s=PATIENCE_S)
    plain = _plain(items, times=call[TIMES])
    return Stream(call.limits, plain, "text/plain; charset=utf-8", patience_s=PATIENCE_S)


async def _plain(items: AsyncGenerator[LogItem, None], *, times: bool) -> AsyncGenerator[bytes, None]:
    """Yields the task's output byte for byte, and nothing else."""
    at_line_start = True
    async with contextlib.aclosing(items):
        async for item in items:
            if not isinstance(item, LogPiece):
                continue
            if not times:
                yield b"".join(entry.text for entry in item.entries)
                continue
            text = bytearray()
            for entry in item.entries:
                if at_line_start:
                    text += entry.at.encode() + b" "
                text += entry.text
                at_line_start = entry.text.endswith(b"\n")
            yield bytes(text)


def _event(item: LogItem) -> bytes:
    match item:
        case LogPiece(allocation, node, entries, position):
            view = LogsView(allocation, node, [_line(entry) for entry in entries])
            return b"id: %s\ndata: %s\n\n" % (str(position).encode(), msgspec.json.encode(view))
        case LogNotice(text):
            return b"event: notice\ndata: %s\n\n" % msgspec.json.encode(TextView(text))
        case LogEnd(text):
            return b"event: end\ndata: %s\n\n" % msgspec.json.encode(TextView(text))


def _line(entry: LogEntry) -> LogLineView:
    return line_of(entry.at, "stderr" if entry.stderr else "stdout", entry.text)
