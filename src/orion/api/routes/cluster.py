"""/raft, /events, /metrics and the two health questions."""

import contextlib
import math
from collections.abc import AsyncGenerator, Iterable

import msgspec

from orion.api.http.asgi import Response
from orion.api.http.problems import json, problem
from orion.api.http.request import Call
from orion.api.http.stream import HEARTBEAT, PREAMBLE, Stream
from orion.api.params import AFTER, EVENTS_SINCE, EVENTS_TAIL, FOLLOW_EVENTS, LAST_EVENT_ID, SUBJECT
from orion.model.api.cluster import EventView, HealthView, TransferRequest
from orion.model.errors import Unavailable
from orion.model.events import Event, EventChoice
from orion.model.figures import Figure, Sample
from orion.model.times import rfc3339

EVENTS_PATIENCE_S = 0.2
# Events between were forgotten. An id of its own would not be one to resume from, so it has none.
_RESET = b"event: reset\ndata: {}\n\n"


async def raft(call: Call) -> Response:
    return json(await call.within(call.service.raft()))


async def transfer(call: Call) -> Response:
    request = await call.optional_body(TransferRequest, '{"to": "node2"}')
    return json(await call.within(call.service.transfer_leader(request.to, timeout_s=call.timeout_s)))


async def events(call: Call) -> Stream:
    after = call[LAST_EVENT_ID] or call[AFTER]
    chosen = EventChoice(call[EVENTS_SINCE], call[EVENTS_TAIL], call[SUBJECT])
    items = _server_sent(call.service.events(after, follow=call[FOLLOW_EVENTS], chosen=chosen))
    return Stream(
        call.limits,
        items,
        "text/event-stream",
        patience_s=EVENTS_PATIENCE_S,
        heartbeat=HEARTBEAT,
        ends_cleanly=True,
    )


async def _server_sent(events: AsyncGenerator[Event | None, None]) -> AsyncGenerator[bytes, None]:
    async with contextlib.aclosing(events):
        head = PREAMBLE
        async for event in events:
            yield head + (_RESET if event is None else _event_bytes(event))
            head = b""


def _event_bytes(event: Event) -> bytes:
    """JSON has no raw line ends, so one data line holds it. No `event:` field: browsers hand such to onmessage."""
    view = EventView(event.id, rfc3339(event.at_ms), event.kind, event.subject, event.text)
    return b"id: %s\ndata: %s\n\n" % (event.id.encode(), msgspec.json.encode(view))


async def alive(call: Call) -> Response:
    health = call.service.health()
    return json(HealthView(health.ready, health.detail))


async def ready(call: Call) -> Response:
    health = call.service.health()
    if not health.ready:
        return problem(Unavailable(health.detail))
    return json(HealthView(health.ready, health.detail))


async def metrics(call: Call) -> Response:
    return Response(
        metrics_text(call.service.metrics()).encode(), media_type="text/plain; version=0.0.4; charset=utf-8"
    )


def metrics_text(figures: Iterable[Figure]) -> str:
    """Prometheus text format 0.0.4."""
    lines = []
    for figure in figures:
        lines += [f"# HELP {figure.name} {figure.help}", f"# TYPE {figure.name} {figure.kind}"]
        lines += [f"{figure.name}{_labels(sample)} {_number(sample.value)}" for sample in figure.samples]
    return "".join(f"{line}\n" for line in lines)


def _labels(sample: Sample) -> str:
    named = ",".join(f'{name}="{_escaped(value)}"' for name, value in sample.labels)
    return f"{{{named}}}" if named else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    if math.isfinite(value):
        return str(int(value)) if value == int(value) else repr(float(value))
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
