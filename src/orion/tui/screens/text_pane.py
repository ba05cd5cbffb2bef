"""A screen of text: wrap, filter, save, copy. What the text is, its subclasses say."""

import contextlib
import time
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from orion.model.counts import several
from orion.tui.cluster import Cluster
from orion.tui.pager import Pager
from orion.tui.pages import fault_of, finder
from orion.tui.screens.pane import Pane

MOST_COPIED = 74_000  # characters: terminals take no more at a time
FOLDER = Path("~/orion-top")


class TextPane(Pane):
    """`filter`: the lines that are shown pass this regular expression; with ! before it those that do not. The app
    has it typed, as that of the tables.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "app.filter", "Filter", key_display="/"),
        Binding("w", "wrap", "Wrap"),
        Binding("c", "copy", "Copy", show=False),
        Binding("ctrl+s", "save", "Save"),
    ]

    def __init__(self, cluster: Cluster, heading: str, file: str) -> None:
        super().__init__(cluster, heading)
        self._file = file.replace("/", "-")
        self.filter = ""
        self._wrong = ""  # what is so with it

    @property
    def pager(self) -> Pager:
        return self.query_one(Pager)

    def body(self) -> Iterable[Widget]:
        yield self.new_pager()

    def new_pager(self) -> Pager:
        return Pager()

    def on_mount(self) -> None:
        self.pager.focus()
        self._mark()

    def action_back(self) -> None:
        if self.filter:
            self.narrow("")
        else:
            super().action_back()

    def narrow(self, text: str) -> None:
        """Shows the lines alone that pass this filter; "" all."""
        self.filter, before = text.strip(), self._wrong
        self._wrong = fault_of(self.filter)
        self.pager.look_for(finder(self.filter))
        self._say_instead()
        if self._wrong or before:
            self.say(self._wrong)
        self._mark()

    def _mark(self) -> None:
        """Says in the heading what is left out, and whether long lines are wrapped."""
        wrap = "wrapped" if self.pager.wrap else "not wrapped"
        self.marks("  ".join(filter(None, (f"/{self.filter}" if self.filter else "", wrap))))

    @property
    def instead(self) -> str:
        """Words for where there are no lines."""
        return ""

    def _say_instead(self) -> None:
        self.pager.say_instead(f"no line passes /{self.filter}: Esc clears it" if self.filter else self.instead)

    def action_wrap(self) -> None:
        self.pager.set_wrap(not self.pager.wrap)
        self._mark()

    def action_copy(self) -> None:
        text = "\n".join(self.pager.pages.shown)
        if len(text) > MOST_COPIED:
            self.say(f"{len(text):,} characters are too many to be copied through a terminal: Ctrl-S saves them")
            return
        self.app.copy_to_clipboard(text)
        self.say(f"copied {several(len(text), 'character')}")

    def action_save(self) -> None:
        """Saves what is shown, in a file of its own."""
        lines = self.pager.pages.shown
        self.say(saved(f"{self._file}-{time.strftime('%Y%m%d-%H%M%S')}.txt", lines))


def saved(name: str, lines: list[str]) -> str:
    """Writes lines to a new file in FOLDER. Returns a sentence of what became of it."""
    folder = FOLDER.expanduser()
    path = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(path.open("x", encoding="utf-8")) as file:
            file.writelines(f"{line}\n" for line in lines)
    except OSError as error:
        return f"{path} can't be written: {error.strerror or error}"
    return f"{several(len(lines), 'line')} in {path}"
