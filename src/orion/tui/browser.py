"""The screen of all tables: one view at a time, the way to it, and what can be done with its rows."""

import time
from collections.abc import Sequence
from typing import ClassVar, Protocol

from textual.app import ComposeResult
from textual.events import Key as KeyEvent
from textual.screen import Screen

from orion.model.api.watch import Noun
from orion.model.counts import several
from orion.tui.columns import View
from orion.tui.desk import Desk
from orion.tui.frame import Frame, hints_of
from orion.tui.history import Place
from orion.tui.keys import ELSEWHERE, KEYS, MOVES, Key, keymap, of_event, with_keys
from orion.tui.relations import Jump, down, node_of, owner
from orion.tui.saving import save_table
from orion.tui.settings import Settings
from orion.tui.skins import skin
from orion.tui.source import Source
from orion.tui.summary import Asked, Span
from orion.tui.table import RowTable


class Host(Protocol):
    """All that the browser asks of the app. It is called at once, so that keys that come in a burst keep their
    order.
    """

    def asked(self) -> Asked:
        """Whom the app follows."""

    def keys_of(self, view: View) -> tuple[Key, ...]:
        """All that can be done with rows of a view."""

    def resumed(self) -> None:
        """The browser is seen again, after another screen."""

    def load(self) -> None:
        """Loads the rest of the program, unless it is there."""

    def open_prompt(self, sign: str) -> None: ...

    def run_command(self, text: str) -> None: ...

    def act(self, does: str, keys: list[str]) -> None:
        """Does something with rows of the view."""


class Browser(Screen[None]):
    DEFAULT_CSS = """
    Browser { layout: vertical; }
    Browser > Bar { width: 1fr; }
    """
    AUTO_FOCUS: ClassVar[str] = "RowTable"

    def __init__(
        self,
        cluster: Source,
        settings: Settings,
        host: Host,
    ) -> None:
        super().__init__()
        self._host = host
        self._cluster = cluster
        self._settings = settings
        self.desk = Desk(cluster.store, Place(settings.view), wide=settings.wide)
        styles = skin(settings.skin, settings.colours)
        self.frame = Frame(self, styles)
        self.table = RowTable(self.desk.listing, styles)
        self.keymap: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        yield from self.frame.above
        yield self.table
        yield from self.frame.below

    def on_mount(self) -> None:
        self.settle(self._settings)
        self._show()

    def on_unmount(self) -> None:
        self.frame.note("", wrong=False)

    def on_screen_resume(self) -> None:
        self._host.resumed()

    @property
    def more_keys(self) -> tuple[Key, ...]:
        """Those that the view has beside the ones of all views."""
        return self._host.keys_of(self.desk.view)

    @property
    def chosen(self) -> list[str]:
        """The rows that are marked, else the one under the cursor."""
        return self.desk.listing.chosen(self.table.key)

    def settle(self, settings: Settings) -> None:
        """Takes settings."""
        again = (settings.columns, settings.keys) != (self._settings.columns, self._settings.keys)
        self._settings = settings
        styles = skin(settings.skin, settings.colours)
        self.frame.paint(styles)
        self.table.paint(styles)
        if again:
            self._show(self.table.key)

    # --- what is shown ------------------------------------------------------------------------------------

    def rows_changed(self, changed: set[Noun]) -> None:
        """Rows of these nouns are others than before."""
        if self.desk.take(changed):
            self.table.follow()
        self.tell()

    def tick(self) -> None:
        """Time has passed: ages are others."""
        self.table.draw()
        self.tell()

    def tell(self) -> None:
        """Says above and below the table how things stand."""
        if not self.is_mounted:
            return
        row = self.desk.listing.row(self.table.key)
        asked = self._host.asked()
        self.table.say_instead("" if len(self.desk.listing) else self.desk.instead(asked))
        self.frame.tell(
            self._cluster.store,
            asked,
            title=self.desk.title(),
            reason=with_keys(getattr(row, "reason", "") or ""),
            crumbs=self.desk.crumbs(),
            hints=hints_of((*self.more_keys, *KEYS), self.keymap, self.size.width),
        )

    def ask(self, words: Sequence[str], spans: list[Span]) -> None:
        """Shows what is being typed, and what may be; nothing: that is over."""
        self.frame.offered, self.frame.entry = words, spans
        self.tell()

    def note(self, text: str, *, wrong: bool = False) -> None:
        """Says a sentence below, for a while; "" nothing."""
        self.frame.note(text, wrong=wrong)
        self.tell()

    def _show(self, key: str | None = None) -> None:
        """Shows the desk's listing, which is another one, or has other columns."""
        desk = self.desk
        at = desk.place.at if key is None else key
        self.rekey()
        chosen = self._settings.columns.get(desk.view.name, ())
        self.table.show(desk.listing, wide=desk.wide, chosen=chosen, key=at)
        self._heed_filter()

    def _heed_filter(self) -> None:
        if self.desk.wrong:
            self.note(self.desk.wrong, wrong=True)
        else:
            self.tell()

    def rekey(self) -> None:
        """Other keys mean something now."""
        self.keymap = keymap((*MOVES, *KEYS, *self.more_keys), self._settings.keys)
        self.tell()

    def go(self, place: Place) -> None:
        """Shows a view that was asked for."""
        self.desk.leave(self.table.key)
        self.desk.go(place)
        self._show()

    # --- keys ---------------------------------------------------------------------------------------------

    def press(self, event: KeyEvent) -> bool:
        """Does what a key says. Returns whether it says anything here."""
        if self.focused is not self.table:
            return False
        self._host.load()
        if self.frame.noted:
            self.note("")
        does = self.keymap.get(of_event(event.key, event.character))
        if does is None:
            return self._sort_by_letter(event.character or "") or self._says_instead(event)
        method = getattr(self, f"do_{does}", None) or getattr(self.table, f"do_{does}", None)
        if method is not None:
            method()
        elif does.startswith(":"):
            self._host.run_command(does[1:])
        else:
            self._host.act(does, self.chosen)
        return True

    def _says_instead(self, event: KeyEvent) -> bool:
        """Says what does here that which the key does in k9s."""
        words = ELSEWHERE.get(of_event(event.key, event.character), "")
        if words:
            self.note(words)
        return bool(words)

    def _sort_by_letter(self, letter: str) -> bool:
        column = self.desk.view.of_letter(letter)
        if column is None:
            return False
        self.desk.sort(column)
        self._sorted()
        return True

    def _sorted(self) -> None:
        self.table.follow()
        self.tell()

    def on_row_table_moved(self) -> None:
        self.tell()

    def do_command(self) -> None:
        self._host.open_prompt(":")

    def do_enter(self) -> None:
        row = self._row()
        jump = None if row is None else down(self.desk.view.noun, row)
        if jump is not None:
            self._enter(jump)
        elif row is not None:
            does = "logs" if self.desk.view.noun is Noun.ALLOCATIONS else "describe"
            self._host.act(does, [self.table.key])

    def do_owner(self) -> None:
        row = self._row()
        jump = None if row is None else owner(self.desk.view.noun, row)
        self._enter_or_say(jump, "it belongs to nothing that has a view")

    def do_node(self) -> None:
        row = self._row()
        jump = None if row is None else node_of(self.desk.view.noun, row)
        self._enter_or_say(jump, "it is on no node")

    def _row(self) -> object | None:
        return self.desk.listing.row(self.table.key)

    def _enter_or_say(self, jump: Jump | None, why: str) -> None:
        if jump is None:
            self.note(why if self.table.key else "there is no row", wrong=True)
        else:
            self._enter(jump)

    def _enter(self, jump: Jump) -> None:
        self.desk.leave(self.table.key)
        self.desk.enter(jump)
        self._show()

    def do_back(self) -> None:
        if self.desk.place.filter:
            self.narrow("")
        elif self.desk.listing.marks:
            self.do_clear_marks()
        elif self.desk.up():
            self._show()

    def do_history_back(self) -> None:
        self.desk.leave(self.table.key)
        self._shown_or_say(self.desk.back(), "there is no view before this one")

    def do_history_forward(self) -> None:
        self.desk.leave(self.table.key)
        self._shown_or_say(self.desk.forward(), "there is no view after this one")

    def do_swap(self) -> None:
        self.desk.leave(self.table.key)
        self._shown_or_say(self.desk.swap(), "there is no other view yet")

    def _shown_or_say(self, moved: bool, why: str) -> None:
        if moved:
            self._show()
        else:
            self.note(why, wrong=True)

    def do_wide(self) -> None:
        self.desk.wide = not self.desk.wide
        self._show(self.table.key)

    def do_faults(self) -> None:
        self.desk.toggle_faults()
        self._sorted()

    def do_mark(self) -> None:
        self.desk.listing.mark(self.table.key)
        self._sorted()

    def do_mark_range(self) -> None:
        self.desk.listing.mark_range(self.table.key)
        self._sorted()

    def do_clear_marks(self) -> None:
        self.desk.listing.clear_marks()
        self._sorted()

    def do_sort_left(self) -> None:
        self._sort_beside(-1)

    def do_sort_right(self) -> None:
        self._sort_beside(1)

    def _sort_beside(self, step: int) -> None:
        self.desk.sort_beside(step, [column for column, _ in self.table.sheet.columns])
        self._sorted()

    def do_sort_other(self) -> None:
        self.desk.reverse()
        self._sorted()

    def do_copy(self) -> None:
        keys = self.chosen
        self.app.copy_to_clipboard("\n".join(keys))
        what = keys[0] if len(keys) == 1 else several(len(keys), "name")
        self.note(f"copied {what}" if keys else "there is no row")

    def do_save(self) -> None:
        self.note(save_table(self.desk.place.crumb, self.table.sheet.texts(time.time())))

    def do_again(self) -> None:
        self._cluster.move()
        self.note("asking anew")

    def do_header(self) -> None:
        self.frame.toggle("header")

    def do_crumbs(self) -> None:
        self.frame.toggle("crumbs")

    # --- the filter ---------------------------------------------------------------------------------------

    def do_filter(self) -> None:
        self._host.open_prompt("/")

    def narrow(self, text: str) -> None:
        """Shows the rows that pass the filter, with the cursor on the first of them."""
        wanted, before = text.strip(), self.desk.place.filter
        self.desk.narrow(text)
        if wanted and wanted != before:
            self.table.sheet.go(0)
        self.table.follow()
        self.frame.note("", wrong=False)
        self._heed_filter()
