"""/tasks: create, read, stop, start, delete."""

from urllib.parse import quote

from orion.api.endpoint import Routes, Scope
from orion.api.http.asgi import Response
from orion.api.http.lists import ListResponse
from orion.api.http.problems import json
from orion.api.http.request import Call
from orion.api.params import COUNT, ONCE_KEY, PAGE, READ, TASK_ID, TIMEOUT, Kind, header, path, query
from orion.model.api.tasks import TaskRequest, TaskView

EXAMPLE = '{"image": "nginx"}'
RUNNING_WAIT_S = 300.0  # `?wait=running` without a Request-Timeout: a large image takes minutes to pull

routes = Routes()


def _running(text: str) -> bool:
    if text != "running":
        raise ValueError('must be "running"')
    return True


TASK = path("id", TASK_ID.unchecked(), "`job/index`, or `job` alone for a job of one task")
AFTER = query("after", TASK_ID, "", "begin past the task with this id")
CREATED_INDEX = query("createdIndex", COUNT, 0, "only the task of this createdIndex, not another of its name")
WAIT_RUNNING = query(
    "wait",
    Kind(_running, type="string", enum=["running"]),
    False,
    f"answer when the task runs or has ended, at the latest after Request-Timeout ({RUNNING_WAIT_S:g} s)",
)
IDEMPOTENCY_KEY = header(
    "Idempotency-Key",
    ONCE_KEY,
    "",
    "a retry with the same key makes no second task: it is answered as the first try, a refusal too",
)


@routes.add(
    "POST",
    "/tasks",
    "Run a container: create a task",
    Scope.DEPLOY,
    params=(WAIT_RUNNING, IDEMPOTENCY_KEY, TIMEOUT),
    body=TaskRequest,
    answer=TaskView,
    status=201,
)
async def create(call: Call) -> Response:
    request = await call.body(TaskRequest, EXAMPLE)
    wait_s = (call[TIMEOUT] or RUNNING_WAIT_S) if call[WAIT_RUNNING] else 0.0
    work = call.service.create_task(
        request,
        idempotency_key=call[IDEMPOTENCY_KEY],
        timeout_s=call.timeout_s,
        wait_running_s=wait_s,
    )
    view = await (call.waiting(work, wait_s) if wait_s else call.within(work))
    return json(view, 201, {"location": f"/tasks/{quote(view.id)}"})


@routes.add("GET", "/tasks", "All tasks, by id", params=(AFTER, *PAGE), answer=list[TaskView])
async def listing(call: Call) -> ListResponse:
    return await call.listing(call.service.tasks, call[AFTER])


@routes.add("GET", "/tasks/{id}", "One task", params=(TASK, *READ), answer=TaskView)
async def get(call: Call) -> Response:
    view, index = await call.read(lambda read: call.service.task(call[TASK], read))
    return json(view, headers={"x-orion-index": str(index)})


@routes.add(
    "DELETE",
    "/tasks/{id}",
    "Stop a task and forget it: it is gone once its container has ended",
    Scope.DEPLOY,
    params=(TASK, CREATED_INDEX, TIMEOUT),
    answer=TaskView,
    status=202,
)
async def delete(call: Call) -> Response:
    work = call.service.delete_task(call[TASK], created_index=call[CREATED_INDEX], timeout_s=call.timeout_s)
    return json(await call.within(work), 202)


@routes.add(
    "POST",
    "/tasks/{id}/stop",
    "Stop a task and keep it, to be started again",
    Scope.DEPLOY,
    params=(TASK, TIMEOUT),
    answer=TaskView,
)
async def stop(call: Call) -> Response:
    return json(await call.within(call.service.stop_task(call[TASK], timeout_s=call.timeout_s)))


@routes.add(
    "POST",
    "/tasks/{id}/start",
    "Start a task that was stopped, or has ended",
    Scope.DEPLOY,
    params=(TASK, TIMEOUT),
    answer=TaskView,
)
async def start(call: Call) -> Response:
    return json(await call.within(call.service.start_task(call[TASK], timeout_s=call.timeout_s)))
