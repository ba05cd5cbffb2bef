"""Answers: JSON, and errors as RFC 9457 problem documents."""

from collections.abc import Mapping
from typing import Any

import msgspec

from orion.api.http.asgi import Response
from orion.model.api.problem import Problem
from orion.model.errors import OrionError, Refused


class Forbidden(Refused):
    """A web page, not a person, asks."""

    status = 403
    title = "Not from a web page"


class WrongMethod(Refused):
    status = 405
    title = "Method not allowed"


class Mistake(OrionError):
    """An exception that nobody expected; who catches it logs it."""

    def __init__(self) -> None:
        super().__init__("this node made a mistake; its log says which")


def json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value) + b"\n", status, headers, "application/json")


def problem(error: OrionError, headers: Mapping[str, str] | None = None) -> Response:
    return Response(problem_bytes(error), error.status, headers, "application/problem+json")


def problem_bytes(error: OrionError) -> bytes:
    document = Problem(
        title=error.title,
        status=error.status,
        detail=error.detail,
        code=error.code,
        errors=[{"pointer": e.pointer, "message": e.message} for e in error.errors],
    )
    return msgspec.json.encode(document) + b"\n"
