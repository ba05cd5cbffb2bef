"""Text to look through: a widget that renders the rows that are seen, and no others."""

from collections.abc import Iterable
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from orion.tui.lines import JOB_LOOKS, LOOKS, Line
from orion.tui.pages import Find, Pages

MOST_LINES = 10_000


class Pager(ScrollView):
    """`following`: the end stays in sight as lines come, until somebody scrolls up. At the end it follows again."""

    class Moved(Message):
        """It follows now, or follows no more."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"look--{look}" for look in LOOKS if look}
    DEFAULT_CSS = """
    Pager { height: 1fr; overflow-x: auto; overflow-y: auto; scrollbar-gutter: stable; scrollbar-size-vertical: 1; }
    Pager > .look--title { text-style: bold; color: $accent; }
    Pager > .look--dim { text-style: dim; }
    Pager > .look--good { color: $text-success; }
    Pager > .look--warn { color: $text-warning; }
    Pager > .look--bad { color: $text-error; text-style: bold; }
    Pager > .look--found { text-style: reverse; }
    Pager > .look--job0 { color: ansi_cyan; }
    Pager > .look--job1 { color: ansi_yellow; }
    Pager > .look--job2 { color: ansi_green; }
    Pager > .look--job3 { color: ansi_magenta; }
    Pager > .look--job4 { color: ansi_blue; }
    Pager > .look--job5 { color: ansi_bright_cyan; }
    Pager > .look--job6 { color: ansi_bright_red; }
    Pager > .look--job7 { color: ansi_bright_yellow; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", show=False),
        Binding("k", "scroll_up", show=False),
        Binding("g", "scroll_home", show=False),
        Binding("G,end", "scroll_end", show=False),
        Binding("ctrl+f,space", "page_down", show=False),
        Binding("ctrl+b", "page_up", show=False),
    ]

    def __init__(self, *, most: int = MOST_LINES, wrap: bool = True, following: bool = False) -> None:
        super().__init__()
        self.pages = Pages(most)
        self.wrap = wrap
        self.following = self._follows = following
        self._instead = ""
        self._styles_of: dict[str, Style] = {}

    def say_instead(self, text: str) -> None:
        """Says this where there are no lines."""
        if text != self._instead:
            self._instead = text
            self.refresh()

    def show(self, lines: Iterable[Line]) -> None:
        """Shows these in the place of all, and stays where it is."""
        self.pages.replace(lines)
        self._settle()

    def add(self, lines: Iterable[Line]) -> None:
        went = self.pages.add(lines)
        self._settle(went)

    def clear(self) -> None:
        self.pages.clear()
        self._settle()

    def look_for(self, find: Find | None) -> None:
        self.pages.look_for(find)
        self._settle()

    def set_wrap(self, wrap: bool) -> None:
        self.wrap = wrap
        self.pages.wrap_at(self._room.width if wrap else 0)
        self._settle()

    def follow(self, following: bool) -> None:
        if following != self.following:
            self.following = following
            self.post_message(self.Moved())
        self._settle()

    def action_scroll_end(self) -> None:
        if self._follows:
            self.follow(True)
        else:
            super().action_scroll_end()

    def scroll_to(self, x: float | None = None, y: float | None = None, **how: Any) -> None:
        """Goes there at once, even while there is no scrollbar yet. An animation is too much for a slow line."""
        super().scroll_to(x, y, **{**how, "animate": False, "force": True})

    @property
    def _room(self) -> Size:
        return self.scrollable_content_region.size

    def _settle(self, went: int = 0) -> None:
        """Rows have come, and so many have gone from the front."""
        self.virtual_size = Size(0 if self.wrap else self.pages.width, len(self.pages))
        if self.following:
            self._to_end()
            self.call_after_refresh(self._to_end)  # rows that are new may not be scrolled to before
        elif went:
            self.scroll_to(y=max(0, self.scroll_offset.y - went), animate=False)
        self.refresh()

    def _to_end(self) -> None:
        if self.following:
            self.scroll_to(y=max(0, len(self.pages) - self._room.height), animate=False)

    def on_resize(self, event: Resize) -> None:
        del event
        if self.wrap:
            self.pages.wrap_at(self._room.width)
        self._settle()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        at_end = round(new_value) >= len(self.pages) - self._room.height
        if self.following and new_value < old_value and not at_end:
            self.following = False
            self.post_message(self.Moved())

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles_of.clear()

    def _style_of(self, look: str) -> Style:
        style = self._styles_of.get(look)
        if style is None:
            style = self.get_component_rich_style(f"look--{look}") if look else self.rich_style
            self._styles_of[look] = style
        return style

    def render_line(self, y: int) -> Strip:
        scroll_x, scroll_y = self.scroll_offset
        at, width = scroll_y + y, self.size.width
        if not self.pages and y == 0:
            return Strip([Segment(self._instead, self._style_of("dim"))]).adjust_cell_length(width, self.rich_style)
        if at >= len(self.pages):
            return Strip.blank(width, self.rich_style)
        segments = [Segment(part.text, self._style_of(part.look)) for part in self.pages.row(at)]
        strip = Strip(segments).crop(scroll_x, scroll_x + width)
        return strip.extend_cell_length(width, self.rich_style)


def job_look(number: int) -> str:
    return f"job{number % JOB_LOOKS}"
