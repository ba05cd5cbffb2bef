"""Lines as rows of a given width: wrapped or not, filtered, the oldest forgotten when they are too many. Pure."""

import re
from collections import deque
from collections.abc import Callable, Iterable

from orion.tui.lines import Line, marked, text_of, width_of, wrapped

# Of a line's text the place of what is looked for, None for one that is not shown.
Find = Callable[[str], tuple[int, int] | None]


def finder(words: str) -> Find | None:
    """Returns what finds lines by a regular expression, or with a ! before it the others; None for no words. What
    is no expression is looked for as it is written. Small letters find large ones.
    """
    inverse, sought = words.startswith("!"), words.removeprefix("!").strip()
    if not sought:
        return None
    flags = 0 if any(each.isupper() for each in sought) else re.IGNORECASE
    try:
        pattern = re.compile(sought, flags)
    except re.error:
        pattern = re.compile(re.escape(sought), flags)

    def find(text: str) -> tuple[int, int] | None:
        match = pattern.search(text)
        if inverse:
            return None if match else (0, 0)
        return match.span() if match else None

    return find


def fault_of(words: str) -> str:
    """Returns why it is no regular expression; "" for one, or for no words."""
    try:
        re.compile(words.removeprefix("!").strip())
    except re.error as error:
        return f"{words!r} is no regular expression ({error}): it is looked for as it is"
    return ""


class Pages:
    """`most`: lines that are kept. `dropped`: how many were forgotten, the oldest first."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.dropped = 0
        self.width = 0  # of the widest row
        self._lines: deque[Line] = deque()
        self._heights: deque[int] = deque()  # of each line its rows
        self._rows: list[Line] = []
        self._gone = 0  # rows at the front of `_rows` that count no more
        self._find: Find | None = None
        self._wrap = 0

    def __len__(self) -> int:
        """Returns how many rows there are."""
        return len(self._rows) - self._gone

    @property
    def lines(self) -> int:
        return len(self._lines)

    @property
    def shown(self) -> list[str]:
        """The text of all lines that are not filtered out."""
        texts = (text_of(line) for line in self._lines)
        return [text for text in texts if self._find is None or self._find(text) is not None]

    def row(self, at: int) -> Line:
        return self._rows[self._gone + at]

    def add(self, lines: Iterable[Line]) -> int:
        """Returns how many rows went from the front."""
        for line in lines:
            self._lines.append(line)
            self._lay(line)
        before = self._gone
        while len(self._lines) > self.most:
            self._lines.popleft()
            self._gone += self._heights.popleft()
            self.dropped += 1
        went = self._gone - before
        if self._gone > max(1_000, len(self._rows) // 2):
            del self._rows[: self._gone]
            self._gone = 0
        return went

    def clear(self) -> None:
        self._lines.clear()
        self.dropped = 0
        self._again()

    def replace(self, lines: Iterable[Line]) -> None:
        self.clear()
        self.add(lines)

    def look_for(self, find: Find | None) -> None:
        self._find = find
        self._again()

    def wrap_at(self, width: int) -> None:
        """0: lines are as long as they are."""
        if width != self._wrap:
            self._wrap = width
            self._again()

    def _again(self) -> None:
        self._heights.clear()
        self._rows, self._gone, self.width = [], 0, 0
        for line in self._lines:
            self._lay(line)

    def _lay(self, line: Line) -> None:
        shown = line
        if self._find is not None:
            found = self._find(text_of(line))
            if found is None:
                self._heights.append(0)
                return
            shown = marked(line, *found)
        rows = list(wrapped(shown, self._wrap)) if self._wrap else [shown]
        self._heights.append(len(rows))
        self._rows += rows
        self.width = max(self.width, *map(width_of, rows))
