"""Colours by what they say, as Rich writes styles. Pure."""

from collections.abc import Mapping

from orion.tui.columns import Tone

# Parts that have a colour, beside the tones of rows.
PARTS = (
    "head",
    "sorted",
    "cursor",
    "mark",
    "title",
    "name",
    "value",
    "crumb",
    "here",
    "key",
    "hint",
    "note",
    "error",
)

_ANSI = {
    Tone.PLAIN.value: "default",
    Tone.GOOD.value: "green",
    Tone.BUSY.value: "yellow",
    Tone.BAD.value: "bright_red",
    Tone.DIM.value: "bright_black",
    "head": "bold",
    "sorted": "bold cyan",
    "cursor": "reverse bold",
    "mark": "bold magenta",
    "title": "bold cyan",
    "name": "cyan",
    "value": "bold",
    "crumb": "default",
    "here": "reverse",
    "key": "bold blue",
    "hint": "default",
    "note": "green",
    "error": "bold red",
}

# The terminal's own sixteen colours suit whatever background it has; the others name theirs.
SKINS: dict[str, dict[str, str]] = {
    "terminal": _ANSI,
    "light": {
        **_ANSI,
        "busy": "dark_orange3",
        "dim": "grey58",
        "bad": "red3",
        "key": "bold blue3",
        "name": "blue3",
    },
    "night": {
        **_ANSI,
        "plain": "#c8d3f5",
        "good": "#c3e88d",
        "busy": "#ffc777",
        "bad": "#ff757f",
        "dim": "#737aa2",
        "sorted": "bold #86e1fc",
        "title": "bold #86e1fc",
        "name": "#82aaff",
        "key": "bold #c099ff",
    },
    "mono": dict.fromkeys(_ANSI, "default")
    | {
        "bad": "bold",
        "dim": "dim",
        "head": "underline",
        "sorted": "underline bold",
        "cursor": "reverse",
        "mark": "bold",
        "title": "bold",
        "value": "bold",
        "here": "reverse",
        "key": "bold",
        "error": "reverse",
    },
}
DEFAULT = "terminal"


def skin(name: str, colours: Mapping[str, str] | None = None) -> dict[str, str]:
    """Returns the styles of a skin, with one's own colours over them."""
    return {**SKINS.get(name, SKINS[DEFAULT]), **(colours or {})}
