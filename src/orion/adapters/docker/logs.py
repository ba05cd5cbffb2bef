"""Docker's log stream: stdout and stderr in frames of one connection (Engine API, "Stream format")."""

import re
import struct
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime

from orion.model.container import LogEntry, LogQuery
from orion.model.errors import EngineError

MAX_ENTRY_BYTES = 1024 * 1024  # Docker itself cuts lines into pieces of 16 kB
_NS = 1_000_000_000

_HEADER = struct.Struct(">BxxxL")  # which stream, how many bytes follow
_STDERR = 2
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
    pending = bytearray()
    async for chunk in body:
        pending += chunk
        found, begin = [], 0
        while len(pending) - begin >= _HEADER.size:
            stream, size = _HEADER.unpack_from(pending, begin)
            if size > MAX_ENTRY_BYTES:
                raise EngineError(f"the Docker Engine sent a line of {size} bytes of a container's output")
            end = begin + _HEADER.size + size
            if end > len(pending):
                break
            found.append(_entry(stream, bytes(pending[begin + _HEADER.size : end])))
            begin = end
        del pending[:begin]
        if found:
            yield found


def _entry(stream: int, line: bytes) -> LogEntry:
    at, _, text = line.partition(b" ")
    return LogEntry(_utc(at), stream == _STDERR, text)


def _utc(at: bytes) -> str:
    match = _TIME.fullmatch(at)
    if match is None:
        raise EngineError(f"the Docker Engine sent a line of a container's output without its time: {at[:40]!r}")
    if len(at) == 30 and match[3] == b"Z":
        return at.decode()
    seconds = datetime.fromisoformat((match[1] + match[3]).decode()).astimezone(UTC)
    return f"{seconds:%Y-%m-%dT%H:%M:%S}.{(match[2] or b'').decode():0<9}Z"
