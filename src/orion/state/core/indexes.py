"""Indexes follow from a table's rows, are not in a snapshot, and are kept with every change of a row."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

Key_contra = TypeVar("Key_contra", contravariant=True)
Row_contra = TypeVar("Row_contra", contravariant=True)
_AnyKey = TypeVar("_AnyKey")
_AnyRow = TypeVar("_AnyRow")


class Index(Protocol[Key_contra, Row_contra]):
    def add(self, key: Key_contra, row: Row_contra, /) -> None: ...

    def replace(self, key: Key_contra, former: Row_contra, row: Row_contra, /) -> None: ...

    def remove(self, key: Key_contra, row: Row_contra, /) -> None: ...

    def clear(self) -> None: ...

    def content(self) -> object:
        """Equal when the rows are."""


class SortedKeys:
    """The keys in order, for tables whose keys are text."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def add(self, key: str, _row: object) -> None:
        if self.keys and key < self.keys[-1]:
            insort(self.keys, key)
        else:
            self.keys.append(key)

    def replace(self, key: str, former: object, row: object) -> None:
        """The key stays."""

    def remove(self, key: str, _row: object) -> None:
        del self.keys[bisect_left(self.keys, key)]

    def clear(self) -> None:
        self.keys.clear()

    def content(self) -> object:
        return self.keys

    def prefixed(self, prefix: str, after: str) -> Iterator[str]:
        """Those past `after` that begin with `prefix`. Costs what it gives, not what there is."""
        for at in range(max(bisect_left(self.keys, prefix), bisect_right(self.keys, after)), len(self.keys)):
            if not self.keys[at].startswith(prefix):
                return
            yield self.keys[at]


class Total(Generic[_AnyRow]):
    """The sum of what each row counts for."""

    def __init__(self, weight: Callable[[_AnyRow], int]) -> None:
        self.total = 0
        self._weight = weight

    def add(self, _key: object, row: _AnyRow) -> None:
        self.total += self._weight(row)

    def replace(self, _key: object, former: _AnyRow, row: _AnyRow) -> None:
        self.total += self._weight(row) - self._weight(former)

    def remove(self, _key: object, row: _AnyRow) -> None:
        self.total -= self._weight(row)

    def clear(self) -> None:
        self.total = 0

    def content(self) -> object:
        return self.total


class KeysBy(Generic[_AnyKey, _AnyRow]):
    """The keys of the rows of each owner, of which a row may have several."""

    def __init__(self, owners: Callable[[_AnyRow], Iterable[str]]) -> None:
        self._owners = owners
        self._keys: dict[str, set[_AnyKey]] = {}

    def add(self, key: _AnyKey, row: _AnyRow) -> None:
        for owner in self._owners(row):
            self._keys.setdefault(owner, set()).add(key)

    def remove(self, key: _AnyKey, row: _AnyRow) -> None:
        for owner in self._owners(row):
            self._keys[owner].discard(key)
            if not self._keys[owner]:
                del self._keys[owner]

    def replace(self, key: _AnyKey, former: _AnyRow, row: _AnyRow) -> None:
        self.remove(key, former)
        self.add(key, row)

    def clear(self) -> None:
        self._keys.clear()

    def content(self) -> object:
        return self._keys

    def of(self, owner: str) -> Iterable[_AnyKey]:
        return self._keys.get(owner, ())
