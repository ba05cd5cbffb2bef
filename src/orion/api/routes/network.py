"""/network: how each node's part is, and its check. /networks: networks by name, and who is on them."""

from orion.api.endpoint import Routes, Scope
from orion.api.http.asgi import Response
from orion.api.http.problems import json
from orion.api.http.request import Call
from orion.api.params import NODE_NAME, ONCE_KEY, STALE, TIMEOUT, Kind, header, path, query, text
from orion.model.api.network import (
    NetworkCheckView,
    NetworkDetailView,
    NetworkRequest,
    NetworkSummaryView,
    NetworkView,
)
from orion.model.api.network_fields import NETWORK_PATTERN
from orion.model.network import NETWORK_NAME
from orion.node.rpc.reads import Read

routes = Routes()

ONE = query("node", NODE_NAME, "", "only the ways from this node to the others, and theirs to it")


def _name(text: str) -> str:
    if not NETWORK_NAME.fullmatch(text):
        raise ValueError("must be a network's name: small letters, digits, and '-' between them")
    return text


NAME = path("name", Kind(_name, **text(NETWORK_PATTERN)), "the network")
IDEMPOTENCY_KEY = header("Idempotency-Key", ONCE_KEY, "", "a retry with the same key is answered as the first try")


@routes.add(
    "GET",
    "/network",
    "The cluster's addresses, and how each node's part of the network is",
    params=(TIMEOUT,),
    answer=NetworkView,
)
async def network(call: Call) -> Response:
    return json(await call.within(call.service.network(timeout_s=call.timeout_s)))


@routes.add(
    "GET",
    "/network/check",
    "Which nodes reach which others by the cluster's own network, and why some do not: each is asked to look",
    params=(ONE, TIMEOUT),
    answer=NetworkCheckView,
)
async def check(call: Call) -> Response:
    found = call.service.network_check(call[ONE], timeout_s=call.timeout_s)
    return json(await call.within(found))


@routes.add(
    "GET", "/networks", "All networks that jobs can name", params=(STALE, TIMEOUT), answer=list[NetworkSummaryView]
)
async def listing(call: Call) -> Response:
    return json(await call.within(call.service.networks.find(_read(call))))


@routes.add(
    "POST",
    "/networks",
    "Make a network, apart from all others",
    Scope.DEPLOY,
    params=(IDEMPOTENCY_KEY, TIMEOUT),
    body=NetworkRequest,
    answer=NetworkDetailView,
    status=201,
)
async def create(call: Call) -> Response:
    request = await call.body(NetworkRequest, '{"name": "front", "internal": false}')
    work = call.service.networks.create(request, idempotency_key=call[IDEMPOTENCY_KEY], timeout_s=call.timeout_s)
    return json(await call.within(work), 201)


@routes.add(
    "GET",
    "/networks/{name}",
    "A network: subnets by node, jobs, and tasks with their addresses",
    params=(NAME, STALE, TIMEOUT),
    answer=NetworkDetailView,
)
async def get(call: Call) -> Response:
    return json(await call.within(call.service.networks.get(call[NAME], _read(call))))


@routes.add(
    "DELETE",
    "/networks/{name}",
    "Remove a network that no job names",
    Scope.DEPLOY,
    params=(NAME, IDEMPOTENCY_KEY, TIMEOUT),
    status=204,
)
async def remove(call: Call) -> Response:
    work = call.service.networks.remove(call[NAME], idempotency_key=call[IDEMPOTENCY_KEY], timeout_s=call.timeout_s)
    await call.within(work)
    return Response(status=204)


def _read(call: Call) -> Read:
    return Read(stale=call[STALE], timeout_s=call.timeout_s)
