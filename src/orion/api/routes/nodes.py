"""/nodes: read, drain, make ready, label, forget."""

from orion.api.endpoint import Routes, Scope
from orion.api.http.asgi import Response
from orion.api.http.lists import ListResponse
from orion.api.http.problems import json
from orion.api.http.request import Call
from orion.api.params import NODE_NAME, PAGE, READ, TIMEOUT, path, query
from orion.model.api.nodes import LabelsRequest, NodeView

routes = Routes()

NODE = path("id", NODE_NAME.unchecked(), "the node's name")
AFTER = query("after", NODE_NAME, "", "begin past the node with this name")


@routes.add("GET", "/nodes", "All nodes, the dead ones too", params=(AFTER, *PAGE), answer=list[NodeView])
async def listing(call: Call) -> ListResponse:
    return await call.listing(call.service.nodes, call[AFTER])


@routes.add("GET", "/nodes/{id}", "One node", params=(NODE, *READ), answer=NodeView)
async def get(call: Call) -> Response:
    view, index = await call.read(lambda read: call.service.node(call[NODE], read))
    return json(view, headers={"x-orion-index": str(index)})


@routes.add(
    "POST",
    "/nodes/{id}/drain",
    "Move a node's tasks elsewhere",
    Scope.ADMIN,
    params=(NODE, TIMEOUT),
    answer=NodeView,
)
async def drain(call: Call) -> Response:
    return await _set_draining(call, draining=True)


@routes.add(
    "POST", "/nodes/{id}/ready", "Give a node work again", Scope.ADMIN, params=(NODE, TIMEOUT), answer=NodeView
)
async def ready(call: Call) -> Response:
    return await _set_draining(call, draining=False)


async def _set_draining(call: Call, *, draining: bool) -> Response:
    work = call.service.drain(call[NODE], draining=draining, timeout_s=call.timeout_s)
    return json(await call.within(work))


@routes.add(
    "POST",
    "/nodes/{id}/stop",
    "Stop a node that has no tasks; its program ends as after SIGTERM",
    Scope.ADMIN,
    params=(NODE, TIMEOUT),
    answer=NodeView,
    status=202,
)
async def stop(call: Call) -> Response:
    return json(await call.within(call.service.stop_node(call[NODE], timeout_s=call.timeout_s)), 202)


@routes.add(
    "POST",
    "/nodes/{id}/labels",
    "Change a node's labels, over what it says of itself; takes effect at once and survives its restarts",
    Scope.ADMIN,
    params=(NODE, TIMEOUT),
    body=LabelsRequest,
    answer=NodeView,
)
async def label(call: Call) -> Response:
    request = await call.body(LabelsRequest, '{"labels": {"disk": "ssd", "old": null}}')
    work = call.service.label_node(call[NODE], request.labels, timeout_s=call.timeout_s)
    return json(await call.within(work))


@routes.add("DELETE", "/nodes/{id}", "Forget a node that is gone", Scope.ADMIN, params=(NODE, TIMEOUT), status=204)
async def remove(call: Call) -> Response:
    await call.within(call.service.remove_node(call[NODE], timeout_s=call.timeout_s))
    return Response(status=204)
