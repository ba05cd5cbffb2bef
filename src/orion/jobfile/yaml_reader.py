"""YAML as a tree with places. The scalars are those of YAML 1.2's core schema: `no`, `on` and 22:22 are words."""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from orion.jobfile import yaml_words
from orion.jobfile.faults import Faults, Mark
from orion.jobfile.numbers import number
from orion.jobfile.tree import (
    MAX_DEPTH,
    MAX_NODES,
    MISSING,
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

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, where PyYAML was built with it
_TAG = "tag:yaml.org,2002:"
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_SCALAR_TAGS = {_TAG + name for name in ("str", "int", "float", "bool", "null")}
_MERGE = "<<"
_NEXT_DOCUMENT = re.compile(r"^---(?=\s|$)", re.MULTILINE)


def read_yaml(text: str, faults: Faults) -> Iterator[Document]:
    """Yields the documents. Behind what can't be read it goes on with the next one."""
    start, lines = 0, 0
    while True:
        reader = _Reader(faults, lines)
        try:
            for event in yaml.parse(text[start:], Loader=_Loader):
                if (document := reader.take(event)) is not None:
                    yield document
        except yaml.MarkedYAMLError as error:
            mark, words = yaml_words.told(error, text[start:])
            faults.add(Mark(mark.line + lines, mark.column), "", words)
        except _TooMuchError as error:
            faults.add(error.mark, error.path, error.words)
            return
        else:
            return
        if (rest := reader.rest(mark.line)) is not None:
            yield rest
        line_start = _line_start(text, start, mark.line)
        following = _NEXT_DOCUMENT.search(text, line_start + 1)
        if following is None or faults.full:
            return
        lines += text.count("\n", start, following.start())
        start = following.start()


def _line_start(text: str, start: int, line: int) -> int:
    for _ in range(line - 1):
        found = text.find("\n", start)
        if found < 0:
            return len(text)
        start = found + 1
    return start


class _TooMuchError(Exception):
    def __init__(self, mark: Mark, path: str, words: str) -> None:
        super().__init__(words)
        self.mark, self.path, self.words = mark, path, words


class _Open:
    """A list or an object that has not ended. Of an object `key` waits for its value."""

    def __init__(self, node: ListNode | ObjectNode, path: str, event: Any) -> None:
        self.node = node
        self.path = path
        self.anchor: str | None = event.anchor
        self.in_brackets: bool = event.flow_style
        self.has_wrong_key = False
        self.key: Scalar | None = None
        self.merged: list[tuple[Mark, Node]] = []


class _Reader:
    """Makes documents of YAML's events. `lines` is how many stand before the text that they are of."""

    def __init__(self, faults: Faults, lines: int) -> None:
        self._faults = faults
        self._lines = lines
        self._open: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._root: Node | None = None
        self._nodes = 0
        self._last_line = 0  # where the last single value ends

    def take(self, event: Any) -> Document | None:
        """Returns the document that ends with this event, if one does."""
        match event:
            case yaml.ScalarEvent():
                self._last_line = event.end_mark.line + 1
                self._put(self._scalar(event), event.anchor)
            case yaml.AliasEvent():
                self._put(self._aliased(event), None)
            case yaml.MappingStartEvent():
                self._begin(ObjectNode({}, self._mark(event)), event, "map")
            case yaml.SequenceStartEvent():
                self._begin(ListNode([], self._mark(event)), event, "seq")
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._end()
            case yaml.DocumentEndEvent():
                return self._document(whole=True)
        return None

    def rest(self, line: int) -> Document | None:
        """Returns what was read of a document that can't be read beyond a line."""
        if self._last_line >= line:
            self._drop_last()
        while self._open:
            if self._open[-1].in_brackets:
                ended = self._open.pop()
                self._put(_missing(ended.node.mark), None)
            else:
                self._end()
        return self._document(whole=False)

    def _drop_last(self) -> None:
        """Forgets the last single value, which may be no more than the beginning of what was meant."""
        top = self._open[-1] if self._open else None
        if top is None or top.key is not None:
            return
        if isinstance(top.node, ListNode):
            if top.node.items and isinstance(top.node.items[-1], Scalar):
                top.node.items.pop()
        elif top.node.entries:
            key, entry = top.node.entries.popitem()
            value = _missing(entry.mark) if isinstance(entry.value, Scalar) else entry.value
            top.node.entries[key] = Entry(key, entry.mark, value)

    def _document(self, *, whole: bool) -> Document | None:
        root, self._root, self._anchors = self._root, None, {}
        return Document(root, whole) if root is not None else None

    # --- values --------------------------------------------------------------------------------------------

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        text, mark = event.value, self._mark(event)
        typed = event.tag is not None and event.tag != "!"
        if typed and event.tag not in _SCALAR_TAGS:
            self._refuse_tag(event.tag, mark)
        elif event.implicit[0] or (typed and event.tag != f"{_TAG}str"):
            return Scalar(_plain_value(text), text, mark)
        return Scalar(text, text, mark)

    def _aliased(self, event: yaml.AliasEvent) -> Node:
        found = self._anchors.get(event.anchor)
        if found is None:
            words = f"*{event.anchor[:80]} is not the name of a value that ends before it: name one with &"
            self._faults.add(self._mark(event), self._child_path(), words)
            return _missing(self._mark(event))
        return found

    def _begin(self, node: ListNode | ObjectNode, event: Any, tag: str) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise _TooMuchError(node.mark, "", f"is nested more than {MAX_DEPTH} levels deep")
        if event.tag not in {None, "!", _TAG + tag}:
            self._refuse_tag(event.tag, node.mark)
        if event.anchor:
            self._anchors.pop(event.anchor, None)  # it names this one once that has ended: nothing holds itself
        self._open.append(_Open(node, self._child_path(), event))

    def _end(self) -> None:
        ended = self._open.pop()
        for mark, merged in ended.merged:
            self._merge(ended, mark, merged)
        empty = isinstance(ended.node, ObjectNode) and not ended.node.entries
        self._put(_missing(ended.node.mark) if empty and ended.has_wrong_key else ended.node, ended.anchor)

    def _refuse_tag(self, tag: str, mark: Mark) -> None:
        self._faults.add(
            mark, self._child_path(), f"the tag {shown(tag)} means nothing in a job file: leave it out"
        )

    # --- where they go -------------------------------------------------------------------------------------

    def _put(self, node: Node, anchor: str | None) -> None:
        if anchor:
            self._anchors[anchor] = node
        self._count(node.mark)
        if not self._open:
            self._root = node
            return
        top = self._open[-1]
        if isinstance(top.node, ListNode):
            top.node.items.append(node)
        elif top.key is None:
            top.key = self._as_key(node)
        else:
            key, top.key = top.key, None
            if key.kind == _MERGE:
                top.merged.append((key.mark, node))
            elif key.kind != MISSING:
                add_entry(top.node, Entry(key.text, key.mark, node), top.path, self._faults)

    def _as_key(self, node: Node) -> Scalar:
        if not isinstance(node, Scalar):
            words = "a key must be a word; text that holds { or [ needs quotes"
            self._faults.add(node.mark, self._path(), words)
            self._open[-1].has_wrong_key = True
            return _missing(node.mark)
        if node.text == _MERGE and node.value == _MERGE:
            return Scalar(None, _MERGE, node.mark, _MERGE)
        return node

    def _merge(self, into: _Open, mark: Mark, node: Node) -> None:
        """Adds the entries of other objects, but for keys that are there."""
        for each in node.items if isinstance(node, ListNode) else [node]:
            if isinstance(each, ObjectNode) and isinstance(into.node, ObjectNode):
                self._count(mark, len(each.entries))
                into.node.entries = {**each.entries, **into.node.entries}
            elif not (isinstance(each, Scalar) and each.kind == MISSING):
                self._faults.add(mark, into.path, "<< takes an object, or a list of objects, as in <<: *common")

    def _count(self, mark: Mark, number: int = 1) -> None:
        self._nodes += number
        if self._nodes > MAX_NODES:
            raise _TooMuchError(mark, self._path(), f"the file has more than {MAX_NODES:,} values")

    def _mark(self, event: Any) -> Mark:
        return Mark(event.start_mark.line + 1 + self._lines, event.start_mark.column + 1)

    def _path(self) -> str:
        return self._open[-1].path if self._open else ""

    def _child_path(self) -> str:
        if not self._open:
            return ""
        top = self._open[-1]
        if isinstance(top.node, ListNode):
            return join(top.path, len(top.node.items))
        return join(top.path, top.key.text) if top.key is not None else top.path


def _missing(mark: Mark) -> Scalar:
    return Scalar(None, "", mark, MISSING)


def _plain_value(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    found = number(text)
    return text if found is None else found
