"""Where one was: the crumbs of one way, and the ways that `[` and `]` lead back and forth. Pure."""

from typing import NamedTuple

from orion.tui.relations import Scope

MOST_WAYS = 100


class Place(NamedTuple):
    """A view as it was left. `at`: the key of the row under the cursor."""

    view: str
    scope: Scope | None = None
    filter: str = ""
    at: str = ""

    @property
    def crumb(self) -> str:
        name = f"{self.view} of {self.scope.key}" if self.scope else self.view
        return f"{name} /{self.filter}" if self.filter else name


class History:
    """A way is a view that was asked for, and what was entered from there."""

    def __init__(self, first: Place) -> None:
        self._ways: list[list[Place]] = [[first]]
        self._at = 0
        self._last = 0  # the way before this one, for `swap`

    @property
    def here(self) -> Place:
        return self._ways[self._at][-1]

    @property
    def crumbs(self) -> tuple[Place, ...]:
        return tuple(self._ways[self._at])

    def leave(self, place: Place) -> None:
        """Remembers how the present view is left."""
        self._ways[self._at][-1] = place

    def go(self, place: Place) -> None:
        """Begins a new way. What was ahead is forgotten."""
        last = self._at
        self._ways = [*self._ways[: last + 1], [place]]
        del self._ways[:-MOST_WAYS]
        self._at = len(self._ways) - 1
        self._last = self._at - 1

    def enter(self, place: Place) -> None:
        """Goes on along this way."""
        self._ways[self._at].append(place)

    def up(self) -> bool:
        """Goes back along this way. False: here it began."""
        if len(self._ways[self._at]) == 1:
            return False
        self._ways[self._at].pop()
        return True

    def back(self) -> bool:
        return self._move(self._at - 1)

    def forward(self) -> bool:
        return self._move(self._at + 1)

    def swap(self) -> bool:
        """Goes to the way before this one, and the next time back."""
        return self._last != self._at and self._move(self._last)

    def _move(self, at: int) -> bool:
        if not 0 <= at < len(self._ways):
            return False
        self._at, self._last = at, self._at
        return True
