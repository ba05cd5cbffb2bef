"""/tasks: create, read, stop, start, delete."""

from urllib.parse import quote

from orion.api.http.asgi import Response
from orion.api.http.lists import ListResponse
from orion.api.http.problems import json
from orion.api.http.request import Call
from orion.api.params import (
    CREATED_INDEX,
    IDEMPOTENCY_KEY,
    RUNNING_WAIT_S,
    TASK,
    TASKS_AFTER,
    TIMEOUT,
    WAIT_RUNNING,
)
from orion.model.api.tasks import TaskRequest

EXAMPLE = '{"image": "nginx"}'


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


async def listing(call: Call) -> ListResponse:
    return await call.listing(call.service.tasks, call[TASKS_AFTER])


async def get(call: Call) -> Response:
    view, index = await call.read(lambda read: call.service.task(call[TASK], read))
    return json(view, headers={"x-orion-index": str(index)})


async def delete(call: Call) -> Response:
    work = call.service.delete_task(call[TASK], created_index=call[CREATED_INDEX], timeout_s=call.timeout_s)
    return json(await call.within(work), 202)


async def stop(call: Call) -> Response:
    return json(await call.within(call.service.stop_task(call[TASK], timeout_s=call.timeout_s)))


async def start(call: Call) -> Response:
    return json(await call.within(call.service.start_task(call[TASK], timeout_s=call.timeout_s)))
