"""Lines of text above and below the table."""

from collections.abc import Mapping

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from orion.tui.summary import Span, within


class Bar(Widget):
    """So many lines, more where it is told more; it is drawn again when they say something else."""

    def __init__(self, styles: Mapping[str, str], lines: int, *, id: str) -> None:  # noqa: A002 -- Textual's name
        super().__init__(id=id)
        self.styles.height = self._least = lines
        self._height = lines
        self._lines: list[list[Span]] = []
        self._looks: dict[str, Style] = {}
        self.paint(styles)

    def paint(self, styles: Mapping[str, str]) -> None:
        self._looks = {part: Style.parse(text) for part, text in styles.items()}
        self.refresh()

    def tell(self, *lines: list[Span]) -> None:
        if (now := list(lines)) != self._lines:
            self._lines = now
            if (height := max(self._least, len(now))) != self._height:
                self.styles.height = self._height = height
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        spans = within(self._lines[y], width) if y < len(self._lines) else []
        strip = Strip([Segment(text, self._looks.get(part)) for text, part in spans])
        return strip.adjust_cell_length(width, self._looks["plain"])


class EntryBar(Bar):
    """The line that is being typed, on a screen that has none for it."""

    DEFAULT_CSS = "EntryBar { dock: bottom; width: 1fr; }"
