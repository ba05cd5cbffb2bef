"""Keys, what they do, and how they are called. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

# How Textual calls keys -> how they are written here and in the settings.
_OF_TEXTUAL = {"escape": "esc", "ctrl+@": "ctrl-space", "ctrl+backslash": "ctrl-\\"}
_MEANT = {"escape": "esc", "return": "enter", "del": "delete", "pgup": "pageup", "pgdn": "pagedown"}
_PLAIN = ("enter", "escape", "space", "tab", "delete", "backspace", "insert", "home", "end", "pageup", "pagedown")
_ARROWS = ("up", "down", "left", "right")


class Key(NamedTuple):
    """`does`: a command of the bar with its colon, else the name of something that a view can do. `hint`: it is
    among those that are always shown. `locked`: it says why not, as in read-only mode.
    """

    key: str
    does: str
    words: str
    hint: str = ""
    locked: bool = False


HELP = ":help"
KEYS: tuple[Key, ...] = (
    Key(":", "command", "go to a view: its name, and what it is narrowed down by", "go"),
    Key("/", "filter", "filter: a regular expression, !other rows, -f fuzzy, -l label=value", "filter"),
    Key("enter", "enter", "what belongs to the row", "enter"),
    Key("esc", "back", "clear the filter, then back"),
    Key("[", "history_back", "the view before"),
    Key("]", "history_forward", "the view after"),
    Key("-", "swap", "the last view, and back"),
    Key("J", "owner", "jump to what the row belongs to", "owner"),
    Key("n", "node", "jump to the row's node", "node"),
    Key("space", "mark", "mark the row"),
    Key("ctrl-space", "mark_range", "mark from the nearest mark to here"),
    Key("ctrl-\\", "clear_marks", "take all marks away"),
    Key("ctrl-w", "wide", "more columns, and back"),
    Key("ctrl-z", "faults", "faults only, and back", "faults"),
    Key("?", HELP, "this help", "more"),
    Key("shift-left", "sort_left", "sort by the column to the left"),
    Key("shift-right", "sort_right", "sort by the column to the right"),
    Key("shift-up", "sort_other", "sort the other way round"),
    Key("c", "copy", "copy the name of the row"),
    Key("ctrl-s", "save", "save what is shown"),
    Key("ctrl-r", "again", "ask anew, of another node if need be"),
    Key("ctrl-e", "header", "hide the header, and show it"),
    Key("ctrl-g", "crumbs", "hide the crumbs, and show them"),
    Key("ctrl-a", ":aliases", "all commands and their aliases"),
    Key("ctrl-c", ":quit", "leave"),
)

MOVES: tuple[Key, ...] = (
    Key("down", "down", "a row down"),
    Key("j", "down", "a row down"),
    Key("up", "up", "a row up"),
    Key("k", "up", "a row up"),
    Key("pagedown", "page_down", "a page down"),
    Key("ctrl-f", "page_down", "a page down"),
    Key("pageup", "page_up", "a page up"),
    Key("ctrl-b", "page_up", "a page up"),
    Key("home", "first", "to the first row"),
    Key("g", "first", "to the first row"),
    Key("end", "last", "to the last row"),
    Key("G", "last", "to the last row"),
    Key("left", "left", "to the left, in wide mode"),
    Key("right", "right", "to the right, in wide mode"),
)


# Keys of k9s that mean nothing here, with what to say.
ELSEWHERE: dict[str, str] = {
    **dict.fromkeys("0123456789", "there are no namespaces: / filters, and : goes to a view"),
    "ctrl-k": "nothing is killed: Ctrl-D deletes, h stops, r restarts",
    "ctrl-u": "Esc clears the filter",
}


_COMMANDS = {"ready": "u", "promote": "a", "cron runs": "enter"}
_COMMAND = re.compile(rf"'orion ({'|'.join(_COMMANDS)}) [^' ]+'")


def with_keys(text: str) -> str:
    """Returns what the cluster says, with the key that does the same here in the place of a command for a shell."""
    return _COMMAND.sub(lambda found: f"<{shown(_COMMANDS[found[1]])}>", text)


def canonical(text: str) -> str:
    """Returns a key as KEYS writes it, from any of the ways that people write it; "" for none.

    As in Ctrl-W, ctrl+w, Shift-A, A, F5, esc, Escape.
    """
    text = text.strip(" ") or text[:1]
    if len(text) == 1:
        return "space" if text == " " else text
    *before, last = text.replace("+", "-").split("-") if not text.endswith(("-", "+")) else [text[:-2], text[-1]]
    marks = {mark.casefold() for mark in before}
    name = last.casefold() if len(last) > 1 else last
    name = {"escape": "esc", "return": "enter", "del": "delete", "pgup": "pageup", "pgdn": "pagedown"}.get(
        name, name
    )
    if marks == {"shift"} and len(name) == 1:
        return name.upper()
    if not marks <= {"ctrl", "shift", "alt"}:
        return ""
    if marks and len(name) == 1:
        name = name.casefold()
    known = len(name) == 1 or name == "esc" or name in _PLAIN or name in _ARROWS or _is_function_key(name)
    prefix = "".join(f"{mark}-" for mark in ("ctrl", "alt", "shift") if mark in marks)
    return f"{prefix}{name}" if known else ""


def _is_function_key(name: str) -> bool:
    return name[:1] == "f" and name[1:].isdigit() and 1 <= int(name[1:]) <= 24


def of_event(key: str, character: str | None) -> str:
    """Returns the key that Textual tells of."""
    if key in _OF_TEXTUAL:
        return _OF_TEXTUAL[key]
    if key.startswith("alt+"):
        return f"alt-{of_event(key[4:], character)}"
    if character is not None and len(character) == 1 and character.isprintable() and character != " ":
        return character
    return key.replace("+", "-")


def keymap(keys: Iterable[Key], own: Mapping[str, str]) -> dict[str, str]:
    """Returns what each key does. `own`: what a person says over that; "" takes a key away."""
    found = {each.key: each.does for each in keys}
    for text, does in own.items():
        found.pop(canonical(text), None)
        if does:
            found[canonical(text)] = does
    return found


def shown(key: str) -> str:
    """Returns a key as help writes it: Shift-J, Ctrl-W, /."""
    if len(key) == 1:
        return f"Shift-{key}" if key.isupper() else key
    return (
        "-".join(part[:1].upper() + part[1:] for part in key.split("-")) if not key.endswith("-\\") else "Ctrl-\\"
    )
