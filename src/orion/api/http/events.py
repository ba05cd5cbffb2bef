"""Server-Sent Events (WHATWG HTML, section 9.2) as a response."""

import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import TypeVar

from orion.api.http.deadlines import Limits
from orion.api.http.stream import Stream

T = TypeVar("T")

MEDIA = "text/event-stream"
# Browsers try again after a second when the stream breaks off, and pass comments over.
PREAMBLE = b"retry: 1000\n\n"
HEARTBEAT = b": still here\n\n"


def event_stream(
    limits: Limits,
    items: AsyncGenerator[T, None],
    written: Callable[[T], bytes],
    *,
    patience_s: float,
    ends_cleanly: bool = False,
    squeezed: bool = False,
) -> Stream:
    """Each item as an event, as `written` has it. The rest is as of Stream."""
    return Stream(
        limits,
        _sent(items, written),
        MEDIA,
        patience_s=patience_s,
        heartbeat=HEARTBEAT,
        ends_cleanly=ends_cleanly,
        squeezed=squeezed,
    )


async def _sent(items: AsyncGenerator[T, None], written: Callable[[T], bytes]) -> AsyncGenerator[bytes, None]:
    async with contextlib.aclosing(items):
        head = PREAMBLE
        async for item in items:
            yield head + written(item)
            head = b""
