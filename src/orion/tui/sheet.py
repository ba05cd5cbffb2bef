"""The part of a listing that is in sight: the cursor, what is scrolled away, widths, the texts of cells. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from orion.tui.cells import cell, width_of
from orion.tui.columns import Column, Tone
from orion.tui.layout import GAP, fit, shown
from orion.tui.listing import Listing

MOST_WIDE = 60  # places that a column that can be cut asks for
MOST_NAME = 32  # that a name asks for
_NAMES = ("NAME", "ID", "TASK", "JOB")
GUTTER = 2  # for marks
SAMPLE = 100  # rows that are measured before they are seen


class Line(NamedTuple):
    """A row as it is drawn: equal ones look the same."""

    key: str
    cells: tuple[str, ...]
    tone: Tone
    marked: bool = False
    cursor: bool = False


class Sheet:
    """A table of `width` by `height` places, the titles beside. The cursor stays on its row by the row's key; where
    that is gone, on the place.
    """

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.wide = False
        self.chosen: Sequence[str] = ()
        self.key = ""  # of the row under the cursor
        self.at = 0  # its place
        self.top = 0  # the first row in sight
        self.left = 0  # places scrolled to the side, in wide mode
        self.columns: list[tuple[Column, int]] = []
        self._width, self._height = 80, 20
        self._natural: dict[str, int] = {}  # by title: the widest text seen so far

    def resize(self, width: int, height: int) -> None:
        self._width, self._height = max(1, width), max(1, height)
        self._keep_in_sight()

    @property
    def height(self) -> int:
        return self._height

    def show(self, listing: Listing, *, wide: bool, chosen: Sequence[str], key: str = "") -> None:
        """Shows another listing, or the same with other columns, with the cursor on the row with this key."""
        self.listing, self.wide, self.chosen = listing, wide, chosen
        self._natural = {}
        self.left = 0
        self.key, self.at, self.top = key, 0, 0
        self.follow()

    def follow(self) -> None:
        """The listing has changed: the cursor goes with its row, and the row stays where it is in sight."""
        listing, at = self.listing, self.listing.index_of(self.key)
        if at < 0:
            at = max(0, min(self.at, len(listing) - 1))
            waits = bool(self.key) and not len(listing)  # for its row, that has not come yet
            self.key = self.key if waits else listing.key_at(at)
        elif self.at != at:
            self.top += at - self.at
        self.at = at
        self._keep_in_sight()

    def move(self, by: int) -> None:
        self.go(self.at + by)

    def go(self, at: int) -> None:
        self.at = max(0, min(at, len(self.listing) - 1))
        self.key = self.listing.key_at(self.at)
        self._keep_in_sight()

    def sideways(self, by: int) -> None:
        most = sum(width + GAP for _, width in self.columns) + GUTTER - GAP - self._width
        self.left = max(0, min(self.left + by, most))

    @property
    def held(self) -> int:
        """Places that stay in sight when one goes sideways: the marks and the first column, unless that is all."""
        first = GUTTER + self.columns[0][1] + GAP if self.columns else 0
        return first if first <= self._width // 2 else 0

    def _keep_in_sight(self) -> None:
        self.top = max(0, min(self.top, len(self.listing) - self._height))
        if self.at < self.top:
            self.top = self.at
        elif self.at >= self.top + self._height:
            self.top = self.at - self._height + 1

    # --- drawing ------------------------------------------------------------------------------------------

    def lines(self, now_s: float) -> list[Line]:
        """Returns the rows in sight as they are now, and settles the columns' widths."""
        listing, by = self.listing, self.listing.sorted_by
        columns = shown(listing.view, wide=self.wide, chosen=self.chosen, by=by)
        keys = [listing.key_at(at) for at in range(self.top, min(self.top + self._height, len(listing)))]
        rows = [(key, listing.row(key)) for key in keys]
        texts = [[column.text(row, now_s) for column in columns] for _, row in rows]
        self._measure(columns, texts, now_s)
        natural = [self._natural[each.title] for each in columns]
        self.columns = fit(columns, natural, self._width - GUTTER, wide=self.wide, by=by)
        place = {column.title: at for at, column in enumerate(columns)}
        kept = [(place[column.title], column, width) for column, width in self.columns]
        return [
            Line(
                key,
                tuple(
                    cell(text[at], width, right=column.right, tail=column.title in ("ID", "TASK"))
                    for at, column, width in kept
                ),
                listing.view.tone(row),
                key in listing.marks,
                key == self.key,
            )
            for (key, row), text in zip(rows, texts, strict=True)
        ]

    def titles(self) -> list[tuple[str, bool]]:
        """Returns the heads of the columns, and which one rows are sorted by."""
        by = self.listing.sorted_by
        arrow = by.arrow(reverse=self.listing.reverse)
        return [
            (cell(f"{column.title}{arrow if column is by else ''}", width, right=column.right), column is by)
            for column, width in self.columns
        ]

    def _measure(self, columns: Sequence[Column], texts: Sequence[Sequence[str]], now_s: float) -> None:
        """Widths only grow, as long as a view is shown: columns that move are hard to read."""
        natural = self._natural
        if any(each.title not in natural for each in columns):
            natural.update({each.title: len(each.title) + 1 for each in columns})
            listing = self.listing
            sample = [listing.row(listing.key_at(at)) for at in range(min(SAMPLE, len(listing)))]
            texts = [*texts, *([column.text(row, now_s) for column in columns] for row in sample)]
        for at, column in enumerate(columns):
            widest = max((width_of(text[at]) for text in texts), default=0)
            if column.least and not self.wide:
                widest = min(widest, MOST_NAME if column.title in _NAMES else MOST_WIDE)
            natural[column.title] = max(natural[column.title], widest)

    def texts(self, now_s: float) -> list[list[str]]:
        """Returns all rows with the columns that are shown, uncut, and their titles first: what is saved."""
        columns = [column for column, _ in self.columns]
        rows = [self.listing.row(key) for key in self.listing.keys()]  # noqa: SIM118 -- not a dict
        return [
            [column.title for column in columns],
            *([column.text(row, now_s) for column in columns] for row in rows),
        ]
