"""The storage systems of a FakeService: what is asked of them is done the next time that somebody looks."""

from msgspec.structs import replace

from orion.model.api.storage import StorageView, VolumeSnapshotView
from orion.model.api.storage_codec import part_of
from orion.model.errors import Conflict, NotFound

_MADE_AT = "2025-01-01T00:00:00Z"


def storage_view(**more):
    view = StorageView(
        access="single-node-writer",
        size_bytes=0,
        limit_bytes=0,
        has_bytes=0,
        grow_to_bytes=0,
        block=False,
        fs_type="",
        mount_flags=[],
        parameters={},
        secrets=0,
        source="",
        id="",
        topologies=[],
        claims=[],
        why="",
    )
    return replace(view, **more)


class FakeStorage:
    def __init__(self, volumes):
        self._volumes = volumes
        self.requests = []
        self.kept = {}
        self.stays = self.refuses = False
        self.gives_bytes = 0

    async def create(self, request, *, idempotency_key, timeout_s):
        self.requests.append(request)
        if request.driver in ("", "local"):
            return await self._volumes.create(request.name, request.labels, idempotency_key="", timeout_s=timeout_s)
        part_of(request)
        if request.name in self._volumes.volumes:
            raise Conflict(f"a volume {request.name} is there already, with other terms (size)")
        shown = storage_view(size_bytes=request.size_bytes, why="it has no room", secrets=len(request.secrets))
        shown = replace(shown, refused=self.refuses, has_bytes=request.size_bytes or self.gives_bytes)
        state = "removing" if self.stays else "making"
        self._volumes.add(request.name, kind="csi", driver=request.driver, state=state, storage=shown)
        return self._volumes.volumes[request.name]

    async def expand(self, name, size_bytes, *, idempotency_key, timeout_s):
        found = await self._volumes.get(name)
        grown = replace(found.storage, size_bytes=size_bytes)
        self._volumes.volumes[name] = replace(found, state="growing", storage=grown)
        return self._volumes.volumes[name]

    async def snapshots(self, after, limit, _read):
        return [self.kept[name] for name in sorted(self.kept) if name > after][:limit]

    async def snapshot(self, name, _read=None):
        if name not in self.kept:
            raise NotFound(f"there is no snapshot {name}; orion volume snapshots lists them")
        found = self.kept[name]
        self.kept[name] = replace(found, state="ready")
        return found

    async def take(self, volume, name, *, idempotency_key, timeout_s):
        await self._volumes.get(volume)
        if name in self.kept:
            return self.kept[name]
        self.kept[name] = VolumeSnapshotView(name, volume, "dir", "making", 5_000, _MADE_AT, _MADE_AT, 9, "id", "")
        return self.kept[name]

    async def remove_snapshot(self, name, *, force, idempotency_key, timeout_s):
        await self.snapshot(name)
        del self.kept[name]
