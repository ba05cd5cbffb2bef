"""/watch: all that the cluster has, row by row as it changes."""

from orion.api.endpoint import Routes
from orion.api.http.events import event_stream
from orion.api.http.request import Call
from orion.api.http.stream import Stream
from orion.api.params import Kind, Param, header, query, text
from orion.model.api.watch import Noun
from orion.node.services.watch import WatchItem

PATIENCE_S = 1.0
ALL = tuple(Noun)

routes = Routes()


def _nouns(text: str) -> tuple[Noun, ...]:
    names = [name.strip() for name in text.split(",")]
    if not set(names) <= set(ALL) or len(set(names)) != len(names):
        raise ValueError(f"must be some of {', '.join(ALL)}, separated by commas, each once")
    return tuple(map(Noun, names))


def _accepts_gzip(text: str) -> bool:
    names = (part.partition(";") for part in text.split(","))
    return any(name.strip() == "gzip" and more.replace(" ", "") != "q=0" for name, _, more in names)


_ONE = f"({'|'.join(ALL)})"
NOUNS: Param[tuple[Noun, ...]] = query(
    "nouns",
    Kind(_nouns, **text(rf"^{_ONE}(,{_ONE})*$")),
    ALL,
    "only these, separated by commas",
)


ACCEPT_ENCODING = header(
    "Accept-Encoding",
    Kind(_accepts_gzip, type="string"),
    False,
    "gzip: a tenth of the bytes, for slow lines",
)


@routes.add(
    "GET",
    "/watch",
    "All that there is and whatever changes, as Server-Sent Events: rows (a RowsMessage), and current (a"
    " CurrentMessage) wherever what was sent is one state",
    params=(NOUNS, ACCEPT_ENCODING),
    media="text/event-stream",
    goes_on=True,
)
async def watch(call: Call) -> Stream:
    return event_stream(
        call.limits,
        call.service.watch(call[NOUNS]),
        _event,
        patience_s=PATIENCE_S,
        ends_cleanly=True,
        squeezed=call[ACCEPT_ENCODING],
    )


def _event(item: WatchItem) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (item.name.encode(), item.data)
