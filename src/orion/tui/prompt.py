"""The line in which a command or a filter is typed."""

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input, Static

Complete = Callable[[str], list[str]]
MOST_KEPT = 100


class _First(Suggester):
    """Shows the likeliest completion behind what was typed."""

    def __init__(self, complete: Complete) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._complete = complete

    async def get_suggestion(self, value: str) -> str | None:
        found = self._complete(value) if value else []
        return next((each for each in found if each.startswith(value)), None)


class _Line(Input):
    class Left(Message):
        """Escape was pressed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "drop", show=False),
        Binding("tab", "complete", show=False),
        Binding("shift+tab", "complete(-1)", show=False),
        Binding("up", "earlier(-1)", show=False),
        Binding("down", "earlier(1)", show=False),
    ]
    DEFAULT_CSS = """
    _Line { height: 1; width: 1fr; border: none; padding: 0; background: $background; }
    _Line:focus { border: none; background: $background; background-tint: transparent 0%; }
    """

    def __init__(self, value: str, complete: Complete, kept: list[str]) -> None:
        super().__init__(value, suggester=_First(complete), select_on_focus=False)
        self._complete = complete
        self._kept = kept
        self._at = len(kept)
        self._typed = value
        self._candidates: list[str] = []
        self._shown = -1

    def action_drop(self) -> None:
        self.post_message(self.Left())

    def action_complete(self, step: int = 1) -> None:
        """Goes through what the line may become; typing goes on from there."""
        if self._shown < 0 or self.value != self._candidates[self._shown]:
            self._candidates = self._complete(self.value)
            self._shown = -1 if step > 0 else 0
        if self._candidates:
            self._shown = (self._shown + step) % len(self._candidates)
            self._put(self._candidates[self._shown])

    def action_earlier(self, step: int) -> None:
        if self._at == len(self._kept):
            self._typed = self.value
        self._at = max(0, min(self._at + step, len(self._kept)))
        self._put(self._kept[self._at] if self._at < len(self._kept) else self._typed)

    def _put(self, value: str) -> None:
        self.value = value
        self.cursor_position = len(value)


class Prompt(Horizontal):
    """`sign`: what stands before it. `kept`: what was typed there before; it takes what is given now."""

    class Typed(Message):
        """Text so far."""

        def __init__(self, sign: str, text: str) -> None:
            super().__init__()
            self.sign = sign
            self.text = text

    class Given(Typed):
        """Text that was ended with Enter."""

    class Dropped(Message):
        """It was left with Escape."""

        def __init__(self, sign: str) -> None:
            super().__init__()
            self.sign = sign

    class Ready(Message):
        """It takes what is typed from now on."""

    DEFAULT_CSS = """
    Prompt { dock: bottom; height: 1; width: 1fr; background: $background; }
    Prompt > Static { width: auto; }
    """

    def __init__(self, sign: str, kept: list[str], complete: Complete, value: str = "") -> None:
        super().__init__()
        self.sign = sign
        self._kept = kept
        self._complete = complete
        self._value = value

    def compose(self) -> ComposeResult:
        yield Static(self.sign, markup=False)
        yield _Line(self._value, self._complete, self._kept)

    def on_mount(self) -> None:
        self.screen.set_focus(self.query_one(_Line))
        self.post_message(self.Ready())

    def on__line_left(self, event: _Line.Left) -> None:
        event.stop()
        self.post_message(self.Dropped(self.sign))

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Typed(self.sign, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        text = event.value.strip()
        if text and text not in self._kept[-1:]:
            self._kept.append(text)
            del self._kept[:-MOST_KEPT]
        self.post_message(self.Given(self.sign, event.value))


def no_completion(text: str) -> list[str]:
    del text
    return []
