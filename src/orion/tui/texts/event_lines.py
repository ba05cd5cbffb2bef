"""Events in lines."""

import re
from datetime import datetime

from orion.model.api.cluster import EventView
from orion.tui.lines import Line, Part, plain

_BAD = re.compile(r"(Failed|Down|Lost|Dead|Died|Refused|Unhealthy|Stuck|Broke|Missed)")
_GOOD = re.compile(r"(Up|Ready|Running|Joined|Healthy|Done|Completed|Returned|Elected)$")
FORGOTTEN = plain("some events between are forgotten", "warn")


def event_line(event: EventView | None, *, exact: bool = False) -> Line:
    """Returns the event with its time on this machine; `exact`: in UTC, to the millisecond."""
    if event is None:
        return FORGOTTEN
    at = event.at if exact else f"{datetime.fromisoformat(event.at).astimezone():%Y-%m-%d %H:%M:%S}"
    look = "bad" if _BAD.search(event.kind) else "good" if _GOOD.search(event.kind) else ""
    return Part(f"{at}  ", "dim"), Part(event.text, look)
