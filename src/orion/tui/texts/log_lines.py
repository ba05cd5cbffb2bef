"""Output of tasks in lines: what was written, and between it what happened to the tasks."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from orion.client import LogLine
from orion.model.printable import plain as printable
from orion.tui.lines import JOB_LOOKS, Line, Part

NOTE = "note"
MARK = "mark"
_STREAM_LOOKS = {"stderr": "warn", NOTE: "title", MARK: "dim"}


class Written(NamedTuple):
    """A line of a task; `stream`: stdout, stderr, or NOTE for what happened to the task, MARK for a person's."""

    at: str
    task: str
    node: str
    stream: str
    text: str


def written(task: str, line: LogLine) -> Written:
    return Written(line.at, task, line.node, line.stream, printable(line.text.decode(errors="replace")))


class LogLines:
    """The last `most` lines; `dropped` counts those before them. `timestamps`, `names`: they begin with these."""

    def __init__(self, most: int) -> None:
        self.dropped = 0
        self.timestamps = False
        self.names = False
        self._kept: deque[Written] = deque(maxlen=most)
        self._numbers: dict[str, int] = {}  # of tasks, for their looks
        self._width = 0  # of the longest name

    def add(self, lines: Iterable[Written]) -> list[Line]:
        shown = []
        for line in lines:
            self.dropped += len(self._kept) == self._kept.maxlen
            self._kept.append(line)
            shown.append(self._line(line))
        return shown

    def again(self) -> Iterator[Line]:
        return map(self._line, self._kept)

    def clear(self) -> None:
        self._kept.clear()
        self.dropped = 0

    def _line(self, line: Written) -> Line:
        look = _STREAM_LOOKS.get(line.stream, "")
        at = (Part(f"{line.at} ", "dim"),) if self.timestamps and line.at else ()
        return (*at, *self._name(line), Part(line.text, look))

    def _name(self, line: Written) -> tuple[Part, ...]:
        if not self.names or not line.task:
            return ()
        number = self._numbers.setdefault(line.task, len(self._numbers))
        text = f"{line.task}@{line.node}" if line.node else line.task
        self._width = max(self._width, len(text))
        return (Part(f"{text:<{self._width}} ", f"job{number % JOB_LOOKS}"),)
