"""A request's body: bounded, JSON, and with every wrong field named at once."""

import asyncio
from typing import Any, TypeVar

import msgspec

from orion.api.http.asgi import Message, Receive, Scope, Send
from orion.api.http.problems import problem
from orion.model.api.values import kind_of, members
from orion.model.errors import FieldErrors, Invalid, Refused, TooLarge
from orion.model.limits import MAX_BODY_BYTES

T = TypeVar("T", bound=msgspec.Struct)

# After a 413 the rest of the body is dropped as it comes, so that a client which writes before it reads gets to
# the answer (RFC 9112, section 9.6); at most so much, for at most so long.
_DROP_BYTES = 16 * 1024 * 1024
_DROP_S = 2.0


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
        raise Refused(f"the body must be a JSON object such as {example}, not {kind_of(value)}")
    errors = FieldErrors()
    values = members(value, kind, "", (), errors)
    if errors:
        raise Invalid(errors)
    return kind(**values)


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
