"""Filters of lists, as k9s's users type them after `/`: a regular expression, its opposite, fuzzy, labels. Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

Labels = Mapping[str, str]
Words = Sequence[str]
Test = Callable[[Words, Labels], bool]

_LABEL = re.compile(r"(?P<key>[^=!,\s]+)\s*(?P<operator>!=|==|=)\s*(?P<value>[^=!,]*)")


class Filter(NamedTuple):
    """`passes` is given a row's words, a text for each cell, and its labels. `labels`: it looks at these alone.
    `wrong`: why it is not what was meant, for people; the filter then does what comes nearest.
    """

    text: str
    passes: Test
    labels: bool = False
    wrong: str = ""

    @property
    def empty(self) -> bool:
        return self.passes is _everything


def _everything(words: Words, labels: Labels) -> bool:
    del words, labels
    return True


NONE = Filter("", _everything)


def read_filter(text: str) -> Filter:
    """Returns the filter that was typed: `web`, `web|db`, `!web`, `-f wb`, `-l disk=ssd,zone!=a`."""
    stripped = text.strip()
    if not stripped or stripped in ("!", "-", "-f", "-l"):  # it is being typed
        return Filter(text, _everything)
    if stripped.startswith("-l"):
        return _by_labels(text, stripped[2:])
    if stripped.startswith("-f"):
        return _fuzzy(text, stripped[2:])
    if stripped.startswith("!"):
        return _by_pattern(text, stripped[1:].strip(), wanted=False)
    return _by_pattern(text, stripped, wanted=True)


def _by_pattern(text: str, pattern: str, *, wanted: bool) -> Filter:
    """It is looked for in the whole row, and in each cell: ^ and $ are the ends of either."""
    wrong = ""
    try:
        search = re.compile(pattern, re.IGNORECASE).search
    except (re.error, RecursionError, OverflowError) as error:
        wrong = f"{pattern!r} is no regular expression ({error}): it is looked for as it is"
        search = re.compile(re.escape(pattern), re.IGNORECASE).search

    def passes(words: Words, labels: Labels) -> bool:
        del labels
        found = search(" ".join(words)) is not None or any(map(search, filter(None, words)))
        return found is wanted

    return Filter(text, passes, wrong=wrong)


def _fuzzy(text: str, typed: str) -> Filter:
    """Each character of it comes in the row's words, in their order."""
    wanted = "".join(typed.split()).casefold()

    def passes(words: Words, labels: Labels) -> bool:
        del labels
        at, low = 0, " ".join(words).casefold()
        for character in wanted:
            at = low.find(character, at) + 1
            if not at:
                return False
        return True

    return Filter(text, passes)


def _by_labels(text: str, asked: str) -> Filter:
    rules: list[tuple[str, bool, str | None]] = []
    wrong = ""
    for part in filter(None, (each.strip() for each in asked.split(","))):
        if found := _LABEL.fullmatch(part):
            rules.append((found["key"], found["operator"] != "!=", found["value"].strip()))
        elif re.fullmatch(r"!?[^=!,\s]+", part):
            rules.append((part.removeprefix("!"), not part.startswith("!"), None))
        else:
            wrong = f"{part!r} is no label: write key=value, key!=value, key or !key"

    def passes(words: Words, labels: Labels) -> bool:
        del words
        for key, wanted, value in rules:
            has = key in labels if value is None else labels.get(key) == value
            if has is not wanted:
                return False
        return True

    return Filter(text, passes if rules else _everything, labels=True, wrong=wrong)
