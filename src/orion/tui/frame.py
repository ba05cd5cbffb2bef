"""The lines above and below the table: who is asked, what is shown, the way to it, and sentences for a while."""

import time
from collections.abc import Iterable, Mapping, Sequence
from textwrap import wrap

from textual.screen import Screen

from orion.model.printable import one_line
from orion.tui import summary
from orion.tui.bars import Bar
from orion.tui.cells import width_of
from orion.tui.keys import HELP, Key, shown
from orion.tui.later import Later
from orion.tui.store import Store
from orion.tui.summary import Asked, Span

NOTE_S = 8.0  # so long a sentence stays, for each of its lines
MOST_NOTED = 5  # lines of a sentence
HEADER_S = 0.5  # between two countings of all rows: the index alone would be other bytes at each commit


class Frame:
    """The bars of a screen, `above` and `below` its table."""

    def __init__(self, screen: Screen[None], styles: Mapping[str, str]) -> None:
        self._screen = screen
        self._bars = {
            name: Bar(styles, lines, id=name)
            for name, lines in (("header", 2), ("title", 1), ("reason", 1), ("crumbs", 1), ("hints", 1))
        }
        self.above = [self._bars["header"], self._bars["title"]]
        self.below = [self._bars["reason"], self._bars["crumbs"], self._bars["hints"]]
        self.entry: list[Span] = []  # what is being typed
        self.offered: Sequence[str] = ()  # what may be
        self._note = ""
        self._look = "note"  # of the sentence
        self._later: Later | None = None
        self._told_s = 0.0  # the header
        self._news: tuple[object, ...] = ()  # of it what is told at once

    @property
    def noted(self) -> bool:
        return bool(self._note)

    def paint(self, styles: Mapping[str, str]) -> None:
        for bar in self._bars.values():
            bar.paint(styles)

    def toggle(self, name: str) -> None:
        """Hides a bar, or shows it again."""
        self._bars[name].display = not self._bars[name].display

    def note(self, text: str, *, wrong: bool) -> None:
        """Says a sentence in the place of the crumbs, for a while; "" nothing."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        self._note, self._look = one_line(text), "error" if wrong else "note"
        if text:
            self._later = Later(self._screen, NOTE_S * len(self._noted()), self._forget)

    def _forget(self) -> None:
        self._note = ""  # the next look at the clock draws it

    def _noted(self) -> list[list[Span]]:
        """Returns the sentence in as many lines as it needs."""
        rows = wrap(self._note, max(10, self._screen.size.width - 2), max_lines=MOST_NOTED, placeholder=" …")
        return [[(f" {row}", self._look)] for row in rows]

    def tell(
        self,
        store: Store,
        asked: Asked,
        *,
        title: list[Span],
        reason: str,
        crumbs: list[Span],
        hints: list[Span],
    ) -> None:
        """`reason`: that of the row under the cursor, in its whole length."""
        now_s, news = time.monotonic(), (asked._replace(age_s=None), summary.is_old(asked), store.leader)
        if now_s - self._told_s > HEADER_S or news != self._news:
            self._told_s, self._news = now_s, news
            old = summary.old_line(asked)
            lines = summary.first_line(store, asked), summary.second_line(store)
            self._bars["header"].tell(*([old] if old else ()), *lines)
        self._bars["title"].tell(title)
        self._bars["reason"].tell([(f"  {one_line(reason)}", "dim")])
        offered: list[Span] = [(f" {word} ", "dim") for word in self.offered]
        self._bars["crumbs"].tell(*(self._noted() or [offered or crumbs]))
        self._bars["hints"].tell(self.entry or hints)


def hints_of(keys: Iterable[Key], keymap: Mapping[str, str], width: int) -> list[Span]:
    """Returns those keys that are always shown, as they are now, as many as there is room for. The last is the
    one that shows them all.
    """
    of = {does: key for key, does in keymap.items()}
    hints = [
        (each.does, [(f" <{shown(of[each.does])}>", "key"), (f" {each.hint}", "hint")])
        for each in keys
        if each.hint and each.does in of and not each.locked
    ]
    last = [span for does, spans in hints if does == HELP for span in spans]
    kept, left = list[Span](), width - _width(last)
    for does, spans in hints:
        left -= _width(spans) if does != HELP else 0
        if left < 0:
            break
        kept += spans if does != HELP else []
    return kept + last


def _width(spans: Iterable[Span]) -> int:
    return sum(width_of(text) for text, _ in spans)
