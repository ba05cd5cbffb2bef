"""A table: rows that the cluster agrees on, and all that is done with them but by commands."""

from collections.abc import Iterator
from typing import Any, ClassVar, Generic, Self, TypeVar, get_args

import msgspec

from orion.state.core.frames import Rows, batches_by_size
from orion.state.core.indexes import Index

_AT_ONCE = 2_000  # rows: freeing them takes about a millisecond

_Table = TypeVar("_Table", bound="Table")
_Key = TypeVar("_Key")
_Row = TypeVar("_Row")


class TableSet:
    """The tables of one state as of log index `index`, each by its class."""

    __slots__ = ("index", "tables")

    def __init__(self) -> None:
        self.index = 0
        self.tables: dict[type[Table], Table] = {}

    def declare(self, kinds: tuple[type["Table"], ...]) -> None:
        """Empty tables of these kinds, in the order in which a snapshot has them."""
        for kind in kinds:
            self.tables[kind] = kind(self)

    def of(self, kind: type[_Table]) -> _Table:
        return self.tables[kind]  # type: ignore[return-value]


class Table:
    """A table, as a state asks it. `frames`: all that it puts into a snapshot, in no order."""

    frames: ClassVar[tuple[type[Rows], ...]] = ()

    def __init__(self, state: TableSet) -> None:
        """Each table knows the state that it is a part of."""

    def capture(self) -> Iterator[Rows]:
        """Copies at once what a snapshot needs, but not what is in it, and makes frames of that when asked for
        them, in an order that a restore repeats: equal tables give equal bytes.
        """
        raise NotImplementedError

    def restore(self, frame: Any) -> None:
        """Takes one of its frames; they come in the order in which they were made. Raises LookupError for rows that
        can't be.
        """
        raise NotImplementedError

    def header(self) -> dict[str, int]:
        """Fields of the snapshot's Header that it fills."""
        return {}

    def restore_header(self, header: dict[str, Any]) -> None:
        """Takes them back. The Header comes before all frames."""

    def check(self, again: Self) -> None:
        """`again` has the same rows and indexes made anew from them: raises AssertionError where the two are not
        alike.
        """
        raise NotImplementedError

    def free(self) -> Iterator[None]:
        """Empties the table, which nobody reads any more, in short steps."""
        raise NotImplementedError


class KeyedTable(Table, Generic[_Key, _Row]):
    """Rows by key, each in one frame of `rows_frame`. Saved in the order of `ordered`, which a restore repeats.

    `put` and `drop` are for commands; whoever else has the table reads.
    """

    rows_frame: ClassVar[type[Rows]]

    def __init_subclass__(cls) -> None:
        cls.frames = (cls.rows_frame,)

    def __init__(self, state: TableSet, *indexes: Index[_Key, _Row]) -> None:
        super().__init__(state)
        self.rows: dict[_Key, _Row] = {}
        self._indexes = indexes

    @classmethod
    def row_type(cls) -> type[_Row]:
        (rows,) = msgspec.structs.fields(cls.rows_frame)
        (kind,) = get_args(rows.type)
        return kind  # type: ignore[no-any-return]

    @staticmethod
    def key(row: _Row) -> _Key:
        raise NotImplementedError

    @staticmethod
    def size_bytes(row: _Row) -> int:  # noqa: ARG004
        """About how long it is in a snapshot, where rows can be large."""
        return 0

    @staticmethod
    def can_be(row: _Row) -> bool:  # noqa: ARG004
        """Returns whether a snapshot may hold such a row."""
        return True

    def ordered(self) -> list[_Key]:
        """The keys as a snapshot has them: as they came."""
        return list(self.rows)

    def get(self, key: _Key) -> _Row | None:
        return self.rows.get(key)

    def __len__(self) -> int:
        return len(self.rows)

    def put(self, row: _Row) -> None:
        """Adds it, or has it take the place of the one with its key."""
        key = self.key(row)
        former = self.rows.get(key)
        self.rows[key] = row
        for index in self._indexes:
            if former is None:
                index.add(key, row)
            else:
                index.replace(key, former, row)

    def drop(self, key: _Key) -> None:
        row = self.rows.pop(key)
        for index in self._indexes:
            index.remove(key, row)

    def capture(self) -> Iterator[Rows]:
        rows = [self.rows[key] for key in self.ordered()]
        return map(self.rows_frame, batches_by_size(rows, self.size_bytes))

    def restore(self, frame: Rows) -> None:
        for row in frame.rows:
            if self.key(row) in self.rows or not self.can_be(row):
                raise LookupError(row)
            self.put(row)

    def check(self, again: Self) -> None:
        same(f"rows of {type(self).__name__}", self.rows, again.rows)
        same(f"order of {type(self).__name__}", self.ordered(), again.ordered())
        for mine, meant in zip(self._indexes, again._indexes, strict=True):
            same(f"{type(mine).__name__} of {type(self).__name__}", mine.content(), meant.content())

    def free(self) -> Iterator[None]:
        while self.rows:
            for _ in range(min(_AT_ONCE, len(self.rows))):
                self.rows.popitem()
            yield
        for index in self._indexes:
            index.clear()
            yield


def same(what: str, held: object, meant: object) -> None:
    assert held == meant, f"{what}: the state holds {held!r}, its tables say {meant!r}"
