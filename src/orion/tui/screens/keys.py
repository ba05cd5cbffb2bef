"""Keys of a screen, and what they do."""

from collections.abc import Iterator
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from orion.tui.lines import Line, fields
from orion.tui.pager import Pager

_NAMES = {"escape": "Esc", "slash": "/", "question_mark": "?", "left": "←", "right": "→"}
_MOVES = (
    ("↑ ↓ j k", "a row up, down"),
    ("PgUp PgDn", "a page up, down; also Ctrl-B, Ctrl-F"),
    ("g G", "to the beginning, to the end"),
)


class Keys(ModalScreen[None]):
    DEFAULT_CSS = """
    Keys { align: center middle; }
    Keys > Vertical {
        width: 50; max-width: 100%; height: auto; max-height: 100%; padding: 0 1;
        background: $surface; border: round $primary;
    }
    Keys .title { text-style: bold; width: 1fr; height: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter", "leave", show=False)]

    def __init__(self, title: str, screen: type[Screen[Any]]) -> None:
        super().__init__()
        self._words = title
        self._lines = list(key_lines(screen))

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(f"keys of {self._words}", classes="title", markup=False)
            yield Pager()

    def on_mount(self) -> None:
        pager = self.query_one(Pager)
        pager.styles.height = max(1, min(len(self._lines), self.size.height - 4))
        pager.show(self._lines)
        pager.focus()

    def action_leave(self) -> None:
        self.dismiss()


def key_lines(screen: type[Screen[Any]]) -> Iterator[Line]:
    """Yields each key with its word: first those of the screen, then those that it shares with others."""
    found: dict[str, str] = {}
    for kind in screen.__mro__:
        for binding in kind.__dict__.get("BINDINGS", ()) if kind.__module__.startswith("orion.") else ():
            if isinstance(binding, Binding) and binding.description:
                found.setdefault(_name(binding.key), binding.description.lower())
    yield from fields((*found.items(), *_MOVES))


def _name(key: str) -> str:
    return f"Ctrl-{key[-1].upper()}" if key.startswith("ctrl+") else _NAMES.get(key, key)
