"""An action as a row of a table: its key, its word, and what it comes to. Pure but for what it calls."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import msgspec
from textual.app import App
from textual.screen import Screen

from orion.client import Client
from orion.model.api.watch import Noun
from orion.tui.actions.forwards import Forwards
from orion.tui.cluster import Cluster
from orion.tui.lines import Line
from orion.tui.store import Store


class Stage(msgspec.Struct):
    """All that actions need of the app."""

    app: App[Any]
    cluster: Cluster
    tell: Callable[[str, bool], None]  # a sentence, and whether it is of a failure
    begun: Callable[[int], None]  # a deployment, whose end is to be told
    forwards: Forwards = msgspec.field(default_factory=Forwards)


class Question(NamedTuple):
    """Asked before something is done: what happens then, and a word for yes."""

    title: str
    lines: Sequence[Line]
    yes: str


class Wish(NamedTuple):
    """A text that is asked for. `first` stands there at first; `check` raises Refused for a wrong one. `choices`:
    lines about what may be wished, that the cluster is asked for.
    """

    title: str
    first: Callable[[Store, str], str]
    check: Callable[[str], Any]
    hint: str = ""
    choices: Callable[[Client, str, str], list[Line]] | None = None


# (store, key, what was wished) -> the question, None where it is done unasked.
Asks = Callable[[Store, str, str], Question | None]


class Begun(NamedTuple):
    """A sentence of what was begun. `deployment`: the one that goes on with it, if one does."""

    words: str
    deployment: int | None


# (client, key, what was wished) -> a sentence of what became of it.
Calls = Callable[[Client, str, str], str | Begun]
# Lines for the question that only the cluster knows.
Previews = Callable[[Client, str, str], list[Line]]


class Action(NamedTuple):
    """`changes`: read-only mode hides it. One of three says what it comes to: `opens` a screen; `calls` the cluster
    for each row; `takes` the app for itself, with one row. `refuses`: why a row is none for it, "" if it is one.
    `many`: of marked rows it is done to each; else only to the one at the cursor. `together`: what it opens for
    several rows that are marked.
    """

    key: str  # as Textual names it
    word: str
    does: str
    changes: bool = False
    many: bool = False
    opens: Callable[[Cluster, Noun, str], Screen[Any]] | None = None
    together: Callable[[Cluster, Noun, Sequence[str]], Screen[Any]] | None = None
    calls: Calls | None = None
    takes: Callable[[Stage, Noun, str], Awaitable[None]] | None = None
    wish: Wish | None = None
    asks: Asks | None = None
    previews: Previews | None = None
    refuses: Callable[[Store, str], str] | None = None

    @property
    def destroys(self) -> bool:
        """It asks before it is done."""
        return self.asks is not None or self.previews is not None
