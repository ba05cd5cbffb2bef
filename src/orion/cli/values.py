"""Option values as people write them: sizes, cores, labels, addresses."""

import re
from typing import Any

import click

from orion.model.ids import NODE_ID
from orion.model.node import address_parts
from orion.model.requests import label_error

# As `docker run -m` reads k, m, g and t: powers of 1024. With a B they are what disk makers count, powers of 1000,
# as Orion itself shows sizes; with iB they are powers of 1024 to the letter.
_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)\s*(?:([kmgtp])(i?b)?|b)?", re.IGNORECASE)
_POWER = {"k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


def parse_size(text: str) -> int:
    """Bytes. Raises ValueError with a sentence for a person."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a size: write it as in 512m, 1.5GB or 100000000")
    number, unit, suffix = match.groups()
    base = 1000 if suffix and suffix.lower() == "b" else 1024
    return round(float(number) * base ** _POWER[unit.lower()]) if unit else round(float(number))


class Size(click.ParamType[int]):
    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return parse_size(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class NodeName(click.ParamType[str]):
    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not NODE_ID.fullmatch(str(value)):
            self.fail(f"{value!r} is not a node's name: use 1 to 64 letters, digits, '.', '_' and '-'", param, ctx)
        return str(value)


class Address(click.ParamType[str]):
    name = "host:port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            address_parts(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return str(value)


class KeyValue(click.ParamType[tuple[str, str]]):
    """`name=value`; `labels` holds it to what a node's label may be."""

    name = "name=value"

    def __init__(self, *, labels: bool = False) -> None:
        self._labels = labels

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        key, equals, text = str(value).partition("=")
        if not key or not equals:
            self.fail(f"{value!r} is not name=value", param, ctx)
        wrong = label_error(key, text) if self._labels else None
        if wrong:
            self.fail(wrong, param, ctx)
        return key, text
