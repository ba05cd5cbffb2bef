"""/nodes: read, drain, make ready, label, forget."""

from orion.api.http.asgi import Response
from orion.api.http.lists import ListResponse
from orion.api.http.problems import json
from orion.api.http.request import Call
from orion.api.params import NODE, NODES_AFTER
from orion.model.api.nodes import LabelsRequest


async def listing(call: Call) -> ListResponse:
    return await call.listing(call.service.nodes, call[NODES_AFTER])


async def get(call: Call) -> Response:
    view, index = await call.read(lambda read: call.service.node(call[NODE], read))
    return json(view, headers={"x-orion-index": str(index)})


async def drain(call: Call) -> Response:
    return await _set_draining(call, draining=True)


async def ready(call: Call) -> Response:
    return await _set_draining(call, draining=False)


async def _set_draining(call: Call, *, draining: bool) -> Response:
    work = call.service.drain(call[NODE], draining=draining, timeout_s=call.timeout_s)
    return json(await call.within(work))


async def stop(call: Call) -> Response:
    return json(await call.within(call.service.stop_node(call[NODE], timeout_s=call.timeout_s)), 202)


async def label(call: Call) -> Response:
    request = await call.body(LabelsRequest, '{"labels": {"disk": "ssd", "old": null}}')
    work = call.service.label_node(call[NODE], request.labels, timeout_s=call.timeout_s)
    return json(await call.within(work))


async def remove(call: Call) -> Response:
    await call.within(call.service.remove_node(call[NODE], timeout_s=call.timeout_s))
    return Response(status=204)
