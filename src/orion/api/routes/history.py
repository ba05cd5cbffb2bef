"""/tasks/{id}/history: what was done to a task's job."""

from orion.api.endpoint import Routes
from orion.api.http.asgi import Response
from orion.api.http.problems import json
from orion.api.http.request import Call
from orion.api.params import STALE, TASK_ID, TIMEOUT, path
from orion.model.api.history import ChangeView
from orion.model.errors import NotFound
from orion.model.ids import split_task_id
from orion.node.rpc.reads import Read
from orion.node.views.render import time_text
from orion.state.tables.history import History, JobChange

routes = Routes()

TASK = path("id", TASK_ID, "`job/index`, or `job` alone")


@routes.add(
    "GET",
    "/tasks/{id}/history",
    "What was done to a task's job, the last 20 changes, oldest first; kept for a while after it was removed",
    params=(TASK, STALE, TIMEOUT),
    answer=list[ChangeView],
)
async def history(call: Call) -> Response:
    job, _ = split_task_id(call[TASK])
    work = call.service.row(History, job, Read(stale=call[STALE], timeout_s=call.timeout_s))
    row, index = await call.within(work)
    if row is None:
        raise NotFound(f"nothing is known of a job {job}: there was none, or it was removed long ago")
    return json([_view(change) for change in row.changes], headers={"x-orion-index": str(index)})


def _view(change: JobChange) -> ChangeView:
    return ChangeView(
        index=change.index,
        at=time_text(change.at_ms),
        change=change.kind.value,
        created_index=change.created_index,
        version=change.version,
        count=change.count,
        image=change.image,
    )
