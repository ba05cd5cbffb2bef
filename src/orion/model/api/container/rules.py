"""Parts of which the fields of a container's options are declared.

Each function here returns keywords for `option`: how the value is read and shown, and what JSON Schema says of it.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from orion.model.api.fields import Reading, field, none_or
from orion.model.container_options import Pairs
from orion.model.errors import shown

T = TypeVar("T")

MAX_ENTRIES = 256  # of one list or object
MAX_TEXT = 4_096
_PLAIN_PART = r"([ -.0-~]{1,255}|[^/\x00-\x1f\x7f]{1,63})"  # of a path: Linux takes 255 bytes
PLAIN_PATH = rf"(?!(.*/)?\.{{1,2}}(/|$))(/{_PLAIN_PART})+"
ABSOLUTE_PATH = rf"/|{PLAIN_PATH}"

# A field of ContainerOptions, of the same name there.
option = partial(field, spec="options.")


def whole(least: int, most: int, unit: str = "", *, none: str = "") -> dict[str, Any]:
    """A whole number from `least` to `most`; or 0, if `none` says what that means."""

    def read(number: int | None, reading: Reading) -> int | None:
        if number is None or least <= number <= most or (none and number == 0):
            return number
        otherwise = f", or 0 for {none}" if none else ""
        reading.wrong(f"{reading.name} is {number}: give {least} to {most}{unit}{otherwise}")
        return 0

    limits = {"anyOf": none_or(least, most)} if none else {"minimum": least, "maximum": most}
    return {"read": read, **limits}


def text(pattern: str, words: str, *, most: int = MAX_TEXT) -> dict[str, Any]:
    """A text that `pattern` takes, or the empty one."""
    return {"pattern": rf"^({pattern})?$", "maxLength": most, "wrong": words}


def one_of(*choices: str, hints: Callable[[str], str] = lambda _: "") -> dict[str, Any]:
    """One of these, or the empty text."""

    def read(text: str, reading: Reading) -> str:
        if text and text not in choices:
            hint = hints(text)
            reading.wrong(f"{reading.name} {shown(text)} is not known: use {' or '.join(choices)}{hint}")
            return ""
        return text

    return {"read": read, "enum": ["", *choices]}


def texts(
    pattern: str, words: str, *, most: int = MAX_ENTRIES, longest: int = MAX_TEXT, unique: bool = False
) -> dict[str, Any]:
    """A list of texts that `pattern` takes. Their own schema stands at the elements: `item` makes it."""

    def read(given: list[str], reading: Reading) -> tuple[str, ...]:
        if _too_many(given, most, reading):
            return ()
        for at, each in enumerate(given):
            if len(each) > longest or not re.fullmatch(pattern, each):
                reading.wrong(f"{reading.name} {shown(each)} {words}", at)
            elif unique and each in given[:at]:
                reading.wrong(f"{reading.name} {shown(each)} is given twice", at)
        return tuple(given)

    return {"read": read, "show": list, "max_length": most}


def item(pattern: str, *, longest: int = MAX_TEXT) -> Any:
    """The schema of the elements of `texts`."""
    from orion.model.api.fields import schema

    return schema(pattern=rf"^({pattern})$", maxLength=longest)


def pairs(
    key: str,
    key_words: str,
    value: str,
    value_words: str,
    *,
    most: int = MAX_ENTRIES,
    longest: int = MAX_TEXT,
    also: Callable[[str, str, Reading], None] = lambda _key, _value, _reading: None,
) -> dict[str, Any]:
    """An object of texts, of which both patterns take all. `also` says what else is wrong with an entry."""

    def read(given: dict[str, str], reading: Reading) -> Pairs:
        if _too_many(given, most, reading):
            return ()
        for name, each in given.items():
            if len(name) > longest or not re.fullmatch(key, name):
                reading.wrong(f"{reading.name} {shown(name)} {key_words}", name)
            elif len(each) > longest or not re.fullmatch(value, each):
                reading.wrong(f"{reading.name} {name} {shown(each)} {value_words}", name)
            else:
                also(name, each, reading)
        return tuple(sorted(given.items()))

    names = {"pattern": rf"^({key})$", "maxLength": longest}
    return {"read": read, "show": dict, "max_length": most, "propertyNames": names}


def _too_many(given: list[str] | dict[str, Any], most: int, reading: Reading) -> bool:
    if len(given) <= most:
        return False
    reading.wrong(f"{reading.name} has {len(given):,} entries; a task can have {most}")
    return True


def apart(reading: Reading, *others: tuple[bool, str]) -> None:
    """Refuses the field beside any of `others` that is asked for too, with the words for it."""
    for asked, words in others:
        if asked:
            reading.wrong(f"{reading.name} and {words} don't go together")
