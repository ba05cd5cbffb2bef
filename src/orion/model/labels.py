"""A node's labels: its own, and the changes by `orion nodes label`.

A change stands until another is made, whatever the node says when it starts again. The operator has the last word,
and a label that was taken away does not come back with a restart.
"""

import re
from collections.abc import Mapping

from orion.model.errors import FieldError, pointer, shown

Pairs = tuple[tuple[str, str], ...]  # sorted by key
Changes = tuple[tuple[str, str | None], ...]  # key -> value, None: taken away; sorted by key

MAX_CHANGES = 64  # of one node
LABEL_KEY = r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?"
LABEL_VALUE = r"[A-Za-z0-9._:/-]{0,128}"
OWN = ("id", "hostname", "os", "arch")  # only the node itself knows them


def label_error(key: str, value: str) -> str | None:
    """Returns what is wrong with a node label, or None."""
    if not re.fullmatch(LABEL_KEY, key):
        return f"{shown(key)} is not a label's name: use 1 to 63 letters, digits, '.', '_', '/' and '-'"
    if not re.fullmatch(LABEL_VALUE, value):
        allowed = "at most 128 letters, digits, '.', '_', ':', '/' and '-'"
        return f"{shown(value)} is not a label's value: use {allowed}"
    return None


def effective(own: Pairs, changes: Changes) -> Pairs:
    """Returns the labels that count."""
    if not changes:
        return own
    over = dict(changes)
    kept = [pair for pair in own if pair[0] not in over]
    return tuple(sorted(kept + [(key, value) for key, value in changes if value is not None]))


def changed(own: Pairs, changes: Changes, wanted: Changes) -> Changes:
    """Returns `changes` with `wanted` made after them. A removal is kept only if the node itself has the label."""
    said, found = dict(own), dict(changes)
    for key, value in wanted:
        found[key] = value
        if value is None and key not in said:
            del found[key]
    return tuple(sorted(found.items()))


def changes_errors(wanted: Mapping[str, str | None]) -> list[FieldError]:
    """Returns what is wrong with the changes that a user asks for."""
    errors = []
    for key, value in wanted.items():
        wrong = label_error(key, value or "")
        if wrong is None and key in OWN:
            wrong = f"{key} is what the node says of itself: it can't be changed"
        if wrong is not None:
            errors.append(FieldError(pointer("labels", key), wrong))
    return errors
