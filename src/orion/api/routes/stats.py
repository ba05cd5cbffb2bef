"""GET /tasks/{id}/stats."""

import contextlib
import functools

import msgspec

from orion.api.endpoint import Routes
from orion.api.http.asgi import ASGIApp
from orion.api.http.events import event_stream
from orion.api.http.problems import json
from orion.api.http.request import Call
from orion.api.params import FLAG, TIMEOUT, query
from orion.api.routes.tasks import TASK
from orion.model.api.stats import StatsView
from orion.model.stats import ContainerStats
from orion.model.times import rfc3339

PATIENCE_S = 3.0
FOLLOW = query("follow", FLAG, False, "as Server-Sent Events, one every second or so, until its container ends")

routes = Routes()


@routes.add(
    "GET",
    "/tasks/{id}/stats",
    "What a task uses now. An engine takes a second or two to say",
    params=(TASK, FOLLOW, TIMEOUT),
    answer=StatsView,
    goes_on=True,
)
async def stats(call: Call) -> ASGIApp:
    readings = call.service.stats(call[TASK], follow=call[FOLLOW])
    if call[FOLLOW]:
        written = functools.partial(_event, call[TASK])
        return event_stream(call.limits, readings, written, patience_s=PATIENCE_S)
    async with contextlib.aclosing(readings):
        return json(_view(call[TASK], *await call.within(anext(readings))))


def _event(task: str, reading: tuple[str, str, ContainerStats]) -> bytes:
    return b"data: %s\n\n" % msgspec.json.encode(_view(task, *reading))


def _view(task: str, allocation: str, node: str, found: ContainerStats) -> StatsView:
    return StatsView(
        task=task,
        allocation=allocation,
        node_id=node,
        at=rfc3339(found.at_ms),
        cpu=found.cpu_millis / 1_000,
        memory=found.memory_bytes,
        memory_limit=found.memory_limit_bytes,
        received=found.received_bytes,
        sent=found.sent_bytes,
        read=found.read_bytes,
        written=found.written_bytes,
        pids=found.pids,
    )
