"""The tree that a job file is, whatever its format, with the place of each key and value."""

import re
from collections.abc import Iterable
from functools import reduce
from typing import Any, TypeAlias

import msgspec

from orion.jobfile.faults import Faults, Mark
from orion.model.errors import shown

MAX_DEPTH = 32
MAX_NODES = 100_000  # values in a file
MAX_JOB_NODES = 20_000  # values in a job, with its aliases put in
MAX_JOB_TEXT = 2 * 1024 * 1024  # characters, counted in the same way
MAX_ALL_NODES = 200_000  # values in all jobs of a file, with their aliases put in
MAX_SHOWN_KEY = 60
MISSING = "missing"  # the kind of a value that could not be read; that is told already


class Scalar(msgspec.Struct, frozen=True):
    """A single value. `text` is how it is written, without quotes; `kind` names what JSON does not have, as a date,
    or is MISSING.
    """

    value: Any  # str, int, float, bool or None
    text: str
    mark: Mark
    kind: str = ""


class ListNode(msgspec.Struct):
    items: "list[Node]"
    mark: Mark


class Entry(msgspec.Struct, frozen=True):
    key: str
    mark: Mark
    value: "Node"


class ObjectNode(msgspec.Struct):
    entries: dict[str, Entry]
    mark: Mark


Node: TypeAlias = Scalar | ListNode | ObjectNode


class Document(msgspec.Struct, frozen=True):
    """One document. Some of it is missing when it is not `whole`, because it could not be read."""

    root: Node
    whole: bool = True


def place(mark: Mark, node: Node) -> Mark:
    """Returns where to look for what is wrong with the value of a key: at a single value, else at the key."""
    return node.mark if isinstance(node, Scalar) else mark


def add_entry(to: ObjectNode, entry: Entry, path: str, faults: Faults) -> None:
    """Adds an entry; of two with one key the first stays."""
    first = to.entries.setdefault(entry.key, entry)
    if first is not entry:
        faults.add(entry.mark, join(path, entry.key), f"is given twice; first in line {first.mark.line}")


_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")


def join(path: str, key: str | int) -> str:
    """Returns a path with one more key: jobs.web.env.NAME, command[0], portBindings["80/tcp"]."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if _PLAIN_KEY.fullmatch(key) and len(key) <= MAX_SHOWN_KEY:
        return f"{path}.{key}" if path else key
    short = key if len(key) <= MAX_SHOWN_KEY else f"{key[:MAX_SHOWN_KEY]}..."
    return f'{path}["{short}"]' if short.isprintable() and '"' not in short else f"{path}[{shown(key)}]"


def path_of(keys: Iterable[str | int]) -> str:
    return reduce(join, keys, "")
