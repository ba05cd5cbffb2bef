"""GET /tasks/{id}/checks."""

from orion.api.endpoint import Routes
from orion.api.http.asgi import Response
from orion.api.http.problems import json
from orion.api.http.request import Call
from orion.api.params import TIMEOUT
from orion.api.routes.tasks import TASK
from orion.model.api.checks import RunChecksView

routes = Routes()


@routes.add(
    "GET",
    "/tasks/{id}/checks",
    "The last results of the health check of a task's runs, from the memory of their nodes",
    params=(TASK, TIMEOUT),
    answer=list[RunChecksView],
)
async def checks(call: Call) -> Response:
    return json(await call.within(call.service.checks(call[TASK], timeout_s=call.timeout_s)))
