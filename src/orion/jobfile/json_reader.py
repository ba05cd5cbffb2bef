"""JSON as a tree with places."""

import json
import re
from collections.abc import Iterator
from typing import Any

from orion.jobfile.faults import Faults
from orion.jobfile.lines import Lines
from orion.jobfile.numbers import MAX_DIGITS
from orion.jobfile.tree import (
    MAX_DEPTH,
    MAX_NODES,
    Document,
    Entry,
    ListNode,
    Node,
    ObjectNode,
    Scalar,
    add_entry,
    join,
)
from orion.model.errors import shown

_BLANK = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?(?![0-9A-Za-z_.+-])")
_WORD = re.compile(r"[^\s,:\[\]{}\"]{1,80}")
_WORDS = {"true": True, "false": False, "null": None}


class _WrongError(Exception):
    def __init__(self, at: int, words: str) -> None:
        super().__init__(words)
        self.at, self.words = at, words


def read_json(text: str, faults: Faults) -> Iterator[Document]:
    """Yields the document, or what could be read of it."""
    reader = _Reader(text, faults)
    try:
        reader.read()
    except _WrongError as error:
        faults.add(reader.lines.mark(error.at), reader.path, error.words)
    if reader.root is not None:
        yield Document(reader.root, reader.whole)


class _Open:
    def __init__(self, node: ListNode | ObjectNode, path: str) -> None:
        self.node = node
        self.path = path
        self.entry: tuple[str, int] | None = None  # the key that waits for its value, and where it stands


class _Reader:
    def __init__(self, text: str, faults: Faults) -> None:
        self.lines = Lines(text)
        self.root: Node | None = None
        self.whole = False
        self.path = ""
        self._text = text
        self._faults = faults
        self._open: list[_Open] = []
        self._nodes = 0
        self._at = 0

    def read(self) -> None:
        """Reads the one value that the text is. Raises _WrongError where it is no JSON."""
        self._value()
        while self._open:
            top = self._open[-1]
            self.path = top.path
            closing = "]" if isinstance(top.node, ListNode) else "}"
            empty = not (top.node.items if isinstance(top.node, ListNode) else top.node.entries or top.entry)
            if self._next(closing):
                self._open.pop()
                continue
            if not empty and not self._next(","):
                raise _WrongError(self._skip(), f"a ',' or a '{closing}' is missing here")
            if not empty and self._peek(closing):
                raise _WrongError(self._at, f"JSON takes no ',' before a '{closing}'")
            if isinstance(top.node, ObjectNode):
                self._key(top)
            self._value()
        if self._skip() < len(self._text):
            raise _WrongError(self._at, "something stands behind the end")
        self.whole = True

    def _key(self, top: _Open) -> None:
        at = self._skip()
        key = self._string()
        top.entry = (key, at)
        self.path = join(top.path, key)
        if not self._next(":"):
            raise _WrongError(self._skip(), "a ':' is missing behind this key")

    def _value(self) -> None:
        at = self._skip()
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _WrongError(at, f"the file has more than {MAX_NODES:,} values")
        path = self._child_path()
        if self._next("{") or self._next("["):
            if len(self._open) >= MAX_DEPTH:
                raise _WrongError(at, f"is nested more than {MAX_DEPTH} levels deep")
            mark = self.lines.mark(at)
            node: ListNode | ObjectNode = ObjectNode({}, mark) if self._text[at] == "{" else ListNode([], mark)
            self._put(node)
            self._open.append(_Open(node, path))
            return
        self._put(self._single(at))

    def _single(self, at: int) -> Scalar:
        mark = self.lines.mark(at)
        if self._peek('"'):
            text = self._string()
            return Scalar(text, text, mark)
        if (match := _NUMBER.match(self._text, at)) and len(match[0]) <= MAX_DIGITS:
            self._at = match.end()
            return Scalar(_number(match[0]), match[0], mark)
        word = _WORD.match(self._text, at)
        if word is None:
            raise _WrongError(at, "a value is missing here")
        if word[0] not in _WORDS:
            raise _WrongError(at, f"{shown(word[0])} is no value: text needs double quotes")
        self._at = word.end()
        return Scalar(_WORDS[word[0]], word[0], mark)

    def _string(self) -> str:
        at = self._skip()
        match = _STRING.match(self._text, at)
        if match is None:
            quoted = self._peek('"')
            words = "this text is never closed, or has a '\\' or a line end that JSON does not take"
            raise _WrongError(at, words if quoted else "a key in double quotes is missing here")
        self._at = match.end()
        text: str = json.loads(match[0])
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise _WrongError(at, "holds half a character (\\ud800 to \\udfff stand in pairs)")
        return text

    def _put(self, node: Node) -> None:
        if not self._open:
            self.root = node
            return
        top = self._open[-1]
        if isinstance(top.node, ListNode):
            top.node.items.append(node)
        elif top.entry is not None:
            key, at = top.entry
            add_entry(top.node, Entry(key, self.lines.mark(at), node), top.path, self._faults)

    def _child_path(self) -> str:
        if not self._open:
            return ""
        top = self._open[-1]
        if isinstance(top.node, ListNode):
            return join(top.path, len(top.node.items))
        return join(top.path, top.entry[0]) if top.entry is not None else top.path

    def _skip(self) -> int:
        match = _BLANK.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._at

    def _peek(self, character: str) -> bool:
        return self._text.startswith(character, self._skip())

    def _next(self, character: str) -> bool:
        if not self._peek(character):
            return False
        self._at += 1
        return True


def _number(text: str) -> Any:
    return float(text) if any(character in ".eE" for character in text) else int(text)
