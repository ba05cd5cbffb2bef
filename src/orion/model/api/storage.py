"""Volumes of storage systems, and their snapshots, in JSON."""

from typing import Annotated

import msgspec
from msgspec import Meta

from orion.model.api.fields import schema
from orion.model.csi import MAX_BYTES, MAX_ID_BYTES, AccessMode
from orion.model.secret_values import MAX_SECRETS
from orion.model.storage import MAX_FLAG, MAX_FLAGS, MAX_PAIRS
from orion.model.volumes import MAX_LABELS, MAX_TEXT, VOLUME_PATTERN

LOCAL = "local"  # a driver that is none: a directory of a node
MODES = [each.value for each in AccessMode]
_SOURCE = r"^((volume|snapshot):[A-Za-z0-9][A-Za-z0-9_.-]{0,70})?$"
_Bytes = Annotated[int, schema(minimum=0, maximum=MAX_BYTES)]
_Texts = dict[str, str]


class NewVolumeRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Body of `POST /volumes`."""

    name: Annotated[str, schema(pattern=VOLUME_PATTERN)]
    labels: Annotated[
        dict[str, Annotated[str, schema(maxLength=MAX_TEXT)]],
        Meta(
            description="Of your own.",
            max_length=MAX_LABELS,
            extra_json_schema={"propertyNames": {"maxLength": MAX_TEXT}},
        ),
    ] = {}
    driver: Annotated[
        str, Meta(description="The storage plugin that makes it; empty or local: a directory of a node.")
    ] = ""
    size_bytes: Annotated[_Bytes, Meta(description="At least so large; 0: as the plugin has it.")] = 0
    limit_bytes: Annotated[_Bytes, Meta(description="At most so large, whenever it grows; 0: no limit.")] = 0
    access: Annotated[str, schema("Who may use it at a time.", enum=MODES)] = MODES[0]
    block: Annotated[bool, Meta(description="A device, without a file system.")] = False
    fs_type: Annotated[str, schema("Its file system; empty: the plugin's choice.", maxLength=MAX_FLAG)] = ""
    mount_flags: Annotated[
        list[Annotated[str, schema(maxLength=MAX_FLAG)]],
        Meta(description="Of its mounts.", max_length=MAX_FLAGS),
    ] = []
    parameters: Annotated[_Texts, Meta(description="The plugin's own.", max_length=MAX_PAIRS)] = {}
    secrets: Annotated[
        _Texts, Meta(description="For the plugin. They are never shown again.", max_length=MAX_SECRETS)
    ] = {}
    source: Annotated[
        str, schema("What it begins with: volume:NAME or snapshot:NAME; empty: nothing.", pattern=_SOURCE)
    ] = ""
    id: Annotated[
        str,
        schema(
            "The plugin's own id of one that is there already. It is not deleted there when the volume is removed.",
            maxLength=MAX_ID_BYTES,
        ),
    ] = ""

    def __repr__(self) -> str:
        return f"NewVolumeRequest({self.name!r}, driver={self.driver!r}, <{len(self.secrets)} secrets>)"


class VolumeSizeRequest(
    msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """Body of `POST /volumes/{name}/expand`."""

    size_bytes: Annotated[int, schema("At least so large.", minimum=1, maximum=MAX_BYTES)]


class VolumeSnapshotRequest(
    msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """Body of `POST /volume-snapshots`."""

    volume: Annotated[str, schema("The volume that it is of.", pattern=VOLUME_PATTERN)]
    name: Annotated[str, schema("Its own name.", pattern=VOLUME_PATTERN)]


class VolumeClaimView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A node that has a volume, or is on its way to or from that."""

    node_id: str
    phase: Annotated[str, schema(enum=["publishing", "published", "releasing", "unpublishing"])]
    since: Annotated[str | None, Meta(description="RFC 3339, UTC.")]
    until: Annotated[
        str | None,
        Meta(description="Of a node that is down: when others may have it at the latest; null: once it says so."),
    ]
    read_only: bool
    stop_after_seconds: Annotated[
        float, Meta(description="So long after it has lost the cluster the node ends its tasks; 0: never.")
    ]
    why: Annotated[str, Meta(description="The last failure, or what it waits for.")]
    settled: Annotated[
        bool | None,
        Meta(
            description="All on the node is as its tasks need it: mounted, and as large as it is to be. Null: it"
            " does not have it yet, or was not asked."
        ),
    ] = None


class StorageView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A volume as its storage system has it."""

    access: Annotated[str, schema(enum=MODES)]
    size_bytes: Annotated[int, Meta(description="As it was asked for; 0: not.")]
    limit_bytes: int
    has_bytes: Annotated[int, Meta(description="As its plugin says; 0: it does not.")]
    grow_to_bytes: Annotated[int, Meta(description="What it is to have; 0: what it has.")]
    block: bool
    fs_type: str
    mount_flags: list[str]
    parameters: dict[str, str]
    secrets: Annotated[int, Meta(description="So many go with calls about it.")]
    source: str
    id: Annotated[str, Meta(description="The plugin's id for it; empty: not made yet.")]
    topologies: Annotated[list[dict[str, str]], Meta(description="From where it can be had; none: from anywhere.")]
    claims: list[VolumeClaimView]
    why: Annotated[str, Meta(description="Why it is not made, grown or removed yet.")]
    refused: Annotated[
        bool, Meta(description="As it is its plugin never makes it: tried again when that changes, or much later.")
    ] = False


class VolumeSnapshotView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A snapshot of a volume, in its storage system."""

    name: str
    volume: Annotated[str, Meta(description="The volume that it is of, by the name that it had.")]
    driver: str
    state: Annotated[str, schema(enum=["making", "ready", "removing"])]
    size_bytes: Annotated[int, Meta(description="Of a volume that begins with it; 0: not known.")]
    taken_at: Annotated[str | None, Meta(description="By the storage system's clock. RFC 3339, UTC.")]
    created_at: Annotated[str | None, Meta(description="RFC 3339, UTC.")]
    created_index: Annotated[int, Meta(description="Tells it from others of its name.")]
    id: Annotated[str, Meta(description="The plugin's id for it; empty: not made yet.")]
    why: Annotated[str, Meta(description="Why it is not made, or removed, yet.")]
    refused: Annotated[
        bool, Meta(description="As it is its plugin never takes it: tried again when that changes, or much later.")
    ] = False


def of_no_plugin(request: NewVolumeRequest) -> str:
    """The first field that only a storage plugin's volume has, of a request for a local one; "" for none."""
    plain = NewVolumeRequest(request.name, request.labels, request.driver)
    return next(
        (
            field.encode_name
            for field in msgspec.structs.fields(NewVolumeRequest)
            if getattr(request, field.name) != getattr(plain, field.name)
        ),
        "",
    )
