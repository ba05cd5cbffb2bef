"""Volumes of storage systems and their snapshots, as methods of the client."""

from collections.abc import Iterator

import msgspec

from orion.client.session import Session, new_key, path_of, stale_query
from orion.model.api.storage import (
    NewVolumeRequest,
    VolumeSizeRequest,
    VolumeSnapshotRequest,
    VolumeSnapshotView,
)
from orion.model.api.volumes import VolumeView

PAGE = 500


class Storage(Session):
    def make_volume(self, request: NewVolumeRequest, *, idempotency_key: str = "") -> VolumeView:
        """Asks for any volume. A storage system's is `making` until its plugin has made it. Raises Conflict when it
        is there with other terms.
        """
        body = msgspec.json.encode(request)
        return self._decoded(self._ask("POST", "/volumes", {}, _once(idempotency_key), body), VolumeView)

    def expand_volume(self, name: str, size_bytes: int, *, idempotency_key: str = "") -> VolumeView:
        """It is `growing` until its plugin has done so. Raises Conflict when it has more already."""
        body = msgspec.json.encode(VolumeSizeRequest(size_bytes))
        path = f"{path_of('/volumes', name)}/expand"
        return self._decoded(self._ask("POST", path, {}, _once(idempotency_key), body), VolumeView)

    def volume_snapshots(
        self, after: str = "", *, limit: int = PAGE, stale: bool = False
    ) -> Iterator[VolumeSnapshotView]:
        """All past the name `after`, by name, asked for so many at a time."""
        while True:
            query = {"limit": str(limit), **stale_query(stale)} | ({"after": after} if after else {})
            found = self._get("/volume-snapshots", list[VolumeSnapshotView], query)[0]
            yield from found
            if len(found) < limit:
                return
            after = found[-1].name

    def volume_snapshot(self, name: str, *, stale: bool = False) -> VolumeSnapshotView:
        return self._get(path_of("/volume-snapshots", name), VolumeSnapshotView, stale_query(stale))[0]

    def take_volume_snapshot(self, volume: str, name: str, *, idempotency_key: str = "") -> VolumeSnapshotView:
        """It is `making` until its plugin has taken it."""
        body = msgspec.json.encode(VolumeSnapshotRequest(volume, name))
        answer = self._ask("POST", "/volume-snapshots", {}, _once(idempotency_key), body)
        return self._decoded(answer, VolumeSnapshotView)

    def remove_volume_snapshot(self, name: str, *, force: bool = False, idempotency_key: str = "") -> None:
        """It is `removing` until its plugin has deleted it. `force`: it is forgotten, and may be there still."""
        query = {"force": "1"} if force else {}
        self._ask("DELETE", path_of("/volume-snapshots", name), query, _once(idempotency_key))


def _once(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key or new_key()}
