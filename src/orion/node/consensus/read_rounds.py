"""Rounds of the core's read barrier: all who ask within one turn of the loop share the next one."""

import asyncio

from orion.raft.interface import ReadState

MAX_READ_ROUNDS = 64  # past this, rounds whose readers have all given up are forgotten

Reader = asyncio.Future[int]  # the index that its read is safe at; 0: refused


class ReadRounds:
    def __init__(self) -> None:
        self._next: list[Reader] = []
        self._under_way: dict[int, list[Reader]] = {}  # by the core's context
        self._context = 0

    def __len__(self) -> int:
        """How many rounds are under way."""
        return len(self._under_way)

    def join(self) -> Reader:
        reader: Reader = asyncio.get_running_loop().create_future()
        self._next.append(reader)
        return reader

    def begin(self) -> int | None:
        """Returns the context of a new round for all who have joined; None when nobody waits."""
        readers, self._next = [r for r in self._next if not r.done()], []
        if not readers:
            return None
        if len(self._under_way) >= MAX_READ_ROUNDS:
            self._forget_abandoned()
        self._context += 1
        self._under_way[self._context] = readers
        return self._context

    def _forget_abandoned(self) -> None:
        self._under_way = {c: rs for c, rs in self._under_way.items() if any(not r.done() for r in rs)}

    def answer(self, read: ReadState) -> None:
        """A round that was answered answers those before it too; one that was refused is refused alone."""
        for context in [c for c in self._under_way if c <= read.context]:
            if context == read.context or read.index:
                _tell(self._under_way.pop(context), read.index)

    def refuse_all(self) -> None:
        for readers in (*self._under_way.values(), self._next):
            _tell(readers, 0)


def _tell(readers: list[Reader], index: int) -> None:
    for reader in readers:
        if not reader.done():
            reader.set_result(index)
