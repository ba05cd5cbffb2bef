"""Volumes in JSON."""

from typing import Annotated

import msgspec
from msgspec import Meta

from orion.model.api.fields import schema
from orion.model.api.storage import StorageView
from orion.model.ids import NODE_ID
from orion.model.volumes import MAX_LABELS, MAX_TEXT, VolumeKind

_Text = Annotated[str, schema(maxLength=MAX_TEXT)]


class VolumeLabels(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Body of `PUT /volumes/{name}`."""

    labels: Annotated[
        dict[str, _Text],
        Meta(
            description="Of your own.",
            max_length=MAX_LABELS,
            extra_json_schema={"propertyNames": {"maxLength": MAX_TEXT}},
        ),
    ] = {}


class VolumeTarget(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Body of `POST /volumes/{name}/move`."""

    to: Annotated[
        str, schema("The node that it goes to; empty: one where its tasks fit.", pattern=rf"^({NODE_ID.pattern})?$")
    ] = ""
    cancel: Annotated[bool, Meta(description="Its move is called off: it stays where it is.")] = False


class VolumeSizeView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """The disk that a volume takes."""

    bytes: int
    files: int
    complete: Annotated[bool, Meta(description="False: it has so many files that not all were counted.")]


class VolumeMoveView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """How far its data is on its way to another node."""

    to: str
    copied_bytes: int
    total_bytes: Annotated[int, Meta(description="About; 0: not known yet.")]
    reason: Annotated[str, Meta(description="What it waits for; empty: it is being copied.")]


class VolumeView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A volume."""

    name: str
    kind: Annotated[str, schema(enum=[*VolumeKind])]
    node_id: Annotated[str | None, Meta(description="The node that has it; null: any may, at its first task.")]
    state: Annotated[
        str,
        schema(
            "`new`: without data yet; `ready`; `moving`; of a storage system also `making`, `growing`, `removing`.",
            enum=["new", "ready", "moving", "making", "growing", "removing"],
        ),
    ]
    used_by: Annotated[list[str], Meta(description="Jobs that ask for it, now or in a version that is kept.")]
    created_at: Annotated[str | None, Meta(description="RFC 3339, UTC.")]
    used_at: Annotated[str | None, Meta(description="When a task that has it was placed last. RFC 3339, UTC.")]
    in_use: Annotated[bool, Meta(description="A task that has it has not ended.")]
    labels: dict[str, str]
    slot: Annotated[int | None, Meta(description="Of one that was made for a slot of its job.")]
    driver: str
    created_index: Annotated[int, Meta(description="Tells it from others of its name.")]
    size: Annotated[
        VolumeSizeView | None, Meta(description="Where it was asked for, and its node has answered.")
    ] = None
    size_reason: Annotated[str, Meta(description="Why there is none.")] = ""
    move: VolumeMoveView | None = None
    storage: Annotated[StorageView | None, Meta(description="Of a storage system's.")] = None


class PrunedView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """Answer of `POST /volumes/prune`."""

    volumes: Annotated[list[str], Meta(description="Those that were removed.")]
    left: Annotated[dict[str, str], Meta(description="Those whose data is still on its node, and why.")]
