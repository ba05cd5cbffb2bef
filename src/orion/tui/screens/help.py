"""Texts about the program itself: keys of a view, and all commands."""

from collections.abc import Iterable, Mapping, Sequence

from orion.tui.cluster import Cluster
from orion.tui.columns import View
from orion.tui.commands import ALIASES, SCREENS
from orion.tui.keys import KEYS, MOVES, Key, shown
from orion.tui.lines import Line, Part, plain, table
from orion.tui.screens.text_pane import TextPane
from orion.tui.views import VIEWS


class Text(TextPane):
    """Lines that do not change."""

    def __init__(self, cluster: Cluster, heading: str, lines: Sequence[Line]) -> None:
        super().__init__(cluster, heading, heading)
        self._text = lines

    def on_mount(self) -> None:
        super().on_mount()
        self.pager.show(self._text)


def help_lines(view: View, more: Sequence[Key], keymap: Mapping[str, str]) -> list[Line]:
    """Returns what the keys do in a view, as they are now."""
    known = {each.does: each.words for each in (*KEYS, *MOVES, *more)}
    acts, moves = {each.does for each in more}, {each.does for each in MOVES}
    locked = {each.does for each in more if each.locked}
    keys: dict[str, list[str]] = {}
    for key, does in keymap.items():
        if does not in locked:
            keys.setdefault(does, []).append(shown(key))
    named = [(" ".join(found), known.get(does, does), does) for does, found in keys.items()]
    sorts = [(f"Shift-{each.letter}", f"by {each.title.lower()}") for each in view.columns if each.letter]
    return [
        *_part(f"what can be done with {view.name}", [(key, words) for key, words, does in named if does in acts]),
        *_part("sorting", sorts),
        *_part("getting about", [(key, words) for key, words, does in named if does not in acts | moves]),
        *_part("moving", [(key, words) for key, words, does in named if does in moves]),
        *_part(
            "the numbers above",
            [
                ("jobs 4 (1)", "4 jobs, and 1 that somebody should look at: Ctrl-Z shows those alone"),
                ("nodes, tasks", "the same of these: dead; waiting, failed, not ready, or started again and again"),
                ("mem asked", "what a task reserves: :top says what it uses"),
                ("given, used", "what a node's tasks asked for; what all its programs use: 100% is all cores"),
            ],
        ),
        *_part(
            "filters, after /",
            [
                ("web|db", "rows with one of these words: a regular expression, small and large letters alike"),
                ("^web$", "rows of which a cell, or the whole, begins and ends so: web, and not web2"),
                ("!web", "all other rows"),
                ("-f wb1", "rows in which these letters come in this order"),
                ("-l state=failed", "rows by their labels: also !=, several with commas, key and !key"),
                ("-l tier=front", "of nodes and volumes, and of jobs and their tasks by those of the containers"),
            ],
        ),
    ]


def alias_lines(own: Mapping[str, str]) -> list[Line]:
    """Returns all commands, with the words that mean the same."""
    words: dict[str, list[str]] = {name: [] for name in (*VIEWS, *SCREENS)}
    for word, name in ALIASES.items():
        words[name].append(word)
    rows = [(f":{name}", " ".join(short)) for name, short in words.items()]
    mine = [(f":{word}", f":{command}") for word, command in own.items()]
    return [*table(("COMMAND", "ALIASES"), rows), plain(""), *table(("YOUR OWN", "MEANS"), mine)]


def _part(title: str, rows: Iterable[tuple[str, str]]) -> list[Line]:
    found = list(rows)
    if not found:
        return []
    width = max(len(key) for key, _ in found)
    lines: list[Line] = [plain(title, "title")]
    lines += [(Part(f"  {key:<{width}}  ", "good"), Part(words)) for key, words in found]
    return [*lines, plain("")]
