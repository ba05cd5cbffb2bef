"""Where the keys and values of a TOML text stand, which tomllib does not tell.

The scanner follows whatever tomllib takes. In other texts it may go on behind what tomllib refuses, and bounds what
tomllib is given: parts of a key, levels, values, digits.
"""

import re
import tomllib
from collections.abc import Iterator

import msgspec

from orion.jobfile.tree import MAX_DEPTH, MAX_NODES

_BETWEEN = re.compile(r"(?:[ \t\n]++|#[^\n]*+)*+")
_SPACES = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BASIC = re.compile(r'"(?:[^"\\\n]++|\\.)*+"')
_LITERAL = re.compile(r"'[^'\n]*'")
_LONG_BASIC = re.compile(r'"""(?:[^"\\]++|\\[\s\S]|"{1,2}(?!"))*+"{3,5}')
_LONG_LITERAL = re.compile(r"'''(?:[^']++|'{1,2}(?!'))*+'{3,5}")
_OTHER = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9][^\s,\]}#]*|[^\s,\[\]{}#\"'=]+")
_REST_OF_LINE = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|$)")
MAX_DIGITS = 400  # Python refuses whole numbers of more than a few thousand


class Leaf(msgspec.Struct):
    """A single value: where it begins, and how it is written."""

    at: int
    text: str


class Array(msgspec.Struct):
    at: int
    items: "list[Place]"
    of_tables: bool = False


class Table(msgspec.Struct):
    at: int
    keys: "dict[str, tuple[int, Place]]"


Place = Leaf | Array | Table


class StopError(Exception):
    """The scanner does not understand what stands `at`. `words` are for what is refused although it is TOML."""

    def __init__(self, at: int, words: str = "") -> None:
        super().__init__(words)
        self.at, self.words = at, words


class Statement(msgspec.Struct):
    """A header, or a key with its value."""

    start: int
    key_at: int
    keys: tuple[str, ...] = ()  # from the top; empty when they can't be read


class Scan:
    """All places of a text, and its statements. `stop` is why the scanner did not come to the end."""

    def __init__(self, text: str) -> None:
        self.root = Table(0, {})
        self.statements: list[Statement] = []
        self.stop: StopError | None = None
        self._text = text
        self._table = self.root
        self._header: tuple[str, ...] = ()
        self._nodes = 0
        self._after = 0
        at = _end(_BETWEEN, text, 0)
        while at < len(text) and self.stop is None:
            at = self._statement(at)

    def _statement(self, start: int) -> int:
        statement = Statement(start, start)
        self.statements.append(statement)
        try:
            end = self._header_at(start, statement) if self._is(start, "[") else self._pair(start, statement)
        except StopError as stop:
            self.stop = stop
            return stop.at
        if (line := _REST_OF_LINE.match(self._text, end)) is None:
            self.stop = StopError(end)
            return end
        return _end(_BETWEEN, self._text, line.end())

    def _header_at(self, start: int, statement: Statement) -> int:
        many = self._is(start, "[[")
        bracket = "]]" if many else "]"
        statement.key_at = _end(_SPACES, self._text, start + len(bracket))
        keys, at = self._key(statement.key_at)
        statement.keys = self._header = tuple(name for name, _ in keys)
        if not self._is(at, bracket):
            raise StopError(at)
        *above, (name, name_at) = keys
        table = self._below(self.root, above)
        if many:
            made = Table(name_at, {})
            _, array = table.keys.setdefault(name, (name_at, Array(name_at, [], of_tables=True)))
            if not isinstance(array, Array) or not array.of_tables:
                raise StopError(name_at)
            self._count(at)
            array.items.append(made)
            self._table = made
        else:
            self._table = self._below(table, [(name, name_at)])
        return at + len(bracket)

    def _pair(self, start: int, statement: Statement) -> int:
        keys, at = self._key(start)
        statement.keys = (*self._header, *(name for name, _ in keys))
        return self._put(self._table, keys, at, 0)

    def _put(self, table: Table, keys: list[tuple[str, int]], at: int, depth: int) -> int:
        """Puts the value behind a key into a table. Returns where it ends."""
        *above, (name, name_at) = keys
        if not self._is(at, "="):
            raise StopError(at)
        value, end = self._value(_end(_SPACES, self._text, at + 1), depth)
        into = self._below(table, above)
        if name in into.keys:
            raise StopError(name_at)
        into.keys[name] = (name_at, value)
        return end

    def _below(self, table: Table, keys: list[tuple[str, int]]) -> Table:
        """Returns the table below these keys, which is made when it is not there."""
        for name, at in keys:
            _, found = table.keys.setdefault(name, (at, Table(at, {})))
            if isinstance(found, Array) and found.of_tables:
                found = found.items[-1]
            if not isinstance(found, Table):
                raise StopError(at)
            table = found
        return table

    def _key(self, at: int) -> tuple[list[tuple[str, int]], int]:
        """Returns the parts of a key with their places, and where it ends, spaces included."""
        parts: list[tuple[str, int]] = []
        while True:
            match = _BARE.match(self._text, at) or _BASIC.match(self._text, at) or _LITERAL.match(self._text, at)
            if match is None:
                raise StopError(at)
            if len(parts) >= MAX_DEPTH:
                raise StopError(at, f"is nested more than {MAX_DEPTH} levels deep")
            self._count(at)
            parts.append((_unquoted(match[0], at), at))
            at = _end(_SPACES, self._text, match.end())
            if not self._is(at, "."):
                return parts, at
            at = _end(_SPACES, self._text, at + 1)

    def _value(self, at: int, depth: int) -> tuple[Place, int]:
        if depth >= MAX_DEPTH:
            raise StopError(at, f"is nested more than {MAX_DEPTH} levels deep")
        self._count(at)
        if self._is(at, "["):
            return self._array(at, depth)
        if self._is(at, "{"):
            return self._inline_table(at, depth)
        for pattern in self._patterns(at):
            if match := pattern.match(self._text, at):
                if pattern is _OTHER and len(match[0]) > MAX_DIGITS:
                    raise StopError(at, "is no number that anything here could be")
                return Leaf(at, match[0]), match.end()
        raise StopError(at)

    def _patterns(self, at: int) -> tuple[re.Pattern[str], ...]:
        if self._is(at, '"'):
            return (_LONG_BASIC,) if self._is(at, '"""') else (_BASIC,)
        if self._is(at, "'"):
            return (_LONG_LITERAL,) if self._is(at, "'''") else (_LITERAL,)
        return (_OTHER,)

    def _array(self, start: int, depth: int) -> tuple[Place, int]:
        array = Array(start, [])
        for at in self._parts(start, "]"):
            value, self._after = self._value(at, depth + 1)
            array.items.append(value)
        return array, self._after

    def _inline_table(self, start: int, depth: int) -> tuple[Place, int]:
        table = Table(start, {})
        for at in self._parts(start, "}"):
            keys, end = self._key(at)
            self._after = self._put(table, keys, end, depth + 1)
        return table, self._after

    def _parts(self, start: int, closing: str) -> Iterator[int]:
        """Yields where each part between brackets begins. The caller sets `_after` to where it ends; after the
        last one it is where the brackets end.
        """
        at = _end(_BETWEEN, self._text, start + 1)
        while not self._is(at, closing):
            yield at
            at = _end(_BETWEEN, self._text, self._after)
            if self._is(at, ","):
                at = _end(_BETWEEN, self._text, at + 1)
            elif not self._is(at, closing):
                raise StopError(at)
        self._after = at + 1

    def _count(self, at: int) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise StopError(at, f"the file has more than {MAX_NODES:,} values")

    def _is(self, at: int, token: str) -> bool:
        return self._text.startswith(token, at)


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _unquoted(token: str, at: int) -> str:
    if token[0] not in "\"'":
        return token
    if "\\" not in token:
        return token[1:-1]
    try:
        key: str = tomllib.loads(f"key = {token}")["key"]
    except ValueError:
        raise StopError(at) from None
    return key
