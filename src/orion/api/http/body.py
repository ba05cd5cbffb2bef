"""A request's body: bounded, JSON, and with every wrong field named at once."""

import asyncio
import functools
from collections.abc import Iterable
from typing import Annotated, Any, TypeVar, get_args, get_origin

import msgspec

from orion.api.http.asgi import Message, Receive, Scope, Send
from orion.api.http.problems import problem
from orion.model.errors import FieldError, FieldErrors, Invalid, Refused, TooLarge, pointer

T = TypeVar("T", bound=msgspec.Struct)

MAX_BODY_BYTES = 1024 * 1024
# After a 413 the rest of the body is dropped as it comes, so that a client which writes before it reads gets to
# the answer (RFC 9112, section 9.6); at most so much, for at most so long.
_DROP_BYTES = 16 * 1024 * 1024
_DROP_S = 2.0
MAX_HINTED = 256  # characters of what is looked at for what may have been meant


async def read_body(scope: Scope, receive: Receive, most_bytes: int = MAX_BODY_BYTES) -> bytes:
    """The whole body. Raises TooLarge as soon as it is known to be over `most_bytes`."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and (len(value) > 18 or int(value) > most_bytes):
            raise _too_large(most_bytes)
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused("the connection was closed before the whole body had come")
        body += message.get("body", b"")
        if len(body) > most_bytes:
            raise _too_large(most_bytes)
        if not message.get("more_body", False):
            return bytes(body)


def _too_large(most_bytes: int) -> TooLarge:
    return TooLarge(f"the body is larger than {most_bytes} bytes, the most that is taken")


class TooLargeResponse:
    """The answer to a body that is too large: sent first, then the rest of the body is dropped unread."""

    def __init__(self, error: TooLarge) -> None:
        self._response = problem(error, {"connection": "close"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "more_body": True}
            await send(message)

        await self._response(scope, receive, answer)
        dropped = 0
        try:
            async with asyncio.timeout(_DROP_S):
                while dropped < _DROP_BYTES:
                    message = await receive()
                    dropped += len(message.get("body", b""))
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            pass  # a client that neither sends nor hangs up: closed below all the same
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def parse_json(data: bytes, kind: type[T], example: str) -> T:
    """`data` as a `kind`. Raises Refused for what is not JSON, Invalid naming every wrong field."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = _decoded(data, example)  # which says why, or it is a field
    if not isinstance(value, dict):
        raise Refused(f"the body must be a JSON object such as {example}, not {_kind_of(value)}")
    errors = FieldErrors()
    values = _members(value, kind, "", (), errors)
    if errors:
        raise Invalid(errors)
    return kind(**values)


def _members(
    value: dict[str, Any],
    kind: type[msgspec.Struct],
    name: str,
    where: tuple[str | int, ...],
    errors: FieldErrors,
) -> dict[str, Any]:
    """The arguments of a `kind`, of an object that is called `name`."""
    fields = _fields(kind)
    values: dict[str, Any] = {}
    of = f"{name} " if name else ""
    for key, field in fields.items():
        if key in value:
            values[field.name] = _checked(value[key], field.type, f"{of}{key}", (*where, key), errors)
        elif field.required:
            errors.append(FieldError(pointer(*where, key), f"{of}{key} is missing"))
    unknown = (key for key in value if key not in fields)
    for key in unknown:
        errors.append(FieldError(pointer(*where, key), _unknown(key, list(fields))))
        if errors.full:
            break
    errors.count(sum(1 for _ in unknown))
    return values


@functools.cache
def _fields(kind: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.encode_name: field for field in msgspec.structs.fields(kind)}


def _decoded(data: bytes, example: str) -> Any:
    if not data.strip():
        raise Refused(f"the body is empty: send a JSON object such as {example}")
    try:
        return msgspec.json.decode(data)
    except RecursionError:
        raise Refused("the body is nested too deeply") from None
    except UnicodeDecodeError:
        raise Refused("the body is not UTF-8, as JSON must be") from None
    except msgspec.DecodeError as error:
        raise Refused(_malformed(data, str(error))) from None


def _malformed(data: bytes, words: str) -> str:
    """The decoder's words with the byte's number turned into a line and a column."""
    what, _, at = words.removeprefix("JSON is malformed: ").partition(" (byte ")
    if not at:
        return (
            "the body is not JSON: it ends too early" if "truncated" in words else f"the body is not JSON: {words}"
        )
    before = data[: int(at.rstrip(")"))]
    line = before.count(b"\n") + 1
    column = len(before) - (before.rfind(b"\n") + 1) + 1
    return f"the body is not JSON: {what} at line {line}, column {column}"


def _unknown(key: str, known: list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(key, known, n=1) if len(key) <= MAX_HINTED else []
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
    return f"{key[:80]!r} is not a field: {hint}"


_WORDS: dict[Any, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str | int: "text or a whole number",
    str | None: "text or null",
}


def _checked(value: Any, kind: Any, name: str, where: tuple[str | int, ...], errors: FieldErrors) -> Any:
    """`value` as a `kind`; what is wrong is added to `errors`. Only the shapes that request bodies use."""
    kind, most = _limited(kind)
    origin = get_origin(kind)
    if origin is list:
        if isinstance(value, list):
            return _elements(enumerate(value), len(value), most, get_args(kind)[0], name, where, errors)
        errors.append(FieldError(pointer(*where), _not_a_list(value, name)))
        return None
    if origin is not None and kind not in _WORDS:
        if isinstance(value, dict):
            items = _elements(value.items(), len(value), most, get_args(kind)[1], name, where, errors)
            return dict(zip(value, items, strict=False))
        message = f'{name} must be an object such as {{"name": "value"}}, not {_kind_of(value)}'
        errors.append(FieldError(pointer(*where), message))
        return None
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        if isinstance(value, dict):
            wrong = len(errors)
            values = _members(value, kind, name, where, errors)
            return kind(**values) if len(errors) == wrong else None
        errors.append(FieldError(pointer(*where), f"{name} must be an object, not {_kind_of(value)}"))
        return None
    if isinstance(value, float) and value.is_integer() and (kind is int or int in get_args(kind)):
        return int(value)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        errors.append(FieldError(pointer(*where), f"{name} must be {_WORDS[kind]}, not {_kind_of(value)}"))
        return None


def _limited(kind: Any) -> tuple[Any, int | None]:
    """A list's or an object's kind, and how many elements it may have at the most."""
    if get_origin(kind) is not Annotated:
        return kind, None
    inner, *notes = get_args(kind)
    return inner, next((n.max_length for n in notes if isinstance(n, msgspec.Meta) and n.max_length), None)


def _elements(
    items: Iterable[tuple[str | int, Any]],
    count: int,
    most: int | None,
    kind: Any,
    name: str,
    where: tuple[str | int, ...],
    errors: FieldErrors,
) -> list[Any]:
    """Too many are one error, whatever they are."""
    if most is not None and count > most:
        errors.append(FieldError(pointer(*where), f"{name} has {count:,} elements; at most {most:,} are taken"))
        return []
    return [
        _checked(item, kind, f"{name}[{at}]" if isinstance(at, int) else f"{name} {at[:80]}", (*where, at), errors)
        for at, item in items
    ]


def _not_a_list(value: Any, name: str) -> str:
    if not isinstance(value, str):
        return f"{name} must be a list, not {_kind_of(value)}"
    if len(value) > MAX_HINTED:
        return f'{name} must be a list of words: write ["sh","-c","…"]'
    import shlex

    try:
        words = shlex.split(value)
    except ValueError:
        words = ["sh", "-c", value]
    return f"{name} must be a list of words: write {msgspec.json.encode(words).decode()}"


def _kind_of(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return "text"
        case int() | float():
            return "a fraction" if isinstance(value, float) and not value.is_integer() else "a number"
        case list():
            return "a list"
        case _:
            return "an object"
