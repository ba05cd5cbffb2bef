"""Errors, which are part of the interface: they say what happened, to which object, and what to do.

The class tells whose fault it is: `Refused` is the caller's, `Unavailable` is the cluster's. Each has the HTTP
status and title that it becomes at the API (RFC 9457), so that peers, API and client share one set.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from typing import ClassVar

import msgspec

MAX_KEY_SHOWN = 256  # characters of a key in a JSON Pointer
MAX_SHOWN = 20  # wrong fields of one request that are named; the others are only counted


class FieldError(msgspec.Struct, frozen=True):
    pointer: str  # JSON Pointer, RFC 6901
    message: str


def pointer(*parts: str | int) -> str:
    """Returns a JSON Pointer (RFC 6901) to the field under these keys, or to the object around a key that is too
    long to show.
    """
    shown = takewhile(lambda part: isinstance(part, int) or len(part) <= MAX_KEY_SHOWN, parts)
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in shown)


def shown(text: str) -> str:
    """Returns a user's text in quotes, cut when it is long."""
    return repr(text if len(text) <= 80 else text[:77] + "...")


class FieldErrors:
    """The wrong fields of one request: the first MAX_SHOWN as FieldErrors, and the number of all others.

    A request of 1 MiB can have half a million of them, so words are only made for those that are shown.
    """

    def __init__(self) -> None:
        self.shown: list[FieldError] = []
        self.more = 0

    def __len__(self) -> int:
        return len(self.shown) + self.more

    @property
    def full(self) -> bool:
        return len(self.shown) >= MAX_SHOWN

    def add(self, pointer: Callable[[], str], message: Callable[[], str]) -> None:
        """Adds an error. `pointer` and `message` are called only if it is shown."""
        if self.full:
            self.more += 1
        else:
            self.shown.append(FieldError(pointer(), message()))

    def append(self, error: FieldError) -> None:
        if self.full:
            self.more += 1
        else:
            self.shown.append(error)

    def extend(self, errors: Iterable[FieldError]) -> None:
        for error in errors:
            self.append(error)

    def count(self, number: int) -> None:
        """Adds `number` errors that are not shown."""
        self.more += number


class OrionError(Exception):
    """An error with words: `detail` is one or two sentences for a person."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    code: ClassVar[str] = "internal"

    def __init__(self, detail: str, errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = errors


class Refused(OrionError):
    """The caller's request can't be carried out as it stands; retrying it unchanged won't help."""

    status = 400
    title = "Bad request"
    code = "refused"


class Invalid(Refused):
    """One or more fields are wrong; each is named."""

    status = 422
    title = "Some fields are wrong"
    code = "invalid"

    def __init__(self, errors: FieldErrors | Sequence[FieldError], detail: str | None = None) -> None:
        shown, more = (errors.shown, errors.more) if isinstance(errors, FieldErrors) else (errors, 0)
        super().__init__(detail or _sentence(shown, more), tuple(shown))


def _sentence(errors: Sequence[FieldError], more: int) -> str:
    words = "; ".join(error.message for error in errors)
    return f"{words}; and {more:,} more" if more else words


class NotFound(Refused):
    status = 404
    title = "Not found"
    code = "not_found"


class Conflict(Refused):
    """The request clashes with what is there."""

    status = 409
    title = "Conflict"
    code = "conflict"


class TooNew(Refused):
    """Some nodes of the cluster would not understand it: they run a version that does not have it yet."""

    status = 409
    title = "Not all nodes understand this yet"
    code = "too_new"


class Outdated(Refused):
    """This version of orion does not understand what the cluster writes by now."""

    status = 409
    title = "This version is too old for the cluster"
    code = "outdated"


class TooLarge(Refused):
    status = 413
    title = "Too large"
    code = "too_large"


class Unavailable(OrionError):
    """The cluster can't answer now: no leader, no quorum, too much under way. Retrying may help."""

    status = 503
    title = "Not available now"
    code = "unavailable"


class NoMajority(Unavailable):
    """Too few voters are there to agree on anything; `detail` names those that are missing."""

    title = "No majority of the voters"
    code = "no_majority"


class NotTaken(Unavailable):
    """The command reached nobody who would have put it into the log: it changed nothing and never will."""

    code = "not_taken"


class AnswerForgotten(Unavailable):
    """The answer to this command, if an earlier copy of it was carried out, is no longer remembered. This copy
    changed nothing, and no later one will.
    """

    code = "answer_forgotten"


class EngineError(OrionError):
    """The container engine refused or failed; `detail` holds its words.

    `permanent` is true when the same call can't succeed later without a change elsewhere (no such image).
    """

    status = 502
    title = "The container engine failed"
    code = "engine"

    def __init__(self, detail: str, *, permanent: bool = False) -> None:
        super().__init__(detail)
        self.permanent = permanent


class PortRefused(EngineError):
    """The engine's machine refuses the host port `port`: another program has it, or it is forbidden."""

    code = "port_refused"

    def __init__(self, detail: str, *, permanent: bool = False, port: int = 0) -> None:
        super().__init__(detail, permanent=permanent)
        self.port = port


class EngineDown(EngineError):
    """The container engine does not answer at all."""

    title = "The container engine does not answer"
    code = "engine_down"


class ContainerGone(EngineError):
    """The engine has no such container, or will not have it in a moment."""


class Corrupt(OrionError):
    """Bytes from disk or from a peer differ from those written. It is never retried, and nothing is guessed."""

    title = "Damaged data"
    code = "corrupt"


class Unreadable(Corrupt):
    """The log is whole but can't be understood: another version wrote it, or a peer that lied."""


def by_code(code: str, detail: str, errors: tuple[FieldError, ...] = ()) -> OrionError:
    """Rebuilds an error that crossed the wire. An unknown code becomes an OrionError."""
    kind = _BY_CODE.get(code, OrionError)
    if kind is Invalid:
        return Invalid(errors, detail)
    if issubclass(kind, EngineError):
        return kind(detail)
    return kind(detail, errors)


_BY_CODE: dict[str, type[OrionError]] = {
    kind.code: kind
    for kind in (
        Refused,
        Invalid,
        NotFound,
        Conflict,
        TooNew,
        Outdated,
        TooLarge,
        Unavailable,
        NoMajority,
        NotTaken,
        AnswerForgotten,
        EngineError,
        PortRefused,
        EngineDown,
        Corrupt,
    )
}
