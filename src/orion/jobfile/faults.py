"""Faults of job files, each with its place, told all at once."""

from typing import NamedTuple

import msgspec

from orion.model.errors import MAX_SHOWN, Refused


class Mark(NamedTuple):
    """A place in a text, from 1; the column counts characters."""

    line: int
    column: int


START = Mark(1, 1)


class Fault(msgspec.Struct, frozen=True, order=True):
    """One thing that is wrong. `path` is the keys that lead to it, as in jobs.web.env; empty: the file itself."""

    file: str
    mark: Mark
    path: str
    message: str

    def __str__(self) -> str:
        path = f"{self.path}: " if self.path else ""
        return f"{self.file}:{self.mark.line}:{self.mark.column}: {path}{self.message}"


class Faults:
    """The faults of one file: the first MAX_SHOWN that are found, and the number of all others."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.shown: list[Fault] = []
        self.more = 0

    def __len__(self) -> int:
        return len(self.shown) + self.more

    @property
    def full(self) -> bool:
        return len(self.shown) >= MAX_SHOWN

    def add(self, mark: Mark, path: str, message: str) -> None:
        fault = Fault(self.file, mark, path, message)
        if fault in self.shown:  # of a part that is used twice
            return
        if self.full:
            self.more += 1
        else:
            self.shown.append(fault)

    def count(self, number: int) -> None:
        """Adds faults that are not shown."""
        self.more += number


class WrongFiles(Refused):
    """Job files can't be taken; each fault is named with its place."""

    title = "Job files are wrong"
    code = "job_files"

    def __init__(self, faults: list[Fault], more: int = 0) -> None:
        self.faults = tuple(faults)
        self.more = more
        super().__init__("; ".join(self.lines()))

    def lines(self) -> list[str]:
        """Returns a line for each fault, and one for those that are only counted."""
        return [*map(str, self.faults), *([f"and {self.more:,} more"] if self.more else [])]
