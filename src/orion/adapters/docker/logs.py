"""A container's output, with its times."""

import re
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime

from orion.adapters.docker.frames import STDERR, Frame, Frames
from orion.model.container import LogEntry, LogQuery
from orion.model.errors import EngineError

_NS = 1_000_000_000

# A log driver's times may be of another zone than UTC (journald).
_TIME = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")


def log_params(query: LogQuery) -> dict[str, str]:
    params = {
        "follow": str(int(query.follow)),
        "stdout": str(int(query.stdout)),
        "stderr": str(int(query.stderr)),
        "tail": "all" if query.tail is None else str(query.tail),
        "timestamps": "1",
    }
    if query.since_ns:
        params["since"] = f"{query.since_ns // _NS}.{query.since_ns % _NS:09d}"
    return params


async def log_entries(body: AsyncIterator[bytes]) -> AsyncGenerator[list[LogEntry], None]:
    """The frames, each an entry, as many at a time as have come. Raises EngineError for what is none."""
    frames = Frames()
    async for piece in body:
        if found := [_entry(frame) for frame in frames.feed(piece)]:
            yield found


def _entry(frame: Frame) -> LogEntry:
    at, _, text = frame.data.partition(b" ")
    return LogEntry(_utc(at), frame.stream == STDERR, text)


def _utc(at: bytes) -> str:
    match = _TIME.fullmatch(at)
    if match is None:
        raise EngineError(f"the Docker Engine sent a line of a container's output without its time: {at[:40]!r}")
    if len(at) == 30 and match[3] == b"Z":
        return at.decode()
    seconds = datetime.fromisoformat((match[1] + match[3]).decode()).astimezone(UTC)
    return f"{seconds:%Y-%m-%dT%H:%M:%S}.{(match[2] or b'').decode():0<9}Z"
