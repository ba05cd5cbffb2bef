"""Views of the cluster's rows: which columns they have, how rows are sorted, what is a fault. Pure."""

import enum
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from orion.model.api.watch import Noun
from orion.model.printable import one_line
from orion.model.times import age
from orion.tui.keys import with_keys

Text = Callable[[Any, float], str]  # a row, and the time in Unix seconds
Key = Callable[[Any], Any]


class Tone(enum.StrEnum):
    """How a row stands. Skins say which colour that is."""

    PLAIN = "plain"
    GOOD = "good"
    BUSY = "busy"  # on its way to something
    BAD = "bad"
    DIM = "dim"  # of no interest any more


class Column(NamedTuple):
    """`key`: rows are sorted by it, its values are of one kind. `letter`: with Shift, rows are sorted by it.
    `down`: the largest come first then. `wide`: it is shown in wide mode only. `least`: so narrow it may get; 0: it
    is never cut. `spare`: where there is no room those with the highest go first; 0: it stays. `turned`: what is
    shown grows as the key falls, as an age does as the time of a birth.
    """

    title: str
    text: Text
    key: Key
    letter: str = ""
    down: bool = False
    right: bool = False
    wide: bool = False
    least: int = 0
    spare: int = 0
    turned: bool = False

    def arrow(self, *, reverse: bool) -> str:
        """Returns ↑ where what is shown grows from row to row, else ↓."""
        return "↓" if reverse is not self.turned else "↑"


class View(NamedTuple):
    """Rows of a noun as a table. `one`: what one of its rows is called. `words`: the texts that filters look at,
    beside the labels. `fault`: a row that somebody should look at. `keep`: the rows of the noun that it has. `by`:
    the title of the column by which it is sorted at first. `hints`: the actions that are always shown; none: the
    first of its noun.
    """

    name: str
    one: str
    noun: Noun
    columns: tuple[Column, ...]
    words: Callable[[Any], tuple[str, ...]]
    labels: Callable[[Any], Mapping[str, str]]
    tone: Callable[[Any], Tone]
    fault: Callable[[Any], bool]
    by: str
    keep: Callable[[Any], bool] | None = None
    hints: tuple[str, ...] = ()

    def column(self, title: str) -> Column | None:
        return next((each for each in self.columns if each.title.casefold() == title.casefold()), None)

    def of_letter(self, letter: str) -> Column | None:
        return next((each for each in self.columns if letter and each.letter == letter), None)


def plain(title: str, name: str, letter: str = "", **more: Any) -> Column:
    """A column of a field that is text."""

    def text(row: Any, now_s: float) -> str:
        del now_s
        return one_line(getattr(row, name) or "")

    def key(row: Any) -> Any:
        return natural(getattr(row, name) or "")

    return Column(title, text, key, letter, **more)


def number(title: str, name: str, letter: str = "", **more: Any) -> Column:
    """A column of a field that is a number, or None."""

    def text(row: Any, now_s: float) -> str:
        del now_s
        value = getattr(row, name)
        return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)

    def key(row: Any) -> Any:
        value = getattr(row, name)
        return -1 if value is None else value

    return Column(title, text, key, letter, **{"down": True, "right": True, **more})


def aged(title: str, name: str, letter: str = "", **more: Any) -> Column:
    """A column of a field that is a time, shown as so long ago, or ahead. The youngest come first."""

    def text(row: Any, now_s: float) -> str:
        return age_text(getattr(row, name), now_s)

    def key(row: Any) -> Any:
        return getattr(row, name) or ""

    return Column(title, text, key, letter, **{"down": True, "right": True, "turned": True, **more})


def age_text(when: str | None, now_s: float) -> str:
    """Returns 42s, 5m, 3h, 12d; of what is ahead, in 5m; "" of what has no time."""
    seconds = seconds_since(when, now_s)
    if seconds is None:
        return ""
    return age(seconds) if seconds > -1 else f"in {age(-seconds)}"


def seconds_since(when: str | None, now_s: float) -> float | None:
    if not when:
        return None
    try:
        return now_s - datetime.fromisoformat(when).timestamp()
    except ValueError:
        return None


def reason(name: str = "reason", *, least: int = 24) -> Column:
    """The column at the end that has what room is left."""

    def text(row: Any, now_s: float) -> str:
        del now_s
        return with_keys(one_line(getattr(row, name)))

    return plain("REASON", name, least=least)._replace(text=text)


MOST_NAMES = 32_768  # whose keys are kept: with each key typed into a filter all rows are sorted again
_DIGITS = re.compile(r"([0-9]+)")


@lru_cache(maxsize=MOST_NAMES)
def natural(text: str) -> tuple[str | int, ...]:
    """A key by which web/10 comes behind web/9: text and numbers in turn."""
    if text.isalpha():
        return (text,)
    parts: list[str | int] = list(_DIGITS.split(text))
    parts[1::2] = [int(each) for each in parts[1::2]]
    return tuple(parts)
