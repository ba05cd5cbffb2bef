"""Events of a task's logs, in JSON."""

from base64 import b64encode
from typing import Annotated

import msgspec
from msgspec import Meta


class LogLineView(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A line with its end, or a part of a long one."""

    at: Annotated[str, Meta(description="RFC 3339, UTC, nanoseconds.")]
    stream: Annotated[str, Meta(description="stdout or stderr")]
    text: Annotated[str, Meta(description="Empty where base64 is not.")]
    base64: Annotated[str, Meta(description="Bytes that are no UTF-8.")] = ""


def line_of(at: str, stream: str, data: bytes) -> LogLineView:
    try:
        return LogLineView(at, stream, data.decode())
    except UnicodeDecodeError:
        return LogLineView(at, stream, "", b64encode(data).decode())


class LogsView(msgspec.Struct, frozen=True, rename="camel"):
    """Some output of one run of a task, as an event of `GET /tasks/{id}/logs`."""

    allocation: str
    node_id: str
    lines: list[LogLineView]


class TextView(msgspec.Struct, frozen=True, rename="camel"):
    """One sentence: what happened to the task meanwhile (event notice), or how it ended (event end)."""

    text: str
