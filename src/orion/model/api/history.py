"""The history of a job in JSON."""

from typing import Annotated

import msgspec
from msgspec import Meta


class ChangeView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One change of a job that somebody asked for, and the job from then on."""

    index: Annotated[int, Meta(description="Of the log entry that made the change; grows from one to the next.")]
    at: Annotated[str | None, Meta(description="RFC 3339, UTC.")]
    change: Annotated[str, Meta(description="`created`, `stopped`, `started` or `removed`.")]
    created_index: Annotated[
        int, Meta(description="Of the job that was changed: another one of its name has another.")
    ]
    version: Annotated[int, Meta(description="How often the job's tasks were described anew since it was created.")]
    count: Annotated[int, Meta(description="Tasks.")]
    image: str
