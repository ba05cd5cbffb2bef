"""The rows of a view as they are shown: filtered, of one owner, sorted, with marks. Pure.

Rows are frozen and a changed one is another object, so a look compares identities: ten thousand take a millisecond.
Only those that changed are filtered again and find their place.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from orion.tui.columns import Column, View, natural
from orion.tui.filters import NONE, Filter
from orion.tui.relations import Scope, belongs

Labelled = Callable[[Any], Mapping[str, str]]  # a row's labels, that filters look at
Entry = tuple[Any, Any, str]  # the value it is sorted by, its natural name, its key
FEW = 64  # changes, up to which each is put in its place; more are sorted at once


class Listing:
    """`labels`: of rows, where the view's own are not all. `sorted_by` and `reverse` say the order; `filter`,
    `scope` and `faults` which rows are shown.
    """

    def __init__(self, view: View, labels: Labelled | None = None) -> None:
        self.view = view
        self._labels = labels or view.labels
        by = view.column(view.by)
        assert by is not None, view.by
        self.sorted_by: Column = by
        self.reverse = by.down
        self.filter: Filter = NONE
        self.scope: Scope | None = None
        self.faults = False
        self.marks: set[str] = set()
        self.version = 0  # grows whenever what is shown may have changed
        self._seen: dict[str, Any] = {}
        self._entries: dict[str, Entry] = {}
        self._order: list[Entry] = []
        self._passes: Callable[[Any], bool] = self._test()

    def __len__(self) -> int:
        return len(self._order)

    @property
    def total(self) -> int:
        """Rows of the view, those that are not shown too."""
        keep = self.view.keep
        return len(self._seen) if keep is None else sum(map(keep, self._seen.values()))

    def take(self, rows: Mapping[str, Any]) -> bool:
        """Takes the rows as they are now, by key. Returns whether anything of what is shown may have changed."""
        seen = self._seen
        changed = [key for key, row in rows.items() if seen.get(key) is not row]
        new = sum(key not in seen for key in changed)
        gone = [key for key in seen if key not in rows] if len(seen) + new > len(rows) else []
        if not changed and not gone:
            return False
        moved = False
        leaving, coming = list[Entry](), list[Entry]()
        for key in gone:
            del seen[key]
            self.marks.discard(key)
            if (entry := self._entries.pop(key, None)) is not None:
                leaving.append(entry)
        for key in changed:
            row = seen[key] = rows[key]
            before = self._entries.get(key)
            after = self._entry(key, row) if self._passes(row) else None
            moved = moved or before is not None or after is not None
            if after == before:
                continue
            if before is not None:
                leaving.append(before)
            if after is None:
                del self._entries[key]
            else:
                self._entries[key] = after
                coming.append(after)
        self._place(leaving, coming)
        if not moved and not leaving:
            return False
        self.version += 1
        return True

    def _place(self, leaving: list[Entry], coming: list[Entry]) -> None:
        if len(leaving) + len(coming) <= FEW:
            for entry in leaving:
                del self._order[bisect_left(self._order, entry)]
            for entry in coming:
                insort(self._order, entry)
        else:
            self._order = sorted(self._entries.values())

    def sort(self, column: Column, *, reverse: bool) -> None:
        self.sorted_by, self.reverse = column, reverse
        self._again()

    def show(self, *, filter: Filter, scope: Scope | None, faults: bool) -> None:  # noqa: A002 -- what it is
        """Says which rows are shown."""
        self.filter, self.scope, self.faults = filter, scope, faults
        self._passes = self._test()
        self._again()

    def _again(self) -> None:
        passes = self._passes
        self._entries = {key: self._entry(key, row) for key, row in self._seen.items() if passes(row)}
        self._order = sorted(self._entries.values())
        self.version += 1

    def _entry(self, key: str, row: Any) -> Entry:
        return self.sorted_by.key(row), natural(key), key

    def _test(self) -> Callable[[Any], bool]:
        view, wanted, tests = self.view, self.filter, list[Callable[[Any], bool]]()
        if view.keep is not None:
            tests.append(view.keep)
        if self.scope is not None and (test := belongs(view.noun, self.scope)) is not None:
            tests.append(test)
        if self.faults:
            tests.append(view.fault)
        if wanted.labels:
            tests.append(lambda row: wanted.passes((), self._labels(row)))
        elif not wanted.empty:
            tests.append(lambda row: wanted.passes(view.words(row), {}))
        return lambda row: all(test(row) for test in tests)

    # --- reading ------------------------------------------------------------------------------------------

    def key_at(self, index: int) -> str:
        """The key of a row as it is shown; "" where there is none."""
        if not 0 <= index < len(self._order):
            return ""
        return self._order[len(self._order) - 1 - index if self.reverse else index][2]

    def index_of(self, key: str) -> int:
        """Where a row is shown; -1: it is not."""
        entry = self._entries.get(key)
        if entry is None:
            return -1
        at = bisect_left(self._order, entry)
        return len(self._order) - 1 - at if self.reverse else at

    def row(self, key: str) -> Any | None:
        """A row that is shown."""
        return self._seen.get(key) if key in self._entries else None

    def keys(self) -> Iterator[str]:
        """All that are shown, in their order."""
        return (entry[2] for entry in (reversed(self._order) if self.reverse else self._order))

    # --- marks --------------------------------------------------------------------------------------------

    def mark(self, key: str) -> None:
        """Marks a row, or takes its mark away."""
        if key:
            self.marks ^= {key}
            self.version += 1

    def mark_range(self, key: str) -> None:
        """Marks all from the nearest mark above, or below, to this row."""
        here = self.index_of(key)
        marked = [at for at in map(self.index_of, self.marks) if at >= 0]
        if here < 0:
            return
        nearest = min(marked, key=lambda at: abs(at - here), default=here)
        self.marks |= {self.key_at(at) for at in range(min(here, nearest), max(here, nearest) + 1)}
        self.version += 1

    def clear_marks(self) -> None:
        self.marks.clear()
        self.version += 1

    def chosen(self, key: str) -> list[str]:
        """The marked rows that are shown, in their order, else the one under the cursor."""
        marked = [each for each in self.keys() if each in self.marks] if self.marks else []
        return marked or ([key] if key in self._entries else [])
