"""ASGI's types (asgi.readthedocs.io): what the server gives an app, and an app's whole answers."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


def header(scope: Scope, name: str) -> str | None:
    """The first of that name, which is to be given in lower case."""
    wanted = name.encode("latin-1")
    return next((value.decode("latin-1") for found, value in scope["headers"] if found == wanted), None)


class Response:
    """An answer that is known as a whole."""

    def __init__(
        self,
        body: bytes = b"",
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
    ) -> None:
        self._body = body
        self._status = status
        self._headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in (headers or {}).items()
        ]
        if status != 204:
            self._headers.append((b"content-length", b"%d" % len(body)))
        if media_type is not None:
            self._headers.append((b"content-type", media_type.encode("latin-1")))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": self._status, "headers": self._headers})
        await send({"type": "http.response.body", "body": self._body})
