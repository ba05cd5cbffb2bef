"""A question before something is destroyed, with what will happen; and a text that is asked for."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from orion.model.errors import Refused
from orion.tui.lines import Line
from orion.tui.pager import Pager

MOST_ROWS = 14  # of a question's lines; the others are scrolled to

_BOX = """
{name} {{ align: center middle; }}
{name} > Vertical {{
    width: 76; max-width: 100%; height: auto; max-height: 100%; padding: 0 1;
    background: $surface; border: round $primary;
}}
{name} .title {{ text-style: bold; width: 1fr; height: auto; }}
{name} .hint {{ color: $text-muted; width: 1fr; height: auto; }}
{name} Horizontal {{ height: 1; margin: 1 0 0 0; }}
{name} Button {{ min-width: 10; margin: 0 2 0 0; }}
{name} Button:focus {{ text-style: bold reverse; }}
"""


class Confirm(ModalScreen[bool]):
    """`yes`: the word for it. Nothing is done by Enter alone: the cursor is on the other button."""

    DEFAULT_CSS = _BOX.format(name="Confirm")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "answer(False)", "No"),
        Binding("y", "answer(True)", "Yes"),
        Binding("left,right", "other", show=False),
        Binding("up,k", "scroll(-1)", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("pageup", "scroll(-10)", show=False),
        Binding("pagedown,space", "scroll(10)", show=False),
    ]

    def __init__(self, title: str, lines: Sequence[Line], yes: str, no: str = "cancel") -> None:
        super().__init__()
        self._words = title
        self._lines = list(lines)
        self._yes, self._no = yes, no

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self._words, classes="title", markup=False)
            yield Pager()
            with Horizontal():
                yield Button(f"{self._no} (n)", id="no", compact=True)
                yield Button(f"{self._yes} (y)", id="yes", variant="error", compact=True)

    def on_mount(self) -> None:
        pager = self.query_one(Pager)
        pager.show(self._lines)
        pager.styles.height = min(MOST_ROWS, max(1, self.size.height - 7), max(1, _rows(self._lines, 72)))
        self.query_one("#no", Button).focus()

    def action_answer(self, answer: bool) -> None:
        self.dismiss(answer)

    def action_scroll(self, by: int) -> None:
        pager = self.query_one(Pager)
        pager.scroll_to(y=pager.scroll_offset.y + by)

    def action_other(self) -> None:
        self.focus_next(Button)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.dismiss(event.button.id == "yes")


def _rows(lines: Sequence[Line], width: int) -> int:
    from orion.tui.lines import wrapped

    return sum(1 for line in lines for _ in wrapped(line, width))


class Ask(ModalScreen[str | None]):
    """Asks for a text, until `check` takes it. Dismissed with None when nothing is wanted."""

    DEFAULT_CSS = _BOX.format(name="Ask") + "Ask .wrong { color: $text-error; width: 1fr; height: auto; }"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Cancel")]

    def __init__(self, title: str, first: str, check: Callable[[str], Any], hint: str = "") -> None:
        super().__init__()
        self._words, self._first, self._check, self._hint = title, first, check, hint

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self._words, classes="title", markup=False)
            yield Input(self._first, compact=True)
            yield Static(self._hint, classes="hint", markup=False)
            yield Static("", classes="wrong", markup=False)

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def action_leave(self) -> None:
        self.dismiss(None)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        try:
            self._check(event.value.strip())
        except Refused as error:
            self.query_one(".wrong", Static).update(error.detail)
            return
        self.dismiss(event.value.strip())
