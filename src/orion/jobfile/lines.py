"""Lines and columns of the characters of a text."""

from bisect import bisect_right

from orion.jobfile.faults import Mark


class Lines:
    def __init__(self, text: str) -> None:
        self._starts = [0]
        found = text.find("\n")
        while found >= 0:
            self._starts.append(found + 1)
            found = text.find("\n", found + 1)

    def mark(self, at: int) -> Mark:
        line = bisect_right(self._starts, at)
        return Mark(line, at - self._starts[line - 1] + 1)

    def start(self, line: int) -> int:
        """Returns where a line begins; the end of the last one for those behind it."""
        return self._starts[min(line, len(self._starts)) - 1]
