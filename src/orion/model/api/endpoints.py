"""Where a job's tasks can be reached, in JSON."""

from typing import Annotated

import msgspec
from msgspec import Meta


class EndpointView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One task of a job that runs, and where."""

    task: Annotated[str, Meta(description="`job/index`.")]
    node_id: str
    address: Annotated[str, Meta(description="The container's own, on its engine's network.")]
    ports: Annotated[dict[str, str], Meta(description='Of "80/tcp" the "host:port" that answers.')]
    version: Annotated[int, Meta(description="The job's, that it runs.")]
    ready: Annotated[bool, Meta(description="It is to be used.")]
    ready_since: Annotated[str | None, Meta(description="RFC 3339, UTC.")] = None
    allocation: Annotated[str, Meta(description="Its run; another one after it has moved.")] = ""
