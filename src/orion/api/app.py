"""The ASGI application: a router made from the declared routes, and one place where errors become answers."""

import functools
import logging

import msgspec

from orion.api.endpoint import Endpoint, Routes
from orion.api.http.asgi import ASGIApp, Receive, Response, Scope, Send
from orion.api.http.body import TooLargeResponse
from orion.api.http.deadlines import Limits
from orion.api.http.origin import refuse_web_pages
from orion.api.http.problems import Mistake, WrongMethod, problem
from orion.api.http.request import Call
from orion.api.http.router import Router
from orion.api.routes import ENDPOINTS
from orion.model.errors import NotFound, OrionError, TooLarge
from orion.node.services.service import Service

log = logging.getLogger(__name__)

_CONFIGS = "/configs/"


class App:
    """`limits` are the deadlines of the requests under way; the server brings them forward when it stops."""

    def __init__(self, service: Service) -> None:
        self.limits = Limits()
        by_path: dict[str, dict[str, Endpoint]] = {}
        for endpoint in (*ENDPOINTS, *_routes.endpoints):
            by_path.setdefault(endpoint.path, {})[endpoint.method] = endpoint
        # The longest first: a task's id may be all that is left of a path.
        paths = sorted(by_path, key=lambda path: -path.count("/"))
        apps = {_pattern(path): _Resource(service, self.limits, by_path[path]) for path in paths}
        self._router = Router(apps, default=_nothing_here)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        # A config's key is taken as it is: without its last slash it would be another's.
        if len(path) > 1 and path.endswith("/") and not path.startswith(_CONFIGS):
            scope = {**scope, "path": path.rstrip("/")}
        await self._router(scope, receive, send)


def create_app(service: Service) -> App:
    return App(service)


def _pattern(path: str) -> str:
    """A task's id has a slash in it (`web/0`), a config's key may have many."""
    path = path.replace("{key}", "{key:whole}")
    return path.replace("{id}", "{id:whole}") if path.startswith("/tasks/") else path


class _Resource:
    """One path: finds the method's endpoint, calls its handler, renders what it raises."""

    def __init__(self, service: Service, limits: Limits, methods: dict[str, Endpoint]) -> None:
        self._service = service
        self._limits = limits
        self._methods = methods
        self._allowed = sorted(methods)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self._answer(scope, receive)
        await answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> ASGIApp:
        try:
            refuse_web_pages(scope)
            endpoint = self._endpoint(scope)
            return await endpoint.handler(Call(self._service, self._limits, scope, receive, endpoint.params))
        except WrongMethod as error:
            return problem(error, {"allow": ", ".join(self._allowed)})
        except TooLarge as error:
            return TooLargeResponse(error)
        except OrionError as error:
            return problem(error)
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            return problem(Mistake())

    def _endpoint(self, scope: Scope) -> Endpoint:
        method: str = scope["method"]
        endpoint = self._methods.get("GET" if method == "HEAD" else method)
        if endpoint is None or (method == "HEAD" and endpoint.goes_on):
            raise WrongMethod(f"{scope['path']} takes {', '.join(self._allowed)}, not {method}")
        return endpoint


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    error = NotFound(f"there is nothing at {scope['path'][:200]}; /openapi.json lists all there is")
    await problem(error)(scope, receive, send)


_routes = Routes()


@_routes.add("GET", "/openapi.json", "This description", answer=dict)
async def _openapi(_: Call) -> Response:
    return Response(_openapi_bytes(), media_type="application/json")


@functools.cache
def _openapi_bytes() -> bytes:
    from orion.api.openapi import document

    return msgspec.json.encode(document((*ENDPOINTS, *_routes.endpoints)))
