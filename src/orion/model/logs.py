"""A reader's position in a task's output, so that reading can go on there."""

import re
from collections.abc import Iterable
from datetime import date

import msgspec

from orion.model.container import LogEntry
from orion.model.ids import AllocationId, allocation_text

NS = 1_000_000_000
_EPOCH = date(1970, 1, 1).toordinal()

_AT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{9}Z"
POSITION = rf"([0-9a-f]{{8}}),({_AT})?,([0-9]{{1,9}}),({_AT})?,([0-9]{{1,9}})"
_POSITION = re.compile(POSITION)
# The two streams are written side by side, each in its own order: one may be this much behind the other.
_SLACK_NS = NS


class Mark(msgspec.Struct, frozen=True, gc=False):
    """A position in one stream: all before `at` has been read, and the first `count` entries of that very
    moment.
    """

    at: str = ""
    count: int = 0


class LogPosition(msgspec.Struct, frozen=True):
    """A position in the output of one run of a task."""

    allocation: AllocationId
    stdout: Mark = Mark()
    stderr: Mark = Mark()

    def __str__(self) -> str:
        out, err = self.stdout, self.stderr
        return f"{allocation_text(self.allocation)},{out.at},{out.count},{err.at},{err.count}"

    @property
    def last_at(self) -> str:
        """The time at which the last entry that was read was written, "" for none."""
        return max(self.stdout.at, self.stderr.at)

    @property
    def since_ns(self) -> int:
        """The Unix time from which all unread entries are; 0 when nothing was read."""
        return max(0, unix_ns(self.last_at) - _SLACK_NS) if self.last_at else 0


def parse_position(text: str) -> LogPosition | None:
    """Returns None when the text is no position."""
    match = _POSITION.fullmatch(text)
    if match is None:
        return None
    allocation, out_at, out_count, err_at, err_count = match.groups()
    return LogPosition(
        AllocationId(int(allocation, 16)),
        Mark(out_at or "", int(out_count)),
        Mark(err_at or "", int(err_count)),
    )


class LogPiece(msgspec.Struct, frozen=True):
    """Some output of one run of a task. `position` is the one after it."""

    allocation: str
    node: str
    entries: list[LogEntry]
    position: LogPosition


class LogNotice(msgspec.Struct, frozen=True):
    """One sentence about the task's life between two pieces."""

    text: str


class LogEnd(msgspec.Struct, frozen=True):
    """The task has ended and all its output was read. `text` says why, in one sentence."""

    text: str


LogItem = LogPiece | LogNotice | LogEnd


class LogReader:
    """Follows one run's output over several readings of it, and leaves out entries that were read before."""

    def __init__(self, position: LogPosition) -> None:
        self._allocation = position.allocation
        self._marks = {False: position.stdout, True: position.stderr}
        self._seen: dict[bool, int] = {}

    @property
    def position(self) -> LogPosition:
        return LogPosition(self._allocation, self._marks[False], self._marks[True])

    def begin(self) -> None:
        """Begins a new reading, from `position.since_ns`."""
        self._seen = {stderr: 0 for stderr, mark in self._marks.items() if mark.at}

    def unread(self, entries: Iterable[LogEntry]) -> list[LogEntry]:
        """Returns those of the next entries of this reading that no earlier one has had."""
        fresh = [entry for entry in entries if not (entry.stderr in self._seen and self._was_read(entry))]
        for entry in fresh:
            mark = self._marks[entry.stderr]
            count = mark.count + 1 if mark.at == entry.at else 1
            self._marks[entry.stderr] = Mark(entry.at, count)
        if fresh:
            # Earlier entries of a silent stream were not asked for (only the last lines were), and are not later.
            for stderr, mark in self._marks.items():
                if not mark.at:
                    self._marks[stderr] = Mark(fresh[0].at)
        return fresh

    def _was_read(self, entry: LogEntry) -> bool:
        mark = self._marks[entry.stderr]
        if entry.at < mark.at:
            return True
        if entry.at == mark.at and self._seen[entry.stderr] < mark.count:
            self._seen[entry.stderr] += 1
            return True
        del self._seen[entry.stderr]  # from here on all is new, whatever the clock says
        return False


def unix_ns(at: str) -> int:
    """Returns the Unix time of a LogEntry's `at`."""
    first_day = date(int(at[:4]), int(at[5:7]), 1).toordinal() - _EPOCH
    hours = (first_day + int(at[8:10]) - 1) * 24 + int(at[11:13])
    return ((hours * 60 + int(at[14:16])) * 60 + int(at[17:19])) * NS + int(at[20:29])
