"""A person's own columns, colours, keys and aliases: a TOML file that is read again when it changes."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
from rich.errors import StyleSyntaxError
from rich.style import Style

from orion.tui.columns import Tone
from orion.tui.keys import KEYS, MOVES, canonical
from orion.tui.skins import DEFAULT, PARTS, SKINS
from orion.tui.views import VIEWS

MOST_BYTES = 256 * 1024
OWN = frozenset(each.does for each in (*KEYS, *MOVES))


class Wrong(ValueError):
    """`str` says what is wrong with the settings, for people."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`view`: the first that is shown. `columns`: titles, by view. `keys`: what keys do: a name of KEYS, a command
    with its colon, or "" for nothing. `aliases`: a command for a word of one's own.
    """

    view: str = "jobs"
    read_only: bool = False
    mouse: bool = False
    wide: bool = False
    skin: str = DEFAULT
    colours: dict[str, str] = {}
    columns: dict[str, list[str]] = {}
    keys: dict[str, str] = {}
    aliases: dict[str, str] = {}


Names = Callable[[], frozenset[str]]


def read_settings(text: str, actions: Names = frozenset) -> Settings:
    """Raises Wrong. `actions` gives names that a key may have, beside those of KEYS."""
    try:
        settings = msgspec.toml.decode(text, type=Settings)
    except msgspec.MsgspecError as error:
        raise Wrong(_plainly(str(error))) from None
    _check(settings, actions)
    return settings


def _plainly(words: str) -> str:
    """As in: keys: expected `object`, got `int`."""
    what, at, place = words.partition(" - at `$.")
    return f"{place.rstrip('`')}: {what[:1].lower()}{what[1:]}" if at else words


def _check(settings: Settings, actions: Names) -> None:
    _check_one_of("view", settings.view, VIEWS)
    _check_one_of("skin", settings.skin, SKINS)
    for part, style in settings.colours.items():
        _check_one_of("colours", part, (*Tone, *PARTS))
        try:
            Style.parse(style)
        except StyleSyntaxError as error:
            raise Wrong(f"colours.{part}: {error}") from None
    for view, titles in settings.columns.items():
        _check_one_of("columns", view, VIEWS)
        for title in titles:
            if VIEWS[view].column(title) is None:
                _check_one_of(f"columns.{view}", title, [each.title for each in VIEWS[view].columns])
    for key, does in settings.keys.items():
        if not canonical(key):
            raise Wrong(f"keys: {key!r} is no key: write it as in ctrl-w, A, f5 or esc")
        if does and not does.startswith(":") and does not in OWN and does not in actions():
            raise Wrong(
                f"keys.{key}: nothing is called {does!r}: write a command as ':tasks web', or a name of docs/top.md"
            )


def _check_one_of(where: str, name: str, names: Iterable[str]) -> None:
    if name not in names:
        raise Wrong(f"{where}: there is no {name!r}, but {', '.join(names)}")


def default_path() -> Path:
    """$XDG_CONFIG_HOME/orion/top.toml, else ~/.config/orion/top.toml."""
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "orion" / "top.toml"


class SettingsFile:
    """`settings`: the last that were right. `wrong`: why those in the file are not taken, "" while they are."""

    def __init__(self, path: Path, actions: Names = frozenset) -> None:
        self.path = path
        self.settings = Settings()
        self.wrong = ""
        self._actions = actions
        self._seen: tuple[int, int, int] | None = None

    def look(self) -> bool:
        """Reads the file where it has changed. Returns whether settings or `wrong` may be others than before."""
        try:
            found = self.path.stat()
        except OSError:
            now = None
        else:
            now = (found.st_mtime_ns, found.st_size, found.st_ino)
        if now == self._seen:
            return False
        self._seen = now
        if now is None:
            self.settings, self.wrong = Settings(), ""
            return True
        try:
            self.settings, self.wrong = self._read(), ""
        except OSError as error:
            self.wrong = f"{self.path.name}: {error.strerror or error}"
        except (Wrong, UnicodeDecodeError) as error:
            self.wrong = f"{self.path.name}: {error}; as before until that is mended"
        return True

    def _read(self) -> Settings:
        with self.path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise Wrong(f"it has more than {MOST_BYTES // 1024} KiB")
        return read_settings(data.decode(), self._actions)
