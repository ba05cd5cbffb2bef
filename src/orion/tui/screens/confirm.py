"""A question before something is destroyed, with what will happen; and a text that is asked for."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from orion.model.errors import Refused
from orion.tui.lines import Line, plain, wrapped
from orion.tui.pager import Pager

WIDTH = 76
FRAME_ROWS = 7  # of a question beside its lines, which are scrolled where there is no room for all

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
        self._settle()
        self.query_one("#no", Button).focus()

    def on_resize(self) -> None:
        self._settle()

    def _settle(self) -> None:
        _settle(self.query_one(Pager), self._lines, self.size, self._words)

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


def _settle(pager: Pager, lines: Sequence[Line], size: Size, title: str) -> None:
    """Shows the lines in as many rows as there is room for."""
    width = min(WIDTH, size.width) - 5
    rows = sum(1 for line in lines for _ in wrapped(line, width))
    titles = sum(1 for _ in wrapped(plain(title), width))
    pager.show(lines)
    pager.styles.height = max(1, min(rows, size.height - FRAME_ROWS - titles + 1))


class Outcome(ModalScreen[None]):
    """Lines of what became of something, until a key says that they were read."""

    DEFAULT_CSS = _BOX.format(name="Outcome")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "dismiss", "Close"),
    ]

    def __init__(self, title: str, lines: Sequence[Line]) -> None:
        super().__init__()
        self._words, self._lines = title, list(lines)

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self._words, classes="title", markup=False)
            yield Pager()
            yield Static("Enter or Esc closes this", classes="hint", markup=False)

    def on_mount(self) -> None:
        self._settle()
        self.query_one(Pager).focus()

    def on_resize(self) -> None:
        self._settle()

    def _settle(self) -> None:
        _settle(self.query_one(Pager), self._lines, self.size, self._words)


class Ask(ModalScreen[str | None]):
    """Asks for a text, until `check` takes it. Dismissed with None when nothing is wanted. `choices`: lines about
    what may be given.
    """

    DEFAULT_CSS = _BOX.format(name="Ask") + "Ask .wrong { color: $text-error; width: 1fr; height: auto; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Cancel"),
        Binding("up", "scroll(-1)", show=False),
        Binding("down", "scroll(1)", show=False),
    ]

    def __init__(
        self, title: str, first: str, check: Callable[[str], Any], hint: str = "", choices: Sequence[Line] = ()
    ) -> None:
        super().__init__()
        self._words, self._first, self._check, self._hint = title, first, check, hint
        self._choices = choices

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self._words, classes="title", markup=False)
            if self._choices:
                yield Pager()
            yield Input(self._first, compact=True)
            yield Static(self._hint, classes="hint", markup=False)
            yield Static("", classes="wrong", markup=False)

    def on_mount(self) -> None:
        self._settle()
        self.query_one(Input).focus()

    def on_resize(self) -> None:
        self._settle()

    def _settle(self) -> None:
        for pager in self.query(Pager):
            _settle(pager, self._choices, self.size, self._words)

    def action_scroll(self, by: int) -> None:
        for pager in self.query(Pager):
            pager.scroll_to(y=pager.scroll_offset.y + by)

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
