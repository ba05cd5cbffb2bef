"""GET /network and its check."""

from orion.api.endpoint import Routes
from orion.api.http.asgi import Response
from orion.api.http.problems import json
from orion.api.http.request import Call
from orion.api.params import NODE_NAME, TIMEOUT, query
from orion.model.api.network import NetworkCheckView, NetworkView

routes = Routes()

ONE = query("node", NODE_NAME, "", "only the ways from this node to the others, and theirs to it")


@routes.add(
    "GET",
    "/network",
    "The cluster's own network, and how each node's part of it is",
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
