"""How a parameter in a path, query or header is declared: once, for parsing and for OpenAPI."""

import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from orion.model.amounts import DURATION, duration_s, is_duration
from orion.model.errors import Invalid
from orion.model.ids import JOB_NAME, NODE_ID, split_task_id

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

MAX_WAIT_S = 600.0
DEFAULT_TIMEOUT_S = 10.0


class Kind(Generic[T_co]):
    """A text as a value. `parse` raises ValueError with the words that follow the parameter's name: "must be …"."""

    def __init__(self, parse: Callable[[str], T_co], /, **schema: Any) -> None:
        self.parse = parse
        self.schema = schema

    def by_default(self, value: object) -> "Kind[T_co]":
        """The same kind, described with what it means not to give it."""
        return Kind(self.parse, **{**self.schema, "default": value})

    def unchecked(self) -> "Kind[str]":
        """The same kind as it is written, for who says better what is wrong with it."""
        return Kind(str, **self.schema)


class Param(Generic[T]):
    """`same_as`: another parameter that says the same, for those who can't write this one. One that `repeats`
    may be given several times: its value has all of them, in their order.
    """

    def __init__(
        self,
        name: str,
        where: Literal["path", "query", "header"],
        kind: Kind[T],
        default: T,
        description: str,
        same_as: "Param[T] | None" = None,
        *,
        repeats: bool = False,
        required: bool = False,
    ) -> None:
        self.name = name
        self.where = where
        self.parse = kind.parse
        self.schema = kind.schema
        self.default = default
        self.description = description
        self.same_as = same_as
        self.repeats = repeats
        self.required = required or where == "path"


def path(name: str, kind: Kind[str], description: str) -> Param[str]:
    return Param(name, "path", kind, "", description)


def query(
    name: str,
    kind: Kind[T],
    default: T,
    description: str,
    *,
    same_as: Param[T] | None = None,
    required: bool = False,
) -> Param[T]:
    return Param(name, "query", kind, default, description, same_as, required=required)


def queries(name: str, description: str, *, required: bool = False) -> Param[tuple[str, ...]]:
    """A parameter that repeats. Its values are texts."""
    kind: Kind[tuple[str, ...]] = Kind(lambda text: (text,), type="array", items={"type": "string"})
    return Param(name, "query", kind, (), description, repeats=True, required=required)


def header(name: str, kind: Kind[T], default: T, description: str, *, same_as: Param[T] | None = None) -> Param[T]:
    return Param(name, "header", kind, default, description, same_as)


def text(pattern: str, most: int | None = None) -> dict[str, Any]:
    """The schema of a text of this pattern, of at most so many characters."""
    return {"type": "string", "pattern": pattern} | ({"maxLength": most} if most is not None else {})


# --- kinds that several nouns have -------------------------------------------------------------------------

_DECIMAL = r"[0-9]{0,9}\.?[0-9]{1,30}(?:[eE][+-]?[0-9]{1,3})?"


def _flag(text: str) -> bool:
    if text in {"", "1", "true"}:
        return True
    if text in {"0", "false"}:
        return False
    raise ValueError("must be 1 or 0")


def whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ValueError("must be a whole number, 0 or more")
    return int(text)


def _rows(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) > 0):
        raise ValueError("must be a whole number of rows, 1 or more")
    return int(text)


def _task_id(text: str) -> str:
    try:
        split_task_id(text)
    except Invalid:
        raise ValueError("must be a task's id, as in web/0") from None
    return text


def _node_name(text: str) -> str:
    if not NODE_ID.fullmatch(text):
        raise ValueError("must be a node's name")
    return text


def _lines(text: str) -> int | None:
    if text == "all":
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise ValueError('must be a number of lines, or "all"')
    return int(text)


def _seconds(text: str) -> float:
    value = float(text) if re.fullmatch(_DECIMAL, text) else -1.0
    if not 0 < value <= MAX_WAIT_S:
        raise ValueError(f"must be a number of seconds, more than 0 and at most {MAX_WAIT_S:g}")
    return value


def _key(text: str) -> str:
    if not (text.isascii() and text.isprintable() and 1 <= len(text) <= 128):
        raise ValueError("must be 1 to 128 printable ASCII characters")
    return text


def _since_ms(text: str) -> int:
    """Unix milliseconds: from a duration before now (10m, 1h30m), a Unix time in seconds, or RFC 3339."""
    if is_duration(text):
        return max(0, int((time.time() - duration_s(text)) * 1000))
    try:
        if re.fullmatch(r"[0-9]{1,11}(\.[0-9]{1,9})?", text):
            return int(float(text) * 1000)
        when = datetime.fromisoformat(text)
    except ValueError:
        when = None
    if when is None or when.tzinfo is None:
        raise ValueError("must be how long ago (10m, 1h), or a time as in 2025-01-31T12:00:00Z")
    return max(0, int(when.timestamp() * 1000))


# As text, for that is what an address is: 1 and true are one, and a name alone is true.
FLAG = Kind(_flag, type="string", enum=["", "0", "1", "false", "true"], default="false")
COUNT = Kind(whole, type="integer", minimum=0, maximum=10**18 - 1)
ROWS = Kind(_rows, type="integer", minimum=1, maximum=999_999_999)
SECONDS = Kind(_seconds, type="number", exclusiveMinimum=0, maximum=MAX_WAIT_S)
LINES = Kind(_lines, **text(r"^(all|[0-9]{1,9})$"))
TIME = Kind(
    _since_ms,
    type="string",
    anyOf=[
        {"pattern": DURATION},
        {"pattern": r"^[0-9]{1,11}(\.[0-9]{1,9})?$"},
        {"format": "date-time"},
    ],
)
ONCE_KEY = Kind(_key, **text(r"^[!-~]([ -~]{0,126}[!-~])?$"))
TASK_ID = Kind(_task_id, **text(rf"^{JOB_NAME.pattern}(/[0-9]{{1,9}})?$"))
NODE_NAME = Kind(_node_name, **text(rf"^{NODE_ID.pattern}$"))


# --- parameters that several nouns have --------------------------------------------------------------------

TIMEOUT = header(
    "Request-Timeout",
    SECONDS.by_default(DEFAULT_TIMEOUT_S),
    0.0,
    "seconds after which a request that can't be answered is given up",
)
STALE = query("stale", FLAG, False, "answer from this node's own state, at once")
INDEX = query("index", COUNT, 0, "wait until the state has passed this index (X-Orion-Index)")
WAIT = query("wait", SECONDS.by_default(30), 30.0, "with index: the longest wait, seconds")
LIMIT = query("limit", ROWS, 0, "at most so many; X-Orion-Next is then what to give as after to go on")

READ = (STALE, INDEX, WAIT, TIMEOUT)
PAGE = (LIMIT, *READ)
