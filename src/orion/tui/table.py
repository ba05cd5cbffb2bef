"""A table that draws what is in sight, and again only those lines that look different."""

import time
from collections.abc import Mapping, Sequence
from textwrap import wrap

from rich.segment import Segment
from rich.style import Style
from textual.events import Click, MouseScrollDown, MouseScrollUp, Resize
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from orion.model.printable import one_line
from orion.tui.layout import GAP
from orion.tui.listing import Listing
from orion.tui.sheet import GUTTER, Line, Sheet

HEAD = 1  # lines of titles
WHEEL = 3  # rows
SIDE = 8  # places


class RowTable(Widget, can_focus=True):
    """Textual's own DataTable holds every cell of every row; this holds a screenful."""

    class Moved(Message):
        """The cursor is on another row."""

    DEFAULT_CSS = "RowTable { height: 1fr; width: 1fr; }"

    def __init__(self, listing: Listing, styles: Mapping[str, str]) -> None:
        super().__init__()
        self.sheet = Sheet(listing)
        self._lines: list[Line] = []
        self._titles: list[tuple[str, bool]] = []
        self._styles: dict[str, Style] = {}
        self._drawn_left = 0
        self._instead: list[str] = []
        self.paint(styles)

    @property
    def key(self) -> str:
        """The key of the row under the cursor."""
        return self.sheet.key

    def paint(self, styles: Mapping[str, str]) -> None:
        self._styles = {part: Style.parse(text) for part, text in styles.items()}
        self.refresh()

    def show(self, listing: Listing, *, wide: bool, chosen: Sequence[str], key: str = "") -> None:
        self.sheet.show(listing, wide=wide, chosen=chosen, key=key)
        self.draw()

    def follow(self) -> None:
        """The listing has changed."""
        before = self.sheet.key
        self.sheet.follow()
        self.draw()
        if self.sheet.key != before:
            self.post_message(self.Moved())

    def say_instead(self, text: str) -> None:
        """Says this where there are no rows."""
        words = wrap(one_line(text), max(10, self.size.width - 2 * GUTTER))
        if words != self._instead:
            self._instead = words
            self.refresh()  # also where rows have come: they cover no more than their own lines

    def draw(self) -> None:
        """Draws the lines that look different by now, as ages do."""
        lines = self.sheet.lines(time.time())
        titles = self.sheet.titles()
        before, self._lines = self._lines, lines
        width = self.size.width
        if titles != self._titles or self.sheet.left != self._drawn_left:
            sideways = self.sheet.left != self._drawn_left
            self._titles, self._drawn_left = titles, self.sheet.left
            self.refresh(*([] if sideways or self._instead else [Region(0, 0, width, HEAD)]))
        for at in range(max(len(lines), len(before))):
            now = lines[at] if at < len(lines) else None
            if now != (before[at] if at < len(before) else None):
                self.refresh(Region(0, at + HEAD, width, 1))

    def render_line(self, y: int) -> Strip:
        width, plain = self.size.width, self._styles["plain"]
        if y < HEAD:
            strip = self._strip(" " * GUTTER, [self._head(*title) for title in self._titles])
        elif y - HEAD < len(self._lines):
            strip = self._row(self._lines[y - HEAD])
        elif not self._lines and 0 <= y - HEAD - 1 < len(self._instead):
            strip = Strip([Segment(" " * GUTTER + self._instead[y - HEAD - 1], self._styles["dim"])])
            return strip.adjust_cell_length(width, plain)
        else:
            return Strip.blank(width)
        left = self.sheet.left
        if left:
            first = self.sheet.held  # the name stays where it is
            strip = Strip.join([strip.crop(0, first), strip.crop(first + left, left + width)])
        cursor = y >= HEAD and self._lines[y - HEAD].cursor
        return strip.adjust_cell_length(width, self._styles["cursor"] if cursor else plain)

    def _head(self, text: str, by: bool) -> Segment:
        return Segment(text, self._styles["sorted" if by else "head"])

    def _row(self, line: Line) -> Strip:
        tone = self._styles[line.tone]
        style = tone + self._styles["mark"] if line.marked else tone
        style = style + self._styles["cursor"] if line.cursor else style
        text = (" " * GAP).join(line.cells)
        return Strip([Segment(f"{'*' if line.marked else ' '} {text}", style)])

    def _strip(self, gutter: str, segments: list[Segment]) -> Strip:
        parts = [Segment(gutter)]
        for at, segment in enumerate(segments):
            parts += [Segment(" " * GAP), segment] if at else [segment]
        return Strip(parts)

    # --- moving -------------------------------------------------------------------------------------------

    def _moved(self) -> None:
        self.draw()
        self.post_message(self.Moved())

    def do_down(self, by: int = 1) -> None:
        self.sheet.move(by)
        self._moved()

    def do_up(self, by: int = 1) -> None:
        self.do_down(-by)

    def do_page_down(self) -> None:
        self.do_down(self._page)

    def do_page_up(self) -> None:
        self.do_down(-self._page)

    @property
    def _page(self) -> int:
        return max(1, self.sheet.height - 1)

    def do_first(self) -> None:
        self.sheet.go(0)
        self._moved()

    def do_last(self) -> None:
        self.sheet.go(len(self.sheet.listing) - 1)
        self._moved()

    def do_left(self) -> None:
        self.sheet.sideways(-SIDE)
        self.draw()

    def do_right(self) -> None:
        self.sheet.sideways(SIDE)
        self.draw()

    def on_resize(self, event: Resize) -> None:
        self.sheet.resize(event.size.width, event.size.height - HEAD)
        self.draw()
        self.refresh()

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.stop()
        self.do_down(WHEEL)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.stop()
        self.do_up(WHEEL)

    def on_click(self, event: Click) -> None:
        if event.y >= HEAD:
            self.sheet.go(self.sheet.top + event.y - HEAD)
            self._moved()
