"""The frame of all screens of this folder: a line that says what is seen, their body, and a line of their keys."""

import time
from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Footer, Static

from orion.model.api.watch import Noun
from orion.tui.cluster import Cluster
from orion.tui.screens.keys import Keys

LOOK_S = 0.2  # between two looks whether the rows have changed
SHARE = 10  # of the time, changed rows take one part in so many
OLD_S = 3.0  # past this the age of the state is said


class Pane(Screen[None]):
    """`nouns`: those on whose change `rows_changed` is called, once when it begins and while it is seen."""

    nouns: ClassVar[frozenset[Noun]] = frozenset()
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back"),
        Binding("q", "back", show=False),
        Binding("question_mark", "keys", "Keys", key_display="?"),
    ]
    DEFAULT_CSS = """
    Pane { layout: vertical; }
    Pane > .heading { height: 1; width: 1fr; background: $panel; color: $text-accent; padding: 0 1; }
    Pane > .saying { height: auto; max-height: 2; width: 1fr; color: $text-warning; padding: 0 1; display: none; }
    """

    def __init__(self, cluster: Cluster, heading: str) -> None:
        super().__init__()
        self.cluster = cluster
        self.heading = heading
        self._status = self._marks = ""
        self._saying = ""
        self._seen: tuple[int, ...] = ()
        self._due_s = 0.0  # of the next time that changed rows are heeded

    def compose(self) -> ComposeResult:
        yield Static(classes="heading", markup=False)
        yield from self.body()
        yield Static(classes="saying", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def body(self) -> Iterable[Widget]:
        return ()

    def rows_changed(self) -> None:
        """Rows of one of its nouns are others than before."""

    def on_mount(self) -> None:
        self.set_interval(LOOK_S, self._look)
        self._draw_heading()
        if self.nouns:
            self._look()

    def status(self, text: str) -> None:
        """Says in a word how it is shown, at the end of the heading."""
        if text != self._status:
            self._status = text
            self._draw_heading()

    def marks(self, text: str) -> None:
        """Says in the heading what is left out."""
        if text != self._marks:
            self._marks = text
            self._draw_heading()

    def say(self, text: str) -> None:
        """Says a sentence below, until another is said; "" nothing."""
        if text != self._saying:
            self._saying = text
            below = self.query_one(".saying", Static)
            below.update(text)
            below.display = bool(text)

    def action_back(self) -> None:
        self.dismiss()

    def action_keys(self) -> None:
        """Shows what the keys do here, those too that the last line has no room for."""
        self.app.push_screen(Keys(self.heading, type(self)))

    def _look(self) -> None:
        if not self.is_current:
            return
        store = self.cluster.store
        self._draw_heading()
        versions = tuple(store.versions[noun] for noun in sorted(self.nouns))
        began_s = time.monotonic()
        if self.nouns and versions != self._seen and began_s >= self._due_s:
            self._seen = versions
            self.rows_changed()
            self._due_s = began_s + SHARE * (time.monotonic() - began_s)

    def _draw_heading(self) -> None:
        old = self._age()
        said = "  ".join(filter(None, (self._marks, self._status, old)))
        above = self.query_one(".heading", Static)
        parts = Content.assemble(
            (self.heading, "bold"), ("  " + said if said else "", "dim" if not old else "reverse")
        )
        if above.content != parts:
            above.update(parts)

    def _age(self) -> str:
        heard_s = self.cluster.store.heard_s
        if not self.nouns or heard_s is None:
            return ""
        age_s = time.monotonic() - heard_s
        return f"as of {int(age_s)} s ago" if age_s > OLD_S else ""
