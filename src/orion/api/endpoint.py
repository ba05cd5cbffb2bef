"""How a route is declared: once, beside its handler, for the router, OpenAPI and the tests of client and CLI."""

import enum
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from orion.api.http.asgi import ASGIApp
from orion.api.http.request import Call
from orion.api.params import Param

Handler = Callable[[Call], Awaitable[ASGIApp]]


class Scope(enum.StrEnum):
    """The right that a caller must have. Carried for keys and roles, which are yet to come: nobody is refused."""

    READ = "read"
    DEPLOY = "deploy"  # tasks and configs
    ADMIN = "admin"  # nodes, votes, backups


class Endpoint(msgspec.Struct, frozen=True):
    """`answer` and `media`: what a success looks like; `answer` None with JSON means no body. Several media
    have ", " between them.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    scope: Scope
    params: tuple[Param[Any], ...]
    body: type[msgspec.Struct] | None
    body_required: bool
    raw_body: bool | str  # any bytes, instead of a `body`; of a type, where it is given
    answer: Any
    status: int
    media: str
    goes_on: bool  # a stream, which a HEAD would wait for in vain
    socket: bool  # a WebSocket


class Routes:
    """The endpoints of one noun, in the order of their handlers."""

    def __init__(self) -> None:
        self.endpoints: list[Endpoint] = []

    def add(
        self,
        method: str,
        path: str,
        summary: str,
        scope: Scope = Scope.READ,
        *,
        params: tuple[Param[Any], ...] = (),
        body: type[msgspec.Struct] | None = None,
        body_required: bool = True,
        raw_body: bool | str = False,
        answer: Any = None,
        status: int = 200,
        media: str = "application/json",
        goes_on: bool = False,
        socket: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Declares the handler below it. The arguments are an Endpoint's."""

        def declare(handler: Handler) -> Handler:
            self.endpoints.append(
                Endpoint(
                    method=method,
                    path=path,
                    handler=handler,
                    summary=summary,
                    scope=scope,
                    params=params,
                    body=body,
                    body_required=body_required,
                    raw_body=raw_body,
                    answer=answer,
                    status=status,
                    media=media,
                    goes_on=goes_on or socket,
                    socket=socket,
                )
            )
            return handler

        return declare
