"""TOML's syntax errors in words that say what to do."""

import re

from orion.model.errors import shown

_DOUBLES = ("Cannot overwrite a value", "Cannot declare", "Cannot mutate immutable namespace")
_DOUBLE_KEY = re.compile(r"Duplicate inline table key '(.*)'")
UNCLOSED = "what begins here is never closed: a bracket, or quotes"
_WORDS = {
    UNCLOSED: UNCLOSED,
    "Invalid value": "a value is missing here",
    "Invalid statement": "is no key with a value; a key needs quotes if it has more than letters, digits, - and _",
    "Expected newline or end of document after a statement": "something stands behind the value: one key in a line",
    "Invalid initial character for a key part": "a key is missing here",
    "Expected ']' at the end of a table declaration": "a ']' is missing here",
    "Expected ']]' at the end of an array declaration": "a ']]' is missing here",
    "Unclosed array": "the list is not closed, or a ',' is missing",
    "Unclosed inline table": "the table in braces is not closed, or a ',' is missing",
    "Unescaped '\\' in a string": "a \\ in double quotes begins an escape: write \\\\, or take single quotes",
    "Unterminated string": "the quotes are never closed",
    "Invalid date or datetime": "there is no such day or time",
}
_BARE = re.compile(r"[A-Za-z][^\s,\]}#\"']*")
_NUMBER = re.compile(r"[0-9][0-9._]*$")
_LEADING_ZERO = re.compile(r"[0-9]+")


def is_double(words: str) -> bool:
    return words.startswith(_DOUBLES)


def double_key(words: str) -> str | None:
    """Returns the key that a table in braces has twice."""
    match = _DOUBLE_KEY.fullmatch(words)
    return match[1] if match else None


def told(words: str, text: str, at: int) -> str:
    """Returns words for what tomllib says is wrong at this place."""
    if words == "Expected '=' after a key in a key/value pair":
        return "write '=' instead of ':'" if text.startswith(":", at) else "an '=' is missing behind the key"
    if words == "Invalid value" and (match := _BARE.match(text, at)):
        return f'text needs quotes: write "{match[0][:60]}"'
    behind = words == "Expected newline or end of document after a statement"
    if behind and text[at - 1 : at] == "0" and _LEADING_ZERO.match(text, at):
        return "a number has no 0 in front; text needs quotes"
    if behind and (unit := _BARE.match(text, at)) and (number := _NUMBER.search(text, 0, at)):
        return f'text needs quotes: write "{number[0][-30:]}{unit[0][:30]}"'
    if words.startswith("Illegal character"):
        return "the quotes are not closed in this line" if "'\\n'" in words else f"no {words[18:40]} can stand here"
    if words.startswith(("Expected \"'''\"", 'Expected \'"""\'', 'Expected "\'"')):
        return "the quotes are never closed"
    return _WORDS.get(words) or f"is not TOML: {shown(words)[1:-1]}"
