"""Lines of which one is at the cursor, which stays with its row as rows come and go."""

from collections.abc import Hashable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Click
from textual.message import Message
from textual.strip import Strip

from orion.tui.lines import Line
from orion.tui.pager import Pager


class Picker(Pager):
    """`key`: of the row at the cursor, None where there is none."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {*Pager.COMPONENT_CLASSES, "picker--cursor"}
    DEFAULT_CSS = "Picker > .picker--cursor { text-style: reverse; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup,ctrl+b", "page(-1)", show=False),
        Binding("pagedown,ctrl+f", "page(1)", show=False),
        Binding("home,g", "move_to(0)", show=False),
        Binding("end,G", "move_to(-1)", show=False),
        Binding("enter", "pick", show=False),
    ]

    class Picked(Message):
        """Enter, or a second click, at a row."""

    def __init__(self) -> None:
        super().__init__(wrap=False)
        self.at = 0
        self._keys: list[Hashable] = []

    @property
    def key(self) -> Hashable:
        return self._keys[self.at] if self.at < len(self._keys) else None

    def show_rows(self, rows: Sequence[tuple[Hashable, Line]]) -> None:
        before = self.key
        self._keys = [key for key, _ in rows]
        if before is not None and before in self._keys:
            self.at = self._keys.index(before)
        self.at = max(0, min(self.at, len(self._keys) - 1))
        self.show(line for _, line in rows)

    def action_move(self, by: int) -> None:
        self.go_to(self.at + by)

    def action_page(self, by: int) -> None:
        self.go_to(self.at + by * max(1, self._room.height - 1))

    def action_move_to(self, at: int) -> None:
        self.go_to(at if at >= 0 else len(self._keys) - 1)

    def action_pick(self) -> None:
        if self._keys:
            self.post_message(self.Picked())

    def go_to(self, at: int) -> None:
        self.at = max(0, min(at, len(self._keys) - 1))
        above, height = self.scroll_offset.y, self._room.height
        if self.at < above:
            self.scroll_to(y=self.at)
        elif self.at >= above + height:
            self.scroll_to(y=self.at - height + 1)
        self.refresh()

    def on_click(self, event: Click) -> None:
        at = self.scroll_offset.y + event.y
        if at == self.at:
            self.action_pick()
        else:
            self.go_to(at)

    def render_line(self, y: int) -> Strip:
        strip = super().render_line(y)
        if self.scroll_offset.y + y != self.at or not self._keys:
            return strip
        return strip.apply_style(self.get_component_rich_style("picker--cursor", partial=True))
