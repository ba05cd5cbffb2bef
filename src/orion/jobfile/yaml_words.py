"""YAML's syntax errors in words that say what to do."""

import re
from typing import Any

from orion.jobfile.faults import START, Mark
from orion.model.errors import shown

_UNCLOSED = "the quotes that begin here are never closed"
_BRACKETS = "the bracket that opens here is never closed, or a comma is missing before line {line}"
_COLON = "a ':' can't be here: text that holds ': ' needs quotes; a key has a line of its own, as its neighbours"
_STRAY = "this does not belong to what begins in line {context}: indent it as its neighbours are, or quote the text"
# The scanner's words -> ours, and whether the place is where the part begins (its context) or where it fails.
_WORDS: dict[str, tuple[str, bool]] = {
    "found unexpected end of stream": (_UNCLOSED, True),
    "found unexpected document indicator": (_UNCLOSED, True),
    "mapping values are not allowed in this context": (_COLON, False),
    "mapping values are not allowed here": (_COLON, False),
    "did not find expected key": (_STRAY, False),
    "did not find expected '-' indicator": (
        "this does not belong to the list that begins in line {context}: begin it with '- ', or indent it",
        False,
    ),
    "could not find expected ':'": ("this key has no ':' behind it", True),
    "did not find expected ',' or '}'": (_BRACKETS, True),
    "did not find expected ',' or ']'": (_BRACKETS, True),
    "did not find expected node content": ("a value is missing here, or a bracket is never closed", False),
    "found a tab character that violates indentation": ("a tab can't indent: use spaces", False),
    "exceeded maximum nesting depth": ("is nested too deeply", False),
    "found unknown escape character": (
        "a \\ in double quotes begins an escape: write \\\\, or take single quotes",
        False,
    ),
    "found invalid Unicode character escape code": ("no character has this number", False),
    "found unknown directive name": ("a line that begins with % needs quotes", True),
    "did not find expected <document start>": (
        "this does not belong to what stands before it: begin another document with ---",
        False,
    ),
    "found duplicate anchor": ("this & name is given twice", False),
    "found undefined tag handle": ("this tag means nothing in a job file: leave it out", False),
}
_NO_TOKEN = "found character that cannot start any token"  # noqa: S105 -- the scanner's words
_NO_TOKEN_PURE = re.compile(r"found character '(.*)' that cannot start any token")


def told(error: Any, text: str) -> tuple[Mark, str]:
    """Returns the place in `text` and the words for an error of PyYAML's parser."""
    problem = error.problem or error.context or "something is wrong"
    at = _mark(error.problem_mark or error.context_mark)
    begun = _mark(error.context_mark or error.problem_mark)
    if problem == _NO_TOKEN or _NO_TOKEN_PURE.fullmatch(problem):
        return at, _no_value(_character(text, at))
    words, at_begin = _WORDS.get(problem, (f"is not YAML: {problem}", False))
    if at_begin and words == _UNCLOSED and "quoted" not in (error.context or ""):
        words = "ends too early"
    return (begun if at_begin else at), words.format(line=at.line, context=begun.line)


def _no_value(character: str) -> str:
    if character == "\t":
        return "a tab can't indent: use spaces"
    return f"text that begins with {shown(character)} needs quotes"


def _mark(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1) if mark is not None else START


def _character(text: str, at: Mark) -> str:
    lines = text.split("\n", at.line)
    line = lines[at.line - 1] if at.line <= len(lines) else ""
    return line[at.column - 1 : at.column]
