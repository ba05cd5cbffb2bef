"""A node's labels: what it says of itself, and what `orion nodes label` says over it.

A change stands until another is made, whatever the node says when it starts again: whoever runs the cluster has the
last word, and a label that was taken away does not come back with a restart.
"""

from collections.abc import Mapping

from orion.model.api.requests import label_error, pointer
from orion.model.errors import FieldError

Pairs = tuple[tuple[str, str], ...]  # sorted by key
Changes = tuple[tuple[str, str | None], ...]  # key -> value, None: taken away; sorted by key

MAX_CHANGES = 64  # of one node
OWN = ("id", "hostname", "os", "arch")  # facts: only the node itself knows them


def effective(own: Pairs, changes: Changes) -> Pairs:
    """The labels that count."""
    if not changes:
        return own
    over = dict(changes)
    kept = [pair for pair in own if pair[0] not in over]
    return tuple(sorted(kept + [(key, value) for key, value in changes if value is not None]))


def changed(own: Pairs, changes: Changes, wanted: Changes) -> Changes:
    """`changes` with `wanted` made after them. What the node does not say need not be remembered as taken away."""
    said, found = dict(own), dict(changes)
    for key, value in wanted:
        found[key] = value
        if value is None and key not in said:
            del found[key]
    return tuple(sorted(found.items()))


def changes_errors(wanted: Mapping[str, str | None]) -> list[FieldError]:
    """What is wrong with changes that somebody asks for."""
    errors = []
    for key, value in wanted.items():
        wrong = label_error(key, value or "")
        if wrong is None and key in OWN:
            wrong = f"{key} is what the node says of itself: it can't be changed"
        if wrong is not None:
            errors.append(FieldError(pointer("labels", key), wrong))
    return errors
