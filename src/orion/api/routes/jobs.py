"""/jobs: put, read, scale, roll back, restart, promote, stop, start, delete."""

import re

from orion.api.endpoint import Routes, Scope
from orion.api.http.asgi import Response
from orion.api.http.lists import ListResponse
from orion.api.http.problems import json
from orion.api.http.request import Call
from orion.api.params import ONCE_KEY, PAGE, READ, STALE, TIMEOUT, Kind, header, path, query, text, whole
from orion.model.api.jobs import CountRequest, JobRequest, JobView, VersionView
from orion.model.api.plans import PlanView
from orion.model.ids import JOB_NAME
from orion.node.rpc.reads import Read

EXAMPLE = '{"image": "nginx:1.27", "count": 3}'
COUNT_EXAMPLE = '{"count": 3}'
ANY_VERSION = -1

_HEX = "[0-9a-f]{24}"

routes = Routes()


def _name(name: str) -> str:
    if not JOB_NAME.fullmatch(name):
        raise ValueError("must be a job's name: 1 to 63 of a-z, 0-9 and '-', with no '-' at an end")
    return name


def _token(value: str) -> str:
    if not re.fullmatch(_HEX, value):
        raise ValueError("must be the token of a plan: 24 of 0-9 and a-f")
    return value


def _version(value: str) -> int:
    return whole(value.strip('"'))


JOB_KIND = Kind(_name, **text(rf"^{JOB_NAME.pattern}$"))
JOB = path("name", JOB_KIND, "the job")
AFTER = query("after", JOB_KIND, "", "begin past the job of this name")
IF_MATCH = header(
    "If-Match",
    Kind(_version, **text(r'^"?[0-9]{1,18}"?$')),
    ANY_VERSION,
    "change it only if it is at this version",
)
TO_VERSION = query(
    "toVersion", Kind(whole, type="integer", minimum=0, maximum=10**18 - 1), ANY_VERSION, "to this one"
)
PLAN = query(
    "plan",
    Kind(_token, **text("^[0-9a-f]{24}$")),
    "",
    "a plan's token: change it only if the plan still holds",
)
IDEMPOTENCY_KEY = header(
    "Idempotency-Key", ONCE_KEY, "", "a retry with the same key is answered as the first try, a refusal too"
)


@routes.add(
    "PUT",
    "/jobs/{name}",
    "Have a job run as described: it is created, changed by a deployment, or left alone",
    Scope.DEPLOY,
    params=(JOB, IF_MATCH, PLAN, IDEMPOTENCY_KEY, TIMEOUT),
    body=JobRequest,
    answer=JobView,
)
async def put(call: Call) -> Response:
    request = await call.body(JobRequest, EXAMPLE)
    work = call.service.jobs.put(
        call[JOB],
        request,
        if_version=call[IF_MATCH],
        plan=call[PLAN],
        idempotency_key=call[IDEMPOTENCY_KEY],
        timeout_s=call.timeout_s,
    )
    return _view(await call.within(work))


@routes.add(
    "POST",
    "/jobs/{name}/plan",
    "What a job that is asked for would change; it changes nothing",
    params=(JOB, TIMEOUT),
    body=JobRequest,
    answer=PlanView,
)
async def plan(call: Call) -> Response:
    request = await call.body(JobRequest, EXAMPLE)
    return json(await call.within(call.service.jobs.plan(call[JOB], request, timeout_s=call.timeout_s)))


@routes.add("GET", "/jobs", "All jobs, by name", params=(AFTER, *PAGE), answer=list[JobView])
async def listing(call: Call) -> ListResponse:
    return await call.listing(call.service.jobs.find, call[AFTER])


@routes.add("GET", "/jobs/{name}", "One job", params=(JOB, *READ), answer=JobView)
async def get(call: Call) -> Response:
    view, index = await call.read(lambda read: call.service.jobs.get(call[JOB], read))
    return _view(view, index)


@routes.add(
    "GET",
    "/jobs/{name}/versions",
    "The versions of a job that are kept, the newest first",
    params=(JOB, STALE, TIMEOUT),
    answer=list[VersionView],
)
async def versions(call: Call) -> Response:
    read = Read(stale=call[STALE], timeout_s=call.timeout_s)
    views, index = await call.within(call.service.jobs.versions(call[JOB], read))
    return json(views, headers={"x-orion-index": str(index)})


@routes.add(
    "PUT",
    "/jobs/{name}/count",
    "Have so many tasks; what is too many are those with the highest numbers",
    Scope.DEPLOY,
    params=(JOB, TIMEOUT),
    body=CountRequest,
    answer=JobView,
)
async def count(call: Call) -> Response:
    request = await call.body(CountRequest, COUNT_EXAMPLE)
    work = call.service.jobs.set_count(call[JOB], request.count, timeout_s=call.timeout_s)
    return _view(await call.within(work))


@routes.add(
    "POST",
    "/jobs/{name}/rollback",
    "Go back to the last version that was healthy, or to another that is kept",
    Scope.DEPLOY,
    params=(JOB, TO_VERSION, TIMEOUT),
    answer=JobView,
)
async def roll_back(call: Call) -> Response:
    return _view(
        await call.within(call.service.jobs.roll_back(call[JOB], call[TO_VERSION], timeout_s=call.timeout_s))
    )


@routes.add(
    "POST",
    "/jobs/{name}/restart",
    "Replace all tasks by new ones, as an update does",
    Scope.DEPLOY,
    params=(JOB, TIMEOUT),
    answer=JobView,
)
async def restart(call: Call) -> Response:
    return _view(await call.within(call.service.jobs.restart(call[JOB], timeout_s=call.timeout_s)))


@routes.add(
    "POST",
    "/jobs/{name}/promote",
    "Have the rest follow the canaries, or a paused deployment go on",
    Scope.DEPLOY,
    params=(JOB, TIMEOUT),
    answer=JobView,
)
async def promote(call: Call) -> Response:
    return _view(await call.within(call.service.jobs.promote(call[JOB], timeout_s=call.timeout_s)))


@routes.add(
    "POST",
    "/jobs/{name}/stop",
    "Stop a job and keep it, to be started again",
    Scope.DEPLOY,
    params=(JOB, TIMEOUT),
    answer=JobView,
)
async def stop(call: Call) -> Response:
    return _view(await call.within(call.service.jobs.stop(call[JOB], timeout_s=call.timeout_s)))


@routes.add(
    "POST",
    "/jobs/{name}/start",
    "Start a job that was stopped, or run again what has ended",
    Scope.DEPLOY,
    params=(JOB, TIMEOUT),
    answer=JobView,
)
async def start(call: Call) -> Response:
    return _view(await call.within(call.service.jobs.start(call[JOB], timeout_s=call.timeout_s)))


@routes.add(
    "DELETE",
    "/jobs/{name}",
    "Stop a job and forget it: it is gone once its last task has ended",
    Scope.DEPLOY,
    params=(JOB, TIMEOUT),
    answer=JobView,
    status=202,
)
async def delete(call: Call) -> Response:
    return json(await call.within(call.service.jobs.delete(call[JOB], timeout_s=call.timeout_s)), 202)


def _view(view: JobView, index: int | None = None) -> Response:
    headers = {"etag": f'"{view.version}"'}
    return json(view, headers=headers if index is None else {**headers, "x-orion-index": str(index)})
