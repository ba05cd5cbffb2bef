"""GET /network."""

from orion.api.endpoint import Routes
from orion.api.http.asgi import Response
from orion.api.http.problems import json
from orion.api.http.request import Call
from orion.api.params import TIMEOUT
from orion.model.api.network import NetworkView

routes = Routes()


@routes.add(
    "GET",
    "/network",
    "The cluster's own network, and how each node's part of it is",
    params=(TIMEOUT,),
    answer=NetworkView,
)
async def network(call: Call) -> Response:
    return json(await call.within(call.service.network(timeout_s=call.timeout_s)))
