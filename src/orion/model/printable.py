"""Text of other programs without what would steer a terminal."""

import re

_ESCAPE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)"
)  # colours, and a terminal's title


def one_line(text: str) -> str:
    """Returns the text without line ends and control sequences. A reason may quote a program's own words."""
    if text.isprintable():
        return text
    words = _ESCAPE.sub("", text).split()
    return "".join(c if c.isprintable() else "?" for c in " ".join(words))


def plain(text: str) -> str:
    """Returns a line of output as a terminal shows it, without colours: tabs as spaces, and of what was written
    over with a carriage return the last.
    """
    if text.isprintable():
        return text
    shown = _ESCAPE.sub("", text).rstrip("\r\n")
    shown = shown.rpartition("\r")[2].expandtabs()
    return "".join(c if c.isprintable() else "?" for c in shown)
