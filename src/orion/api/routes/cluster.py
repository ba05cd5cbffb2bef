"""/raft, /events, /metrics and the two health questions."""

import math
from collections.abc import Iterable

import msgspec

from orion.api.endpoint import Routes, Scope
from orion.api.http.asgi import Response
from orion.api.http.events import event_stream
from orion.api.http.problems import json, problem
from orion.api.http.request import Call
from orion.api.http.stream import Stream
from orion.api.params import FLAG, LINES, TIME, TIMEOUT, Kind, Param, header, query, text
from orion.model.api.cluster import EventView, HealthView, RaftView, TransferRequest
from orion.model.errors import Unavailable
from orion.model.events import Event, EventChoice, parse_event_id
from orion.model.figures import Figure, Sample
from orion.model.times import rfc3339

EVENTS_PATIENCE_S = 0.2
# Events between were forgotten. An id of its own would not be one to resume from, so it has none.
_RESET = b"event: reset\ndata: {}\n\n"


routes = Routes()


def _subjects(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise ValueError("must be names, separated by commas")
    return names


def _event_id(text: str) -> tuple[int, int]:
    event = _known_event_id(text)
    if event is None:
        raise ValueError("must be the id of an event, as in 120.0")
    return event


def _known_event_id(text: str) -> tuple[int, int] | None:
    """As a browser sends it back by itself; one of another server's making is as good as none."""
    return parse_event_id(text) if text.isascii() and len(text) <= 40 else None


_EVENT_ID = text(r"^[0-9]{1,19}\.[0-9]{1,19}$")
AFTER = query("after", Kind(_event_id, **_EVENT_ID), None, "begin just past this event; 0.0: at the first")
FOLLOW = query("follow", FLAG.by_default("true"), True, "0: end after those that are remembered")
SINCE = query("since", TIME, 0, "only from a time on, or how long ago: 10m")
TAIL = query("tail", LINES, None, "of what has happened already, only the last so many")
SUBJECT: Param[tuple[str, ...]] = query(
    "subject",
    Kind(_subjects, **text(r"^[^,\s]+(,[^,\s]+)*$")),
    (),
    "only what happened to these nodes, tasks, jobs or volumes: names, separated by commas",
)
LAST_ID = header(
    "Last-Event-ID",
    Kind(_known_event_id, **_EVENT_ID),
    None,
    "as after, sent by browsers by themselves",
    same_as=AFTER,
)


@routes.add("GET", "/raft", "Consensus as this node sees it", params=(TIMEOUT,), answer=RaftView)
async def raft(call: Call) -> Response:
    return json(await call.within(call.service.raft()))


@routes.add(
    "POST",
    "/raft/transfer",
    "Hand leadership to another voter",
    Scope.ADMIN,
    params=(TIMEOUT,),
    body=TransferRequest,
    body_required=False,
    answer=RaftView,
)
async def transfer(call: Call) -> Response:
    request = await call.optional_body(TransferRequest, '{"to": "node2"}')
    return json(await call.within(call.service.transfer_leader(request.to, timeout_s=call.timeout_s)))


@routes.add(
    "GET",
    "/events",
    "What happens, as Server-Sent Events; data is an EventView",
    params=(AFTER, FOLLOW, SINCE, TAIL, SUBJECT, LAST_ID),
    media="text/event-stream",
    goes_on=True,
)
async def events(call: Call) -> Stream:
    after = call[LAST_ID] or call[AFTER]
    chosen = EventChoice(call[SINCE], call[TAIL], call[SUBJECT])
    events = call.service.events(after, follow=call[FOLLOW], chosen=chosen)
    return event_stream(call.limits, events, _event_bytes, patience_s=EVENTS_PATIENCE_S, ends_cleanly=True)


def _event_bytes(event: Event | None) -> bytes:
    """JSON has no raw line ends, so one data line holds it. No `event:` field: browsers hand such to onmessage."""
    if event is None:
        return _RESET
    view = EventView(event.id, rfc3339(event.at_ms), event.kind, event.subject, event.text)
    return b"id: %s\ndata: %s\n\n" % (event.id.encode(), msgspec.json.encode(view))


@routes.add("GET", "/healthz", "Whether the process answers", answer=HealthView)
async def alive(call: Call) -> Response:
    health = call.service.health()
    return json(HealthView(health.ready, health.detail))


@routes.add("GET", "/readyz", "Whether it knows a leader and is up to date", answer=HealthView)
async def ready(call: Call) -> Response:
    health = call.service.health()
    if not health.ready:
        return problem(Unavailable(health.detail))
    return json(HealthView(health.ready, health.detail))


@routes.add("GET", "/metrics", "Measures for Prometheus", media="text/plain")
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
