"""The view that is shown, how it is narrowed down and sorted, and the way to it. Pure."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from orion.model.api.watch import AllocationRow, JobRow, Noun
from orion.model.counts import several
from orion.tui.columns import Column, View, natural
from orion.tui.filters import read_filter
from orion.tui.history import History, Place
from orion.tui.listing import Listing
from orion.tui.relations import Jump, job_name
from orion.tui.store import Store
from orion.tui.summary import Asked, Span
from orion.tui.views import VIEWS
from orion.tui.views.tasks import OVER

MOST_NAMED = 5  # tasks, in a sentence


class Desk:
    """`wide` and `faults` hold for all views; each view remembers how it is sorted."""

    def __init__(self, store: Store, first: Place, *, wide: bool = False) -> None:
        self.history = History(first)
        self.wide = wide
        self.faults = False
        self._store = store
        self._sorted: dict[str, tuple[Column, bool]] = {}
        self.listing = self._listing()

    @property
    def place(self) -> Place:
        return self.history.here

    @property
    def view(self) -> View:
        return self.listing.view

    @property
    def wrong(self) -> str:
        """Says what is wrong with the filter, "" for nothing."""
        return self.listing.filter.wrong

    def _listing(self) -> Listing:
        place = self.history.here
        view = VIEWS[place.view]
        listing = Listing(view, partial(self._labels, view))
        if view.name in self._sorted:
            column, reverse = self._sorted[view.name]
            listing.sort(column, reverse=reverse)
        listing.show(filter=read_filter(place.filter), scope=place.scope, faults=self.faults)
        listing.take(self._store.tables[view.noun])
        return listing

    def _labels(self, view: View, row: Any) -> Mapping[str, str]:
        """Returns a row's labels, and those of its job: its tasks have them in common."""
        job = self._store.tables[Noun.JOBS].get(job_name(view.noun, row))
        return {**job.labels, **view.labels(row)} if isinstance(job, JobRow) else view.labels(row)

    def take(self, changed: set[Noun]) -> bool:
        """Takes what is new. Returns whether anything of what is shown may have changed."""
        return self.view.noun in changed and self.listing.take(self._store.tables[self.view.noun])

    # --- ways ---------------------------------------------------------------------------------------------

    def leave(self, at: str) -> None:
        """Remembers the row that the cursor is on."""
        self.history.leave(self.place._replace(at=at))

    def go(self, place: Place) -> None:
        self.history.go(place)
        self.listing = self._listing()

    def enter(self, jump: Jump) -> None:
        self.history.enter(Place(jump.view, jump.scope, "", jump.at))
        self.listing = self._listing()

    def up(self) -> bool:
        return self._moved(self.history.up())

    def back(self) -> bool:
        return self._moved(self.history.back())

    def forward(self) -> bool:
        return self._moved(self.history.forward())

    def swap(self) -> bool:
        return self._moved(self.history.swap())

    def _moved(self, moved: bool) -> bool:
        if moved:
            self.listing = self._listing()
        return moved

    # --- rows ---------------------------------------------------------------------------------------------

    def narrow(self, text: str) -> None:
        """Filters the rows."""
        self.history.leave(self.place._replace(filter=text.strip()))
        self._narrowed()

    def toggle_faults(self) -> None:
        self.faults = not self.faults
        self._narrowed()

    def _narrowed(self) -> None:
        place = self.place
        self.listing.show(filter=read_filter(place.filter), scope=place.scope, faults=self.faults)

    def sort(self, column: Column) -> None:
        """Sorts by a column, the other way round where it is so already."""
        listing = self.listing
        reverse = not listing.reverse if column is listing.sorted_by else column.down
        self._sort(column, reverse=reverse)

    def sort_beside(self, step: int, shown: Sequence[Column]) -> None:
        """Sorts by the column beside, of those that are shown."""
        if not shown:
            return
        at = next((at for at, each in enumerate(shown) if each is self.listing.sorted_by), -1 if step > 0 else 0)
        column = shown[(at + step) % len(shown)]
        self._sort(column, reverse=column.down)

    def reverse(self) -> None:
        self._sort(self.listing.sorted_by, reverse=not self.listing.reverse)

    def _sort(self, column: Column, *, reverse: bool) -> None:
        self._sorted[self.view.name] = column, reverse
        self.listing.sort(column, reverse=reverse)

    # --- words --------------------------------------------------------------------------------------------

    def title(self) -> list[Span]:
        """As in tasks of job web [3 of 5], faults only."""
        listing, place = self.listing, self.place
        spans: list[Span] = [(f" {listing.view.name}", "title")]
        if place.scope is not None:
            spans.append((f" of {place.scope}", "title"))
        narrowed = place.scope is not None or place.filter or self.faults
        spans.append((f" [{_count(len(listing), listing.total if narrowed else len(listing))}]", "value"))
        if place.filter:
            spans.append((f"  /{place.filter}", "busy"))
        if self.faults:
            spans.append(("  faults only", "bad"))
        if self.wide:
            spans.append(("  wide", "dim"))
        if listing.marks:
            spans.append((f"  {len(listing.marks)} marked", "mark"))
        return spans

    def instead(self, asked: Asked) -> str:
        """Returns words for where there are no rows: why, and what to do."""
        if asked.age_s is None:
            return asked.trouble or f"{asked.address} is asked …"
        place, name = self.place, self.view.name
        whose = f" of {place.scope}" if place.scope else ""
        if place.filter:
            return f"no {name}{whose} pass the filter: Esc clears it"
        if self.faults:
            return f"no {name}{whose} have a fault: Ctrl-Z shows all"
        return f"there are no {name}{whose}{self._ending()}"

    def _ending(self) -> str:
        """Returns what still runs on a node from which all tasks have gone: their former runs end there."""
        scope = self.place.scope
        if self.view.noun is not Noun.TASKS or scope is None or scope.noun is not Noun.NODES:
            return ""
        rows = self._store.tables[Noun.ALLOCATIONS].values()
        found = [each for each in rows if isinstance(each, AllocationRow) and each.node_id == scope.key]
        ending = sorted((each.task for each in found if each.state not in OVER), key=natural)
        if not ending:
            return ""
        more = f" and {len(ending) - MOST_NAMED} more" if len(ending) > MOST_NAMED else ""
        ends = "ends" if len(ending) == 1 else "end"
        runs = f"{several(len(ending), 'run')} of before {ends} there yet: {', '.join(ending[:MOST_NAMED])}{more}"
        return f"; {runs}. :allocations {scope.key} shows {'it' if len(ending) == 1 else 'them'}"

    def crumbs(self) -> list[Span]:
        *before, here = self.history.crumbs
        spans: list[Span] = []
        for place in before:
            spans += [(f" {place.crumb} ", "crumb"), (">", "dim")]
        return [*spans, (f" {here.crumb} ", "here")]


def _count(shown: int, total: int) -> str:
    return f"{shown:,}" if shown == total else f"{shown:,} of {total:,}"
