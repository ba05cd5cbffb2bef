"""What may stand in a path, query or header: one typed value each, from which parsing and OpenAPI both come."""

import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from orion.model.configs import MAX_KEY_BYTES, key_error, prefix_error
from orion.model.errors import Invalid
from orion.model.events import parse_event_id
from orion.model.ids import NODE_ID, split_task_id
from orion.model.logs import POSITION, LogPosition, parse_position

T = TypeVar("T")

MAX_WAIT_S = 600.0
DEFAULT_TIMEOUT_S = 10.0
RUNNING_WAIT_S = 300.0  # `?wait=running` without a Request-Timeout: a large image takes minutes to pull

_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)")
_DURATIONS = re.compile(rf"(?:{_DURATION.pattern}){{1,5}}")
_DECIMAL = re.compile(r"[0-9]{0,9}\.?[0-9]{1,30}(?:[eE][+-]?[0-9]{1,3})?")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


class Param(Generic[T]):
    """`parse` raises ValueError with the words that follow the parameter's name: "must be …"."""

    def __init__(
        self,
        name: str,
        where: Literal["path", "query", "header"],
        parse: Callable[[str], T],
        default: T,
        schema: dict[str, Any],
        text: str,
    ) -> None:
        self.name = name
        self.where = where
        self.parse = parse
        self.default = default
        self.schema = schema
        self.text = text


def _flag(text: str) -> bool:
    if text in {"", "1", "true"}:
        return True
    if text in {"0", "false"}:
        return False
    raise ValueError("must be 1 or 0")


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ValueError("must be a whole number, 0 or more")
    return int(text)


def _limit(text: str) -> int:
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


def _tail(text: str) -> int | None:
    if text == "all":
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise ValueError('must be a number of lines, or "all"')
    return int(text)


def _seconds(text: str) -> float:
    value = float(text) if _DECIMAL.fullmatch(text) else -1.0
    if not 0 < value <= MAX_WAIT_S:
        raise ValueError(f"must be a number of seconds, more than 0 and at most {MAX_WAIT_S:g}")
    return value


def _running(text: str) -> bool:
    if text != "running":
        raise ValueError('must be "running"')
    return True


def _key(text: str) -> str:
    if not (text.isascii() and text.isprintable() and 1 <= len(text) <= 128):
        raise ValueError("must be 1 to 128 printable ASCII characters")
    return text


def _config_key(text: str) -> str:
    if key_error(text) is not None:
        raise ValueError(
            f"must be at most {MAX_KEY_BYTES} letters, digits, '.', '_' and '-' in parts with one '/' between them"
        )
    return text


def _prefix(text: str) -> str:
    if (wrong := prefix_error(text)) is not None:
        raise ValueError(wrong)
    return text


def _etag(text: str) -> int:
    version = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    try:
        return _whole(version)
    except ValueError:
        raise ValueError('must be one version in quotes, as in "12"') from None


def _nothing(text: str) -> int:
    if text.strip() != "*":
        raise ValueError("must be *: change it only if it does not exist")
    return 0


def _stream(text: str) -> str:
    if text not in {"stdout", "stderr", "all"}:
        raise ValueError("must be stdout, stderr or all")
    return text


def _since_ms(text: str) -> int:
    """Unix milliseconds: from a duration before now (10m, 1h30m), a Unix time in seconds, or RFC 3339."""
    if _DURATIONS.fullmatch(text):
        ago_s = sum(float(number) * _UNIT_S[unit] for number, unit in _DURATION.findall(text))
        return max(0, int((time.time() - ago_s) * 1000))
    try:
        if re.fullmatch(r"[0-9]{1,11}(\.[0-9]{1,9})?", text):
            return int(float(text) * 1000)
        when = datetime.fromisoformat(text)
    except ValueError:
        when = None
    if when is None or when.tzinfo is None:
        raise ValueError("must be how long ago (10m, 1h), or a time as in 2025-01-31T12:00:00Z")
    return max(0, int(when.timestamp() * 1000))


def _subjects(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise ValueError("must be names, separated by commas")
    return names


def _event_id(text: str) -> tuple[int, int]:
    event = parse_event_id(text) if text.isascii() and len(text) <= 40 else None
    if event is None:
        raise ValueError("must be the id of an event, as in 120.0")
    return event


def _log_position(text: str) -> LogPosition:
    position = parse_position(text)
    if position is None:
        raise ValueError("must be the id of an event of these logs")
    return position


def _known_log_position(text: str) -> LogPosition | None:
    return parse_position(text)


def _accepts_events(text: str) -> bool:
    return any(part.partition(";")[0].strip() == "text/event-stream" for part in text.split(","))


def _known_event_id(text: str) -> tuple[int, int] | None:
    """As a browser sends it back by itself; one of another server's making is as good as none."""
    return parse_event_id(text) if text.isascii() and len(text) <= 40 else None


def _text(pattern: str, most: int | None = None) -> dict[str, Any]:
    return {"type": "string", "pattern": pattern} | ({"maxLength": most} if most is not None else {})


_NUMBER = {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_WAIT_S}
_COUNT = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
# As text, for that is what an address is: 1 and true are one, and a name alone is true.
_BOOL = {"type": "string", "enum": ["", "0", "1", "false", "true"], "default": "false"}
_TASK_ID = _text(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(/[0-9]{1,9})?$")
_NODE_NAME = _text(r"^[a-zA-Z0-9._-]{1,64}$")
_CONFIG_KEY = _text(r"^(?!(.*/)?\.{1,2}(/|$))[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$", MAX_KEY_BYTES)
_ONCE_KEY = _text(r"^[!-~]([ -~]{0,126}[!-~])?$")
_LINES = _text(r"^(all|[0-9]{1,9})$")
_TIME = {
    "type": "string",
    "anyOf": [
        {"pattern": r"^([0-9]{1,9}(\.[0-9]{1,3})?(ms|s|m|h|d)){1,5}$"},
        {"pattern": r"^[0-9]{1,11}(\.[0-9]{1,9})?$"},
        {"format": "date-time"},
    ],
}
_EVENT_ID = _text(r"^[0-9]{1,19}\.[0-9]{1,19}$")

TASK = Param("id", "path", str, "", _TASK_ID, "`job/index`, or `job` alone for a job of one task")
NODE = Param("id", "path", str, "", _NODE_NAME, "the node's name")
TIMEOUT = Param(
    "Request-Timeout",
    "header",
    _seconds,
    0.0,
    {**_NUMBER, "default": DEFAULT_TIMEOUT_S},
    "seconds after which a request that can't be answered is given up",
)
STALE = Param("stale", "query", _flag, False, _BOOL, "answer from this node's own state, at once")
INDEX = Param("index", "query", _whole, 0, _COUNT, "wait until the state has passed this index (X-Orion-Index)")
WAIT = Param("wait", "query", _seconds, 30.0, {**_NUMBER, "default": 30}, "with index: the longest wait, seconds")
LIMIT = Param(
    "limit",
    "query",
    _limit,
    0,
    {"type": "integer", "minimum": 1, "maximum": 999_999_999},
    "at most so many; X-Orion-Next is then what to give as after to go on",
)
TASKS_AFTER = Param("after", "query", _task_id, "", _TASK_ID, "begin past the task with this id")
NODES_AFTER = Param("after", "query", _node_name, "", _NODE_NAME, "begin past the node with this name")
CONFIGS_AFTER = Param("after", "query", _config_key, "", _CONFIG_KEY, "begin past the config with this key")
WAIT_RUNNING = Param(
    "wait",
    "query",
    _running,
    False,
    {"type": "string", "enum": ["running"]},
    f"answer when the task runs or has ended, at the latest after Request-Timeout ({RUNNING_WAIT_S:g} s)",
)
CREATED_INDEX = Param(
    "createdIndex", "query", _whole, 0, _COUNT, "only the task of this createdIndex, not another of its name"
)
IDEMPOTENCY_KEY = Param(
    "Idempotency-Key",
    "header",
    _key,
    "",
    _ONCE_KEY,
    "a retry with the same key makes no second task: it is answered as the first try, a refusal too",
)
FOLLOW_LOGS = Param(
    "follow", "query", _flag, False, _BOOL, "go on as more is written, wherever the task runs, until it has ended"
)
TAIL = Param("tail", "query", _tail, None, _LINES, 'only the last so many lines, or "all"')
SINCE = Param("since", "query", _since_ms, 0, _TIME, "from a time on, or from how long ago: 10m")
STREAM = Param(
    "stream", "query", _stream, "all", {"type": "string", "enum": ["stdout", "stderr", "all"]}, "which output"
)
LOG_TIMES = Param("timestamps", "query", _flag, False, _BOOL, "with text: the time before each line")
ACCEPT_EVENTS = Param(
    "Accept",
    "header",
    _accepts_events,
    False,
    {"type": "string"},
    "text/event-stream: as Server-Sent Events, with comments as signs of life; data is a LogsView, or a TextView "
    "in the events notice (what happened to the task) and end (it has ended). Any other: text, without such signs",
)
AFTER_LOG = Param(
    "after", "query", _log_position, None, _text(f"^{POSITION}$"), "begin just past the event with this id"
)
LAST_LOG_ID = Param(
    "Last-Event-ID",
    "header",
    _known_log_position,
    None,
    {"type": "string"},
    "as after, sent by browsers by themselves",
)
FOLLOW_EVENTS = Param(
    "follow", "query", _flag, True, {**_BOOL, "default": "true"}, "0: end after those that are remembered"
)
AFTER = Param("after", "query", _event_id, None, _EVENT_ID, "begin just past this event; 0.0: at the first")
EVENTS_SINCE = Param("since", "query", _since_ms, 0, _TIME, "only from a time on, or how long ago: 10m")
EVENTS_TAIL = Param("tail", "query", _tail, None, _LINES, "of what has happened already, only the last so many")
SUBJECT: Param[tuple[str, ...]] = Param(
    "subject",
    "query",
    _subjects,
    (),
    _text(r"^[^,\s]+(,[^,\s]+)*$"),
    "only what happened to these nodes, tasks or jobs: names, separated by commas",
)
LAST_EVENT_ID = Param(
    "Last-Event-ID", "header", _known_event_id, None, _EVENT_ID, "as after, sent by browsers by themselves"
)
KEY = Param("key", "path", _config_key, "", _CONFIG_KEY, "a config's key: app/database/url")
PREFIX = Param(
    "prefix", "query", _prefix, "", _text(r"^[A-Za-z0-9._/-]*$", MAX_KEY_BYTES), "only keys that begin with this"
)
VERSION = Param(
    "version",
    "query",
    _whole,
    None,
    _COUNT,
    "change it only if it is at this version; 0: only if it does not exist",
)
IF_MATCH = Param(
    "If-Match", "header", _etag, None, _text(r'^("[0-9]{1,18}"|[0-9]{1,18})$'), "as version, as an ETag"
)
IF_NONE_MATCH = Param(
    "If-None-Match", "header", _nothing, None, {"type": "string", "enum": ["*"]}, "*: as version=0"
)
CONFIG_IDEMPOTENCY_KEY = Param(
    "Idempotency-Key",
    "header",
    _key,
    "",
    _ONCE_KEY,
    "a retry with the same key is answered as the first try",
)
