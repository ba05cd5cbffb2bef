"""Snapshots: copies of a volume as it is at that moment. What a program has half written is half written in the
copy too, as after a crash.
"""

from google.protobuf.timestamp_pb2 import Timestamp
from grpclib.const import Status

from orion.csi_dir import records
from orion.csi_dir.failed import Failed, require
from orion.csi_dir.records import SnapshotRecord
from orion.csi_dir.store import SNAPSHOT, VOLUME, Store, pages
from orion.wire.csi import csi_pb2


class Snapshots:
    _store: Store

    def CreateSnapshot(self, asked: csi_pb2.CreateSnapshotRequest) -> csi_pb2.CreateSnapshotResponse:
        require(asked.name, "name")
        require(asked.source_volume_id, "source_volume_id")
        if asked.parameters:
            raise Failed(Status.INVALID_ARGUMENT, f"parameter {min(asked.parameters)!r} is not known")
        with self._store.locked(SNAPSHOT, asked.name):
            found = self._store.snapshot(self._store.named(SNAPSHOT, asked.name))
            if found is None:
                found = self._taken(asked.name, asked.source_volume_id)
            elif found.volume != asked.source_volume_id:
                raise Failed(Status.ALREADY_EXISTS, f"snapshot {asked.name} is there, of volume {found.volume}")
        return csi_pb2.CreateSnapshotResponse(snapshot=_shown(found))

    def DeleteSnapshot(self, asked: csi_pb2.DeleteSnapshotRequest) -> csi_pb2.DeleteSnapshotResponse:
        require(asked.snapshot_id, "snapshot_id")
        with self._store.locked(SNAPSHOT, asked.snapshot_id):
            if self._store.snapshot(asked.snapshot_id) is not None:
                self._store.remove(SNAPSHOT, asked.snapshot_id)
        return csi_pb2.DeleteSnapshotResponse()

    def ListSnapshots(self, asked: csi_pb2.ListSnapshotsRequest) -> csi_pb2.ListSnapshotsResponse:
        every = (self._store.snapshot(each) for each in self._store.ids(SNAPSHOT))
        kept = {
            each.id: each
            for each in every
            if each is not None
            and asked.snapshot_id in ("", each.id)
            and asked.source_volume_id in ("", each.volume)
        }
        shown = list(pages(list(kept), asked.max_entries, asked.starting_token))
        more = shown and shown[-1] != next(reversed(kept))
        reply = csi_pb2.ListSnapshotsResponse
        return reply(
            entries=[reply.Entry(snapshot=_shown(kept[each])) for each in shown],
            next_token=shown[-1] if more else "",
        )

    def _taken(self, name: str, volume: str) -> SnapshotRecord:
        with self._store.locked(VOLUME, volume):
            found = self._store.volume(volume)
            if found is None:
                raise Failed(Status.NOT_FOUND, f"there is no volume {volume}")
            created_ms, size, fs_type = records.now_ms(), found.size_bytes, found.fs_type

            def record(of: str) -> SnapshotRecord:
                return SnapshotRecord(of, name, volume, size, created_ms, fs_type)

            self._store.make(SNAPSHOT, name, record, lambda data: self._store.copy_volume(volume, fs_type, data))
        taken = self._store.snapshot(self._store.named(SNAPSHOT, name))
        assert taken is not None, "it is locked"
        return taken


def _shown(record: SnapshotRecord) -> csi_pb2.Snapshot:
    return csi_pb2.Snapshot(
        snapshot_id=record.id,
        source_volume_id=record.volume,
        size_bytes=record.size_bytes,
        creation_time=Timestamp(seconds=record.created_ms // 1000, nanos=record.created_ms % 1000 * 1_000_000),
        ready_to_use=True,
    )
