"""Templates in texts of a task, as in Swarm: `{{.Node.Hostname}}` is another text on each node.

What stands between `{{` and `}}` is one only if it begins with a dot, so that texts for other programs stay as they
are. `{{"{{"}}` is a plain `{{`.
"""

import re
from collections.abc import Callable

LABEL = ".Node.Labels."
KNOWN = (
    ".Node.Hostname",
    ".Node.ID",
    ".Node.Platform.Architecture",
    ".Node.Platform.OS",
    ".Task.ID",
    ".Task.Name",
    ".Task.Slot",
    ".Job.Name",
    ".Service.Name",
)
_TEMPLATE = r'\{\{[ \t]*(?:(\.[^{}]*?)|"(\{\{)")[ \t]*\}\}'
_LABEL_KEY = r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?"


def holds_any(text: str) -> bool:
    return "{{" in text and re.search(_TEMPLATE, text) is not None


def unknown_in(text: str) -> str | None:
    """Returns the first name that no node knows, or None."""
    if "{{" not in text:
        return None
    names = (match[1] for match in re.finditer(_TEMPLATE, text) if match[1] is not None)
    return next((name for name in names if not _is_known(name)), None)


def _is_known(name: str) -> bool:
    if name.startswith(LABEL):
        return re.fullmatch(_LABEL_KEY, name.removeprefix(LABEL)) is not None
    return name in KNOWN


def unknown_words(name: str) -> str:
    """Says of a text what is wrong with the template in it."""
    return (
        f"asks for {{{{{name[:80]}}}}}, which is not known: there are {', '.join(KNOWN)} and {LABEL}KEY; "
        'write {{"{{"}} for a plain {{'
    )


def expanded(text: str, value: Callable[[str], str]) -> str:
    """The text with the value of each name."""
    if "{{" not in text:
        return text
    return re.sub(_TEMPLATE, lambda match: match[2] or value(match[1]), text)
