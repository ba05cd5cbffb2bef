"""/raft, /events, /metrics and the two health questions."""

import contextlib
import math
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime

import msgspec

from orion.api.http.asgi import Response
from orion.api.http.problems import json, problem
from orion.api.http.request import Call
from orion.api.http.stream import HEARTBEAT, PREAMBLE, Stream
from orion.api.params import AFTER, EVENTS_SINCE, EVENTS_TAIL, FOLLOW_EVENTS, LAST_EVENT_ID, SUBJECT
from orion.model.api.cluster import EventView, HealthView, TransferRequest
from orion.model.errors import Unavailable
from orion.model.events import Event, EventChoice

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


def rfc3339(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


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


def metrics_text(samples: Mapping[str, float]) -> str:
    """Prometheus text format 0.0.4: the samples of one family together, after its type."""
    families: dict[str, list[str]] = {}
    for sample, value in sorted(samples.items()):
        families.setdefault(sample.partition("{")[0], []).append(f"{sample} {_number(value)}\n")
    return "".join(
        f"# TYPE {family} {'counter' if family.endswith('_total') else 'gauge'}\n{''.join(lines)}"
        for family, lines in families.items()
    )


def _number(value: float) -> str:
    if math.isfinite(value):
        return str(int(value)) if value == int(value) else repr(float(value))
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
