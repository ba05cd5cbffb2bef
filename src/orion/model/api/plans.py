"""A plan in JSON: what a job that is asked for would change."""

from typing import Annotated

import msgspec
from msgspec import Meta

from orion.model.api.fields import schema


class FieldChange(msgspec.Struct, frozen=True, rename="camel"):
    """A field that would have another value."""

    field: Annotated[str, Meta(description="Its name, and below it those of its parts, as in env.DEBUG.")]
    old: Annotated[str, Meta(description="As JSON, cut where it is long; empty: none.")]
    new: str


class PlanView(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The changes that a job that is asked for would make, if nothing else changes and all that starts works."""

    job: str
    kind: Annotated[str, schema(enum=["create", "update", "scale", "settings", "unchanged"])]
    version: Annotated[int | None, Meta(description="The job's present one; null: there is none.")]
    changes: list[FieldChange]
    order: Annotated[
        str, Meta(description="How former tasks are replaced: start-first or stop-first; empty: none is.")
    ]
    order_reason: Annotated[str, Meta(description="Why so, for people.")]
    starts: Annotated[int, Meta(description="Tasks that are started.")]
    start_nodes: Annotated[dict[str, int], Meta(description="Of these so many on each node, as it looks now.")]
    stops: Annotated[int, Meta(description="Runs that are told to end.")]
    waits: Annotated[int, Meta(description="Tasks that would find no place.")]
    ends: Annotated[
        str,
        schema(
            "done: all of it comes to run; held: its canaries wait to be promoted, or it waits for other jobs; "
            "stuck: it would wait for room; "
            "unknown: it is too large to be followed to its end.",
            enum=["done", "held", "stuck", "unknown"],
        ),
    ]
    reason: Annotated[str, Meta(description="Why it does not come to its end, for people.")]
    warnings: list[str]
    token: Annotated[str, Meta(description="For `PUT /jobs/{name}?plan=`: refused once this plan does not hold.")]
