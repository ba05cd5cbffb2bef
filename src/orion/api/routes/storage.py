"""/volumes and /volume-snapshots: what storage systems do for them."""

from orion.api.endpoint import Routes, Scope
from orion.api.http.asgi import Response
from orion.api.http.problems import json
from orion.api.http.request import Call
from orion.api.params import FLAG, STALE, TIMEOUT, Kind, path, query, text
from orion.api.routes.volumes import AFTER, IDEMPOTENCY_KEY, LIMIT, NAME, volume_name
from orion.model.api.storage import NewVolumeRequest, VolumeSizeRequest, VolumeSnapshotRequest, VolumeSnapshotView
from orion.model.api.volumes import VolumeView
from orion.model.csi import MAX_BYTES
from orion.model.errors import FieldError, Invalid
from orion.model.volumes import VOLUME_PATTERN
from orion.node.rpc.reads import Read

routes = Routes()

SNAPSHOT = path("name", Kind(volume_name, **text(VOLUME_PATTERN)), "the snapshot")
FORCE = query("force", FLAG, False, "forget it without asking its plugin: it may be there still")


@routes.add(
    "POST",
    "/volumes",
    "Make a volume: on a node, or in a storage system, whose plugin is asked until it is there",
    Scope.DEPLOY,
    params=(IDEMPOTENCY_KEY, TIMEOUT),
    body=NewVolumeRequest,
    answer=VolumeView,
    status=201,
)
async def create(call: Call) -> Response:
    asked = await call.body(NewVolumeRequest, '{"name": "data", "driver": "dir.csi.orion.dev"}')
    work = call.service.storage.create(asked, idempotency_key=call[IDEMPOTENCY_KEY], timeout_s=call.timeout_s)
    return json(await call.within(work), 201)


@routes.add(
    "POST",
    "/volumes/{name}/expand",
    "Have a volume of a storage system grow",
    Scope.DEPLOY,
    params=(NAME, IDEMPOTENCY_KEY, TIMEOUT),
    body=VolumeSizeRequest,
    answer=VolumeView,
)
async def expand(call: Call) -> Response:
    asked = await call.body(VolumeSizeRequest, '{"sizeBytes": 10000000000}')
    if not 1 <= asked.size_bytes <= MAX_BYTES:
        raise Invalid([FieldError("/sizeBytes", f"sizeBytes must be from 1 to {MAX_BYTES}")])
    work = call.service.storage.expand(
        call[NAME], asked.size_bytes, idempotency_key=call[IDEMPOTENCY_KEY], timeout_s=call.timeout_s
    )
    return json(await call.within(work))


@routes.add(
    "GET",
    "/volume-snapshots",
    "Snapshots of volumes, by name",
    params=(AFTER, LIMIT, STALE, TIMEOUT),
    answer=list[VolumeSnapshotView],
)
async def snapshots(call: Call) -> Response:
    return json(await call.within(call.service.storage.snapshots(call[AFTER], call[LIMIT], _read(call))))


@routes.add(
    "POST",
    "/volume-snapshots",
    "Have a storage system keep what is in a volume now",
    Scope.DEPLOY,
    params=(IDEMPOTENCY_KEY, TIMEOUT),
    body=VolumeSnapshotRequest,
    answer=VolumeSnapshotView,
    status=201,
)
async def take(call: Call) -> Response:
    asked = await call.body(VolumeSnapshotRequest, '{"volume": "data", "name": "data-monday"}')
    work = call.service.storage.take(
        asked.volume, asked.name, idempotency_key=call[IDEMPOTENCY_KEY], timeout_s=call.timeout_s
    )
    return json(await call.within(work), 201)


@routes.add(
    "GET",
    "/volume-snapshots/{name}",
    "A snapshot of a volume",
    params=(SNAPSHOT, STALE, TIMEOUT),
    answer=VolumeSnapshotView,
)
async def snapshot(call: Call) -> Response:
    return json(await call.within(call.service.storage.snapshot(call[SNAPSHOT], _read(call))))


@routes.add(
    "DELETE",
    "/volume-snapshots/{name}",
    "Remove a snapshot of a volume",
    Scope.DEPLOY,
    params=(SNAPSHOT, FORCE, IDEMPOTENCY_KEY, TIMEOUT),
    status=204,
)
async def remove_snapshot(call: Call) -> Response:
    work = call.service.storage.remove_snapshot(
        call[SNAPSHOT], force=call[FORCE], idempotency_key=call[IDEMPOTENCY_KEY], timeout_s=call.timeout_s
    )
    await call.within(work)
    return Response(status=204)


def _read(call: Call) -> Read:
    return Read(stale=call[STALE], timeout_s=call.timeout_s)
