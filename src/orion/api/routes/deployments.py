"""/deployments: how jobs come from one version to another."""

from orion.api.endpoint import Routes
from orion.api.http.asgi import Response
from orion.api.http.lists import ListResponse
from orion.api.http.problems import json
from orion.api.http.request import Call
from orion.api.params import PAGE, READ, Kind, path, query, text, whole
from orion.model.api.deployments import DeploymentView

routes = Routes()

_ID = Kind(lambda value: str(whole(value)), **text(r"^[0-9]{1,18}$"))

DEPLOYMENT = path("id", _ID, "the deployment")
AFTER = query("after", _ID, "", "begin past the one of this id")


@routes.add(
    "GET",
    "/deployments",
    "Running deployments and the last that ended, the newest first",
    params=(AFTER, *PAGE),
    answer=list[DeploymentView],
)
async def listing(call: Call) -> ListResponse:
    return await call.listing(call.service.jobs.deployments, call[AFTER])


@routes.add("GET", "/deployments/{id}", "One deployment", params=(DEPLOYMENT, *READ), answer=DeploymentView)
async def get(call: Call) -> Response:
    view, index = await call.read(lambda read: call.service.jobs.deployment(int(call[DEPLOYMENT]), read))
    return json(view, headers={"x-orion-index": str(index)})
