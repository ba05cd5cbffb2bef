"""TOML as a tree with places: tomllib says what it means, toml_places where it stands."""

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from orion.jobfile import toml_words
from orion.jobfile.faults import Faults
from orion.jobfile.lines import Lines
from orion.jobfile.toml_places import Array, Leaf, Place, Scan, Statement, Table
from orion.jobfile.tree import Document, Entry, ListNode, Node, ObjectNode, Scalar, join, path_of

_MOST_READ = 2 * 1024 * 1024  # characters, over all tries: tomllib takes a second for so many
_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
# Lines that begin something, when what stands before can't be read.
_HEADER = re.compile(r"[ \t]*\[\[?[\w.\"' -]+\]?\]?[ \t]*(?:#.*)?$", re.MULTILINE)
_STATEMENT = re.compile(rf"(?:{_HEADER.pattern[:-1]}|[\w.\"' -]+=.*|[ \t]*(?:#.*)?)$", re.MULTILINE)


def read_toml(text: str, faults: Faults) -> Iterator[Document]:
    """Yields the document. Of a statement that can't be read the fault is told, and the others are read."""
    lines = Lines(text)
    whole, left = True, _MOST_READ
    doubles: list[Statement] = []
    while True:
        scan = Scan(text)
        left -= len(text)
        if scan.stop is not None and scan.stop.words:
            faults.add(lines.mark(scan.stop.at), path_of(scan.statements[-1].keys), scan.stop.words)
            return
        try:
            values = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            words, at = _told(error, text, lines)
            wrong = _statement_at(scan, at)
            whole = False
            if (key := toml_words.double_key(words)) is not None:
                faults.add(lines.mark(at), join(path_of(wrong.keys), key), "is given twice")
            elif toml_words.is_double(words):
                doubles.append(wrong)
            else:
                mark, begun = lines.mark(at), lines.mark(wrong.start)
                if at == len(text) or (begun.line < mark.line and _STATEMENT.match(text, lines.start(mark.line))):
                    mark, words = begun, toml_words.UNCLOSED
                faults.add(mark, "", toml_words.told(words, text, at))
            if left < len(text) or faults.full:
                return
            text = _without(text, wrong.start, max(at, wrong.start))
            continue
        break
    _tell_doubles(doubles, scan, lines, faults)
    yield Document(_node(values, scan.root, lines), whole)


def _told(error: Exception, text: str, lines: Lines) -> tuple[str, int]:
    """Returns the parser's words and the place that it names."""
    words = str(error)
    match = _AT.search(words)
    if match is None:
        return words, 0
    if match[1] is None:
        return words[: match.start()], len(text)
    return words[: match.start()], min(lines.start(int(match[1])) + int(match[2]) - 1, len(text))


def _statement_at(scan: Scan, at: int) -> Statement:
    """Returns the statement that holds the place."""
    found = Statement(0, 0)
    for statement in scan.statements:
        if statement.start > at:
            break
        found = statement
    return found


def _without(text: str, start: int, at: int) -> str:
    """Returns the text with blanks in place of the statement that holds `at`, and of the lines behind that begin
    none. A header takes all that stands below it along.
    """
    begins = _HEADER if text.startswith("[", start) else _STATEMENT
    end = _line_end(text, at)
    while end < len(text) and begins.match(text, end + 1) is None:
        end = _line_end(text, end + 1)
    return text[:start] + re.sub(r"[^\n]", " ", text[start:end]) + text[end:]


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _tell_doubles(doubles: list[Statement], scan: Scan, lines: Lines, faults: Faults) -> None:
    for double in doubles:
        path = path_of(double.keys)
        first = _first(scan.root, double.keys)
        where = f"; first in line {lines.mark(first).line}" if first is not None else ""
        faults.add(lines.mark(double.key_at), path, f"is given twice{where}")


def _first(table: Table, keys: tuple[str, ...]) -> int | None:
    """Returns where the key stands that these keys, or the most of them, lead to."""
    place: Place = table
    found: int | None = None
    for key in keys:
        if isinstance(place, Array) and place.items:
            place = place.items[-1]
        if not isinstance(place, Table) or key not in place.keys:
            return found
        found, place = place.keys[key]
    return found


def _node(value: Any, place: Place, lines: Lines) -> Node:
    mark = lines.mark(place.at)
    if isinstance(value, dict) and isinstance(place, Table):
        entries = {}
        for key, (at, below) in place.keys.items():
            entries[key] = Entry(key, lines.mark(at), _node(value[key], below, lines))
        return ObjectNode(entries, mark)
    if isinstance(value, list) and isinstance(place, Array):
        return ListNode([_node(each, at, lines) for each, at in zip(value, place.items, strict=True)], mark)
    text = place.text if isinstance(place, Leaf) else ""
    if isinstance(value, str):
        return Scalar(value, value, mark)
    if isinstance(value, bool | int | float):
        return Scalar(value, text, mark)
    return Scalar(text, text, mark, "a date")
