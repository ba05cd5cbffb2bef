"""A screen of text: wrap, filter, save, copy. What the text is, its subclasses say."""

import contextlib
import time
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input

from orion.tui.cluster import Cluster
from orion.tui.pager import Pager
from orion.tui.pages import finder
from orion.tui.screens.pane import Pane

MOST_COPIED = 74_000  # characters: terminals take no more at a time
FOLDER = Path("~/orion-top")


class FilterLine(Input):
    """Escape empties it and goes back to the text; Enter goes back with what stands there."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]
    DEFAULT_CSS = """
    FilterLine { padding: 0 1; display: none; }
    """

    def action_leave(self) -> None:
        self.value = ""
        self.post_message(self.Submitted(self, ""))


class TextPane(Pane):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("w", "wrap", "Wrap"),
        Binding("c", "copy", "Copy", show=False),
        Binding("ctrl+s", "save", "Save"),
    ]

    def __init__(self, cluster: Cluster, heading: str, file: str) -> None:
        super().__init__(cluster, heading)
        self._file = file.replace("/", "-")

    @property
    def pager(self) -> Pager:
        return self.query_one(Pager)

    def body(self) -> Iterable[Widget]:
        yield self.new_pager()
        yield FilterLine(placeholder="a regular expression; with ! before it the other lines", compact=True)

    def new_pager(self) -> Pager:
        return Pager()

    def on_mount(self) -> None:
        self.pager.focus()

    def action_back(self) -> None:
        line = self.query_one(FilterLine)
        if line.display:
            line.action_leave()
        else:
            super().action_back()

    def action_filter(self) -> None:
        line = self.query_one(FilterLine)
        line.display = True
        line.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.pager.look_for(finder(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one(FilterLine).display = bool(event.value)
        self.pager.focus()

    def action_wrap(self) -> None:
        self.pager.set_wrap(not self.pager.wrap)

    def action_copy(self) -> None:
        text = "\n".join(self.pager.pages.shown)
        if len(text) > MOST_COPIED:
            self.say(f"{len(text):,} characters are too many to be copied through a terminal: Ctrl-S saves them")
            return
        self.app.copy_to_clipboard(text)
        self.say(f"copied {len(text):,} characters")

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
    return f"{len(lines):,} lines are in {path}"
