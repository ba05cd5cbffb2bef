"""Results of health checks, as the API shows them."""

from typing import Annotated

import msgspec
from msgspec import Meta


class CheckView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One result of a health check."""

    at: Annotated[str, Meta(description="When it began. RFC 3339, UTC, by the clock of the run's node.")]
    ok: bool
    seconds: Annotated[float, Meta(description="How long it took.")]
    output: Annotated[str, Meta(description="What it said, in one line of at most 200 characters.")] = ""


class RunChecksView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """The last results of the health check of one run of a task, as the run's node remembers them."""

    allocation: str
    node_id: str
    since: Annotated[
        str | None,
        Meta(description="The start of its node's program: what was before is forgotten. Null: it did not answer."),
    ]
    checks: Annotated[
        list[CheckView],
        Meta(
            description="Oldest first, ten at most: the last five and, of those before, changes and failures first."
        ),
    ]
    reason: Annotated[str, Meta(description="Why some or all are missing, for people.")] = ""
