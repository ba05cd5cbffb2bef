"""One request as a handler sees it: typed parameters, a parsed body, and service calls under a deadline."""

from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from orion.api.http.asgi import Receive, Scope, header
from orion.api.http.body import parse_json, read_body
from orion.api.http.deadlines import Limits, until_hang_up
from orion.api.http.lists import ListResponse
from orion.api.params import DEFAULT_TIMEOUT_S, INDEX, LIMIT, STALE, TIMEOUT, WAIT, Param
from orion.model.errors import MAX_SHOWN, Refused
from orion.node.rpc.reads import Listing, Page, Read
from orion.node.services.service import Service

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

# The service answers with its own words at the deadline. This margin later the request ends anyway, in case it did
# not.
MARGIN_S = 2.0
MAX_PARAMETERS = 100  # in one address


class Call:
    """Raises Refused naming each parameter that is unknown or wrong."""

    def __init__(
        self, service: Service, limits: Limits, scope: Scope, receive: Receive, params: tuple[Param[Any], ...]
    ) -> None:
        self.service = service
        self.limits = limits
        self.scope = scope
        self.receive = receive
        self._values = _parse(scope, params)

    def __getitem__(self, param: Param[T]) -> T:
        value: T = self._values.get((param.where, param.name), param.default)
        return value

    @property
    def timeout_s(self) -> float:
        return self[TIMEOUT] or DEFAULT_TIMEOUT_S

    async def body(self, kind: type[S], example: str) -> S:
        async with self.limits.limit(self.timeout_s):
            data = await read_body(self.scope, self.receive)
        return parse_json(data, kind, example)

    async def optional_body(self, kind: type[S], example: str) -> S:
        async with self.limits.limit(self.timeout_s):
            data = await read_body(self.scope, self.receive)
        return parse_json(data, kind, example) if data.strip() else kind()

    async def raw_body(self, most_bytes: int) -> bytes:
        async with self.limits.limit(self.timeout_s):
            return await read_body(self.scope, self.receive, most_bytes)

    async def within(self, work: Awaitable[T]) -> T:
        """The result of a service call that takes this request's timeout itself."""
        async with self.limits.limit(self.timeout_s + MARGIN_S):
            return await work

    async def waiting(self, work: Awaitable[T], wait_s: float) -> T:
        """As `within`, for one that may wait so much longer; given up when the client hangs up."""
        limit_s = self.timeout_s + wait_s + MARGIN_S
        async with self.limits.limit(limit_s, waits=True) as deadline, until_hang_up(self.receive, deadline):
            return await work

    async def read(self, ask: Callable[[Read], Awaitable[T]]) -> T:
        """Returns what `ask` reads, as fresh and as late as the request's parameters say."""
        read = Read(
            stale=self[STALE],
            after_index=self[INDEX],
            wait_s=self[WAIT] if self[INDEX] else 0.0,
            timeout_s=self.timeout_s,
        )
        return await (self.waiting(ask(read), read.wait_s) if read.after_index else self.within(ask(read)))

    async def listing(self, ask: Callable[[Read, Page], Awaitable[Listing]], after: str) -> ListResponse:
        page = Page(after, self[LIMIT])
        return ListResponse(self.limits, await self.read(lambda read: ask(read, page)))


def _parse(scope: Scope, params: tuple[Param[Any], ...]) -> dict[tuple[str, str], Any]:
    query = _query(scope["query_string"])
    values: dict[tuple[str, str], Any] = {}
    wrong = []
    for param in params:
        match param.where:
            case "query":
                given = query.pop(param.name, None)
                if param.repeats and given:
                    values[param.where, param.name] = tuple(given)
                    continue
                text = given[-1] if given else None
            case "header":
                text = header(scope, param.name.lower())
            case _:
                text = scope["path_params"][param.name]
        if text is None:
            continue
        try:
            values[param.where, param.name] = param.parse(text)
        except ValueError as error:
            wrong.append(f"{param.name} {error}, not {text[:80]!r}")
    known = ", ".join(p.name for p in params if p.where == "query") or "none"
    wrong += [f"{name[:80]!r} is not a parameter here; known are: {known}" for name in islice(query, MAX_SHOWN)]
    if len(query) > MAX_SHOWN:
        wrong.append(f"and {len(query) - MAX_SHOWN:,} more")
    if wrong:
        raise Refused("; ".join(wrong))
    return values


def _query(text: bytes) -> dict[str, list[str]]:
    """Raises Refused for more parameters than anything here has."""
    try:
        pairs = parse_qsl(text.decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise Refused(f"there are more than {MAX_PARAMETERS} parameters in the address") from None
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found
