"""/jobs/{name}/runs and /jobs/{name}/run: what a cron job has done; a cron or batch job run now."""

from orion.api.endpoint import Routes, Scope
from orion.api.http.asgi import Response
from orion.api.http.problems import json
from orion.api.http.request import Call
from orion.api.params import STALE, TIMEOUT
from orion.api.routes.jobs import IDEMPOTENCY_KEY, JOB
from orion.model.api.jobs import JobView
from orion.model.api.schedule_fields import RunView
from orion.model.errors import NotFound
from orion.node.rpc.reads import Read
from orion.node.views.render_cron import run_view
from orion.state.tables.cron_rows import Crons

routes = Routes()


@routes.add(
    "GET",
    "/jobs/{name}/runs",
    "The last 50 runs of a cron job, those that were skipped or missed too, oldest first",
    params=(JOB, STALE, TIMEOUT),
    answer=list[RunView],
)
async def runs(call: Call) -> Response:
    work = call.service.row(Crons, call[JOB], Read(stale=call[STALE], timeout_s=call.timeout_s))
    row, index = await call.within(work)
    if row is None:
        raise NotFound(f"there is no cron job {call[JOB]}; 'orion cron' lists them")
    return json([run_view(firing) for firing in row.firings], headers={"x-orion-index": str(index)})


@routes.add(
    "POST",
    "/jobs/{name}/run",
    "Run a cron job now, beside its times, or again a batch job that has ended; answers with the job that runs",
    Scope.DEPLOY,
    params=(JOB, IDEMPOTENCY_KEY, TIMEOUT),
    answer=JobView,
    status=201,
)
async def run(call: Call) -> Response:
    work = call.service.jobs.run(call[JOB], idempotency_key=call[IDEMPOTENCY_KEY], timeout_s=call.timeout_s)
    return json(await call.within(work), 201)
