"""`orion top` as a whole: it follows the cluster, and has screens show it."""

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.events import Event, Paste
from textual.events import Key as KeyEvent
from textual.screen import ModalScreen, Screen
from textual.widgets import Input

from orion.model.api.watch import Noun
from orion.tui import opening
from orion.tui.bars import EntryBar
from orion.tui.browser import Browser
from orion.tui.columns import View
from orion.tui.commands import SCREENS, Command, completions, read_command
from orion.tui.entry import Came, Entry, Narrowed, no_completion
from orion.tui.history import Place
from orion.tui.keys import Key, of_event
from orion.tui.later import Later
from orion.tui.settings import SettingsFile
from orion.tui.skins import skin
from orion.tui.source import Source
from orion.tui.summary import Asked, node_at
from orion.tui.turns import Turns
from orion.tui.views import VIEWS

if TYPE_CHECKING:
    from orion.tui.doing import Doing

LOOK_S = 1.0  # between two looks at clocks and the settings
PAUSE_S = 0.04
QUIET_S = 0.1  # at the start, unless rows come before
LOAD_S = 0.05  # once rows are shown, until the rest of the program is loaded
FILTERS = ("web|db", "!web", "-f wb1", "-l state=failed,node=node1", " Esc: no filter")  # as they may be typed
SHARE = 5  # of the time, news take one part in so many

Names = dict[Noun, list[str]]


class Top(App[None]):
    """`read_only`: nothing in the cluster can be changed. `first`: a command that is done first. `pause_s`: between
    two drawings of news at least.
    """

    TITLE = "orion top"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "quit", show=False, priority=True),
    ]

    def __init__(
        self,
        cluster: Source,
        settings: SettingsFile,
        *,
        read_only: bool = False,
        first: str = "",
        pause_s: float = PAUSE_S,
    ) -> None:
        super().__init__(ansi_color=True)  # else NO_COLOR means shades of grey
        self.theme = "ansi-dark"  # the terminal's own colours
        self.cluster = cluster
        self.settings = settings
        settings.look()
        self.read_only = read_only or settings.settings.read_only
        self._first = first
        self._pause_s = pause_s
        self._typed: dict[str, list[str]] = {":": [], "/": []}  # before, by the sign of the prompt
        self._entry: Entry | None = None  # what is being typed
        self._changed: set[Noun] = set()
        self._drawing: asyncio.TimerHandle | None = None
        self._drawn_s = 0.0  # when the last drawing ended
        self._took_s = 0.0
        self._turns = Turns(cluster)
        self.browser = Browser(cluster, settings.settings, self)
        self._doing: Doing | None = None
        self._quiet = contextlib.ExitStack()  # while it is open nothing is drawn
        self._later: list[Later] = []

    def on_mount(self) -> None:
        # What mounting draws is drawn once: over a slow line a screen is a second.
        self._quiet.enter_context(self.batch_update())
        self._later.append(Later(self, QUIET_S, self._quiet.close))
        self.push_screen(self.browser)
        self.cluster.on_news = self._news
        self.cluster.start()
        self.set_interval(LOOK_S, self._look)
        if self.settings.wrong:
            self.call_after_refresh(self.browser.note, self.settings.wrong, wrong=True)
        if self._first and not read_command(self._first, {}).wrong:
            self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        """Does what is to be done first: at once where it names no row, else once rows are there."""
        first, self._first = self._first, ""
        if first:
            self.run_command(first)

    def on_unmount(self) -> None:
        if self._doing is not None:
            self._doing.end()
        if self._drawing is not None:
            self._drawing.cancel()
        for each in self._later:
            each.cancel()
        self.cluster.close()

    def asked(self) -> Asked:
        cluster = self.cluster
        node = node_at(cluster.store, cluster.address)
        return Asked(cluster.address, node, cluster.cluster, cluster.age_s, cluster.trouble, self.read_only)

    # --- news ---------------------------------------------------------------------------------------------

    def _news(self, changed: set[Noun]) -> None:
        """Rows of these nouns are others. What comes in quick succession is drawn at once, after a pause."""
        self._changed |= changed
        if self._drawing is None:
            due_s = self._drawn_s + max(self._pause_s, self._took_s * (SHARE - 1))
            pause_s = max(0.0, due_s - time.monotonic())
            self._drawing = asyncio.get_running_loop().call_later(pause_s, self._draw)

    def _draw(self) -> None:
        began_s = time.monotonic()
        self._drawing = None
        changed, self._changed = self._changed, set()
        if self.shown is not self.browser:
            self._changed = changed  # it is told of them when it is seen again
        else:
            with self.batch_update():
                self.browser.rows_changed(changed)
        if self.cluster.store.index and self._doing is None:
            self._begin()
            self._quiet.close()
            self._later.append(Later(self, LOAD_S, self.load))
        happened = self._turns.look()
        if happened.words:
            self.say(happened.words, wrong=happened.wrong)
        self._drawn_s = time.monotonic()
        self._took_s = self._drawn_s - began_s

    def _look(self) -> None:
        self.cluster.look()
        if self.settings.look():
            self.browser.settle(self.settings.settings)
            self.browser.note(self.settings.wrong, wrong=True)
        if self.shown is self.browser:
            self.browser.tick()

    def resumed(self) -> None:
        if self._changed and self._drawing is None:
            self._draw()

    @property
    def shown(self) -> Screen[Any] | None:
        """The screen that is seen; None at the very end."""
        stack = self.screen_stack
        return stack[-1] if stack else None

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Says a sentence on whatever screen there is."""
        if self.shown is self.browser:
            self.browser.note(text, wrong=wrong)
        elif self.shown is not None:
            self.notify(text, severity="warning" if wrong else "information", markup=False)

    # --- commands -----------------------------------------------------------------------------------------

    @property
    def names(self) -> Names:
        return {noun: list(table) for noun, table in self.cluster.store.tables.items()}

    async def on_event(self, event: Event) -> None:
        taken = False
        if isinstance(event, KeyEvent) and not event.is_forwarded:
            for key in self._keys_in(event):
                taken = self._take(key)
                if key is not event and not taken:
                    await super().on_event(key)
                    taken = True
        elif isinstance(event, Paste) and not event.is_forwarded and self._entry is not None:
            self._entry.paste(event.text)
            self._typed_so_far(self._entry)
            taken = True
        if not taken:
            await super().on_event(event)

    def _keys_in(self, event: KeyEvent) -> tuple[KeyEvent, ...]:
        """Escape and a key that come in one packet look like that key with Alt. They are two, unless somebody has
        given that one a meaning.
        """
        if not event.key.startswith("alt+") or of_event(event.key, event.character) in self.browser.keymap:
            return (event,)
        return KeyEvent("escape", "\x1b"), KeyEvent(event.key[4:], event.character)

    def _take(self, event: KeyEvent) -> bool:
        """Takes a key before any widget does: those of a burst are understood one after another. Returns False for
        one that goes the usual way.
        """
        if self.shown is None:
            return False
        if self._entry is not None:
            self._type(self._entry, event)
            return True
        if isinstance(self.focused, Input) or isinstance(self.screen, ModalScreen):
            return False
        sign = event.character
        if sign == ":" or (sign == "/" and self._narrowed is not self.browser):
            self.open_prompt(sign)
            return True
        return self.shown is self.browser and self.browser.press(event)

    @property
    def _narrowed(self) -> Narrowed:
        """The screen that is seen, where it can be filtered."""
        return self.shown if isinstance(self.shown, Narrowed) else self.browser

    def action_filter(self) -> None:
        self.open_prompt("/")

    def open_prompt(self, sign: str) -> None:
        complete = self._completions if sign == ":" else no_completion
        self._entry = Entry(sign, self._typed[sign], complete)
        self._typed_so_far(self._entry)

    def _completions(self, text: str) -> list[str]:
        return completions(text, self.names, self.settings.settings.aliases)

    def _type(self, entry: Entry, event: KeyEvent) -> None:
        match entry.press(of_event(event.key, event.character), event.character):
            case Came.GIVEN:
                self._close_entry()
                if entry.sign == "/":
                    self._narrowed.narrow(entry.text)
                else:
                    self.run_command(entry.text)
            case Came.DROPPED:
                self._close_entry()
                if entry.sign == "/":
                    self._narrowed.narrow("")
            case Came.TYPED if entry.sign == "/":
                self._narrowed.narrow(entry.text)
                self._typed_so_far(entry)
            case _:
                self._typed_so_far(entry)

    def _typed_so_far(self, entry: Entry) -> None:
        """Shows what is typed, and above it what may be."""
        spans = entry.spans(self.size.width)
        if self.shown is self.browser:
            words = self._completions(entry.text) if entry.text.strip() else [*VIEWS, *SCREENS]
            self.browser.ask(FILTERS if entry.sign == "/" else words, spans)
            return
        bars = self.screen.query(EntryBar)
        bar = bars.first() if bars else EntryBar(skin(self.settings.settings.skin), 1, id="entry")
        bar.tell(spans)
        if not bars:
            self.screen.mount(bar)

    def _close_entry(self) -> None:
        self._entry = None
        self.browser.ask((), [])
        if self.shown is not self.browser:
            self.screen.query(EntryBar).remove()

    def run_command(self, text: str) -> None:
        """Does what is typed after the colon."""
        command = read_command(text, self.names, self.settings.settings.aliases)
        if command.wrong:
            self.say(command.wrong, wrong=True)
        elif command.screen:
            self._open(command)
        elif command.view:
            self._back_to_browser()
            self.browser.go(Place(command.view, command.scope, command.filter, command.at))

    def _back_to_browser(self) -> None:
        while self.shown is not self.browser and len(self.screen_stack) > 1:
            self.pop_screen()

    def _open(self, command: Command) -> None:
        name, argument = command.screen, command.argument
        if name == "quit":
            self.exit()
        elif name == "help":
            self._help()
        elif name == "aliases":
            self._push_aliases()
        elif name == "forwards":
            self.load()
            assert self._doing is not None
            self.push_screen(self._doing.forwards())
        elif not argument and (name in opening.OF_A_ROW or (name == "use" and self.browser.desk.listing.marks)):
            self.act(name, [])
        else:
            self._open_screen(name, self._noun_of(argument), argument)

    def _noun_of(self, name: str) -> Noun:
        """Whose name that is: of a job, a task, or whatever has it."""
        first = (Noun.JOBS, Noun.TASKS, Noun.NODES, *Noun)
        return next((noun for noun in first if name in self.cluster.store.tables[noun]), Noun.JOBS)

    def _open_screen(self, name: str, noun: Noun, key: str) -> None:
        self.push_screen(opening.SCREENS[name](self.cluster, noun, key))

    def _help(self) -> None:
        from orion.tui.screens.help import Text, help_lines

        self.load()
        view = self.browser.desk.view
        lines = help_lines(view, self.browser.more_keys, self.browser.keymap)
        self.push_screen(Text(self.cluster, f"keys of {view.name}", lines))

    def _push_aliases(self) -> None:
        from orion.tui.screens.help import Text, alias_lines

        self.push_screen(Text(self.cluster, "commands", alias_lines(self.settings.settings.aliases)))

    # --- what is done with rows ---------------------------------------------------------------------------

    def act(self, does: str, keys: list[str]) -> None:
        self.load()
        assert self._doing is not None
        self._doing.act(does, self.browser.desk.view.noun, keys or self.browser.chosen)

    def keys_of(self, view: View) -> tuple[Key, ...]:
        return self._doing.keys_of(view) if self._doing is not None else ()

    def load(self) -> None:
        """Loads what can be done with rows, unless it is there."""
        if self._doing is None:
            from orion.tui.doing import Doing

            def say(text: str, wrong: bool) -> None:
                self.say(text, wrong=wrong)

            self._doing = Doing(self, self.cluster, say, self._turns.begun, read_only=self.read_only)
            self.browser.rekey()
