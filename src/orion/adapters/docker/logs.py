"""A container's output, with its times."""

import re
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime

from orion.adapters.docker.frames import MAX_FRAME_BYTES, STDERR, STDOUT, Frame, Frames
from orion.model.container import LogEntry, LogQuery
from orion.model.errors import EngineError

_NS = 1_000_000_000

# A log driver's times may be of another zone than UTC (journald).
_TIME = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")
_TIMED = re.compile(_TIME.pattern + b" ")
PART_BYTES = 16 * 1024  # of a line: Docker cuts longer ones


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
    """The frames, or the lines of a container with a terminal, each an entry, as many at a time as have come.
    Raises EngineError for what is none.
    """
    cut: Frames | TerminalLines | None = None
    async for piece in body:
        if cut is None:
            # A frame begins with its stream's number, a line with its time.
            cut = TerminalLines() if piece[:1].isdigit() else Frames()
        if found := [_entry(frame) for frame in cut.feed(piece)]:
            yield found
    if isinstance(cut, TerminalLines) and (rest := [_entry(frame) for frame in cut.rest()]):
        yield rest


class TerminalLines:
    """Lines of a container with a terminal, which Docker sends without frames: each begins with its time, and a
    long one is cut into parts that do so too.
    """

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, piece: bytes) -> list[Frame]:
        """Returns the lines that are whole. Raises EngineError for one that is too long."""
        self._pending += piece
        *lines, rest = self._pending.split(b"\n")
        self._pending = rest
        if len(self._pending) > MAX_FRAME_BYTES:
            raise EngineError(
                f"the Docker Engine sent a line of {len(self._pending)} bytes of a container's output"
            )
        return [part for line in lines for part in _parts(bytes(line) + b"\n")]

    def rest(self) -> list[Frame]:
        """Returns what has come of a line that has no end."""
        return _parts(bytes(self._pending)) if self._pending else []


def _parts(line: bytes) -> list[Frame]:
    found = []
    while (begin := _TIMED.match(line)) is not None and _TIMED.match(line, begin.end() + PART_BYTES):
        end = begin.end() + PART_BYTES
        found.append(Frame(STDOUT, line[:end]))
        line = line[end:]
    return [*found, Frame(STDOUT, line)]


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
