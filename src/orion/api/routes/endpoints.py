"""/jobs/{name}/endpoints: where a job's tasks can be reached, for whoever stands in front of them."""

from orion.api.endpoint import Routes
from orion.api.http.events import event_stream
from orion.api.http.lists import ListResponse
from orion.api.http.request import Call
from orion.api.http.stream import Stream
from orion.api.params import FLAG, READ, Kind, header, path, query, text
from orion.api.routes.logs import accepts_events
from orion.model.api.endpoints import EndpointView
from orion.model.ids import JOB_NAME

PATIENCE_S = 1.0

routes = Routes()


def _job(text: str) -> str:
    if not JOB_NAME.fullmatch(text):
        raise ValueError("must be a job's name, as in web")
    return text


NAME = path("name", Kind(_job, **text(rf"^{JOB_NAME.pattern}$")), "a job's name")
ALL = query("all", FLAG, False, "those that run or are about to, ready or not")
ACCEPT_EVENTS = header(
    "Accept",
    Kind(accepts_events, type="string"),
    False,
    "text/event-stream: as Server-Sent Events; data is the whole list, now and whenever it is another",
)


@routes.add(
    "GET",
    "/jobs/{name}/endpoints",
    "Where a job's tasks can be reached: those that are ready, by task",
    params=(NAME, ALL, ACCEPT_EVENTS, *READ),
    answer=list[EndpointView],
)
async def endpoints(call: Call) -> ListResponse | Stream:
    service, job, everything = call.service.endpoints, call[NAME], call[ALL]
    if call[ACCEPT_EVENTS]:
        lists = service.watch(job, everything=everything)
        return event_stream(call.limits, lists, _event, patience_s=PATIENCE_S, ends_cleanly=True)
    listing = await call.read(lambda read: service.find(job, read, everything=everything))
    return ListResponse(call.limits, listing)


def _event(body: bytes) -> bytes:
    return b"data: %s\n\n" % body
