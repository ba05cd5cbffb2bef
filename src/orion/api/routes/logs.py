"""GET /tasks/{id}/logs: a task's output as text, or as Server-Sent Events."""

import contextlib
from base64 import b64encode
from collections.abc import AsyncGenerator

import msgspec

from orion.api.http.request import Call
from orion.api.http.stream import HEARTBEAT, PREAMBLE, Stream
from orion.api.params import (
    ACCEPT_EVENTS,
    AFTER_LOG,
    FOLLOW_LOGS,
    LAST_LOG_ID,
    LOG_TIMES,
    SINCE,
    STREAM,
    TAIL,
    TASK,
)
from orion.model.api.logs import LogLineView, LogsView, TextView
from orion.model.container import LogEntry, LogQuery
from orion.model.logs import LogEnd, LogItem, LogNotice, LogPiece

PATIENCE_S = 1.0  # long enough for another node to say that there is no such container


async def logs(call: Call) -> Stream:
    query = LogQuery(
        follow=call[FOLLOW_LOGS],
        tail=call[TAIL],
        since_ns=call[SINCE] * 1_000_000,
        stdout=call[STREAM] != "stderr",
        stderr=call[STREAM] != "stdout",
    )
    items = call.service.logs(call[TASK], query, call[LAST_LOG_ID] or call[AFTER_LOG])
    if call[ACCEPT_EVENTS]:
        return Stream(
            call.limits, _server_sent(items), "text/event-stream", patience_s=PATIENCE_S, heartbeat=HEARTBEAT
        )
    text = _plain(items, times=call[LOG_TIMES])
    return Stream(call.limits, text, "text/plain; charset=utf-8", patience_s=PATIENCE_S)


async def _plain(items: AsyncGenerator[LogItem, None], *, times: bool) -> AsyncGenerator[bytes, None]:
    """What was written, byte for byte, and nothing else."""
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


async def _server_sent(items: AsyncGenerator[LogItem, None]) -> AsyncGenerator[bytes, None]:
    async with contextlib.aclosing(items):
        head = PREAMBLE
        async for item in items:
            yield head + _event(item)
            head = b""


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
    stream = "stderr" if entry.stderr else "stdout"
    try:
        return LogLineView(entry.at, stream, entry.text.decode())
    except UnicodeDecodeError:
        return LogLineView(entry.at, stream, "", b64encode(entry.text).decode())
