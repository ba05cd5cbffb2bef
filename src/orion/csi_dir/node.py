"""The service Node: mounts of volumes' files, and bind mounts of their directories. Only what the controller has
published to it is staged.
"""

import contextlib
import errno
import os
from pathlib import Path

from grpclib.const import Status

from orion.csi_dir import checks, images, mounts
from orion.csi_dir.checks import Mode
from orion.csi_dir.controller import POOL
from orion.csi_dir.failed import Failed, require
from orion.csi_dir.locks import Locks
from orion.csi_dir.records import NodeRecord, VolumeRecord
from orion.csi_dir.store import VOLUME, Store
from orion.wire.csi import csi_pb2
from orion.wire.mountinfo import Mount

_TYPES = csi_pb2.NodeServiceCapability.RPC
_FEATURES = (
    _TYPES.STAGE_UNSTAGE_VOLUME,
    _TYPES.GET_VOLUME_STATS,
    _TYPES.EXPAND_VOLUME,
    _TYPES.SINGLE_NODE_MULTI_WRITER,
)


class Node:
    """Methods have the specification's names, and raise Failed."""

    def __init__(self, store: Store, node: NodeRecord, pool: str) -> None:
        self._store = store
        self._node = node
        self._pool = pool
        self._locks = Locks()  # other nodes may stage the same volume meanwhile
        store.register(node)

    def NodeGetCapabilities(self, asked: csi_pb2.NodeGetCapabilitiesRequest) -> csi_pb2.NodeGetCapabilitiesResponse:
        found = [csi_pb2.NodeServiceCapability(rpc=_TYPES(type=each)) for each in _FEATURES]
        return csi_pb2.NodeGetCapabilitiesResponse(capabilities=found)

    def NodeGetInfo(self, asked: csi_pb2.NodeGetInfoRequest) -> csi_pb2.NodeGetInfoResponse:
        return csi_pb2.NodeGetInfoResponse(
            node_id=self._node.id,
            max_volumes_per_node=self._node.max_volumes,
            accessible_topology=csi_pb2.Topology(segments={POOL: self._pool}),
        )

    def NodeStageVolume(self, asked: csi_pb2.NodeStageVolumeRequest) -> csi_pb2.NodeStageVolumeResponse:
        require(asked.volume_id, "volume_id")
        require(asked.staging_target_path, "staging_target_path")
        checks.capability(asked.volume_capability, given=asked.HasField("volume_capability"))
        with self._locks.held(asked.volume_id):
            found = self._require_published(asked.volume_id, asked.volume_capability.access_mode.mode)
            checks.usable([asked.volume_capability], found.fs_type)
            staging = _absolute(asked.staging_target_path)
            there = mounts.mounted(staging)
            if there is None:
                Path(staging).mkdir(mode=0o700, parents=True, exist_ok=True)
                self._mount(found, staging)
            elif not _is_of(there, asked.volume_id):
                raise Failed(Status.ALREADY_EXISTS, f"something else is mounted at {staging}")
            if found.fs_type and (there := mounts.mounted(staging)) is not None:
                with contextlib.suppress(Failed):  # it grows at the next stage
                    images.grow(there)
        return csi_pb2.NodeStageVolumeResponse()

    def NodeUnstageVolume(self, asked: csi_pb2.NodeUnstageVolumeRequest) -> csi_pb2.NodeUnstageVolumeResponse:
        require(asked.volume_id, "volume_id")
        require(asked.staging_target_path, "staging_target_path")
        with self._locks.held(asked.volume_id):
            self._unmount(asked.volume_id, _absolute(asked.staging_target_path))
            self._detach(asked.volume_id)
        return csi_pb2.NodeUnstageVolumeResponse()

    def NodePublishVolume(self, asked: csi_pb2.NodePublishVolumeRequest) -> csi_pb2.NodePublishVolumeResponse:
        require(asked.volume_id, "volume_id")
        require(asked.target_path, "target_path")
        checks.capability(asked.volume_capability, given=asked.HasField("volume_capability"))
        if not asked.staging_target_path:
            raise Failed(Status.FAILED_PRECONDITION, "staging_target_path is missing")
        with self._locks.held(asked.volume_id):
            self._publish(asked, _absolute(asked.staging_target_path), _absolute(asked.target_path))
        return csi_pb2.NodePublishVolumeResponse()

    def NodeUnpublishVolume(self, asked: csi_pb2.NodeUnpublishVolumeRequest) -> csi_pb2.NodeUnpublishVolumeResponse:
        require(asked.volume_id, "volume_id")
        require(asked.target_path, "target_path")
        with self._locks.held(asked.volume_id):
            target = _absolute(asked.target_path)
            self._unmount(asked.volume_id, target)
            try:
                Path(target).rmdir()
            except FileNotFoundError:
                pass
            except OSError as error:
                raise Failed(Status.INTERNAL, f"{target} can't be removed: {error.strerror}") from None
        return csi_pb2.NodeUnpublishVolumeResponse()

    def NodeGetVolumeStats(self, asked: csi_pb2.NodeGetVolumeStatsRequest) -> csi_pb2.NodeGetVolumeStatsResponse:
        require(asked.volume_id, "volume_id")
        require(asked.volume_path, "volume_path")
        there = mounts.mounted(asked.volume_path)
        if there is None or not _is_of(there, asked.volume_id):
            raise Failed(Status.NOT_FOUND, f"volume {asked.volume_id} is not at {asked.volume_path}")
        disk, usage = os.statvfs(asked.volume_path), csi_pb2.VolumeUsage
        figures = (
            (
                usage.BYTES,
                disk.f_blocks * disk.f_frsize,
                disk.f_bfree * disk.f_frsize,
                disk.f_bavail * disk.f_frsize,
            ),
            (usage.INODES, disk.f_files, disk.f_ffree, disk.f_favail),
        )
        return csi_pb2.NodeGetVolumeStatsResponse(
            usage=[
                usage(unit=unit, total=total, used=total - free, available=available)
                for unit, total, free, available in figures
            ]
        )

    def NodeExpandVolume(self, asked: csi_pb2.NodeExpandVolumeRequest) -> csi_pb2.NodeExpandVolumeResponse:
        """The size is the record's: the controller has been asked for it before."""
        require(asked.volume_id, "volume_id")
        require(asked.volume_path, "volume_path")
        with self._locks.held(asked.volume_id):
            found = self._store.volume(asked.volume_id)
            if found is None:
                raise Failed(Status.NOT_FOUND, f"there is no volume {asked.volume_id}")
            if not checks.fits(found.size_bytes, asked.capacity_range):
                raise Failed(Status.OUT_OF_RANGE, f"the volume has {found.size_bytes} bytes")
            there = mounts.mounted(asked.volume_path)
            if there is None or not _is_of(there, asked.volume_id):
                raise Failed(Status.NOT_FOUND, f"volume {asked.volume_id} is not at {asked.volume_path}")
            if found.fs_type:
                images.grow(_writable(asked.volume_id, there))
        return csi_pb2.NodeExpandVolumeResponse(capacity_bytes=found.size_bytes)

    # --- inside -------------------------------------------------------------------------------------------

    def _publish(self, asked: csi_pb2.NodePublishVolumeRequest, staging: str, target: str) -> None:
        mode = asked.volume_capability.access_mode.mode
        checks.usable([asked.volume_capability], self._require_published(asked.volume_id, mode).fs_type)
        staged, there = mounts.mounted(staging), mounts.mounted(target)
        if staged is None or not _is_of(staged, asked.volume_id):
            raise Failed(Status.FAILED_PRECONDITION, f"the volume is not staged at {staging}")
        readonly = asked.readonly or mode in checks.READERS
        options = frozenset(asked.volume_capability.mount.mount_flags) | ({"ro"} if readonly else set())
        if there is not None:
            if not _is_of(there, asked.volume_id) or there.readonly != ("ro" in options):
                raise Failed(Status.ALREADY_EXISTS, f"something else is mounted at {target}")
            return
        if mode == Mode.SINGLE_NODE_SINGLE_WRITER and _others(asked.volume_id, staging, target):
            raise Failed(Status.FAILED_PRECONDITION, "the volume is published here already, to its one writer")
        with contextlib.suppress(FileExistsError):
            Path(target).mkdir(mode=0o755)
        mounts.bind(staging, target, options)

    def _require_published(self, volume: str, mode: Mode.Mode) -> VolumeRecord:
        found = self._store.volume(volume)
        if found is None:
            raise Failed(Status.NOT_FOUND, f"there is no volume {volume}")
        mine = found.nodes.get(self._node.id)
        if mine is None:
            raise Failed(Status.FAILED_PRECONDITION, f"volume {found.name} is not published to {self._node.id}")
        if mine.readonly and mode not in checks.READERS:
            raise Failed(Status.FAILED_PRECONDITION, f"volume {found.name} is published to readers here")
        return found

    def _mount(self, volume: VolumeRecord, staging: str) -> None:
        if volume.fs_type:
            images.mount(self._store.image(volume.id), volume.id, staging, volume.fs_type)
        else:
            mounts.bind(str(self._store.data(VOLUME, volume.id)), staging)

    def _detach(self, volume: str) -> None:
        """Another node may attach the file afterwards: all that was written is in it."""
        images.wait_detached(volume)
        found = self._store.volume(volume)
        if found is not None and found.fs_type:
            images.flush(self._store.image(volume))

    def _unmount(self, volume: str, point: str) -> None:
        there = mounts.mounted(point)
        if there is None:
            return
        if not _is_of(there, volume):
            raise Failed(Status.INTERNAL, f"something else is mounted at {point}, and is left there")
        try:
            mounts.unmount(point)
        except OSError as error:
            busy = "is in use" if error.errno == errno.EBUSY else error.strerror
            raise Failed(Status.INTERNAL, f"{point} {busy}") from None


def _absolute(path: str) -> str:
    if not path.startswith("/") or "\0" in path:
        raise Failed(Status.INVALID_ARGUMENT, f"{path!r} is no absolute path")
    return os.path.normpath(path)


def _is_of(mount: Mount, volume: str) -> bool:
    """The kernel says which directory of its file system a bind mount shows, and which file is mounted."""
    return mount.root.endswith(f"/{VOLUME}/{volume}/data") or images.is_of(mount, volume)


def _writable(volume: str, mount: Mount) -> Mount:
    """Returns a mount of the same file system that may be written to, if there is one: only such a one can grow."""
    every = [each for each in mounts.table() if each.device == mount.device and _is_of(each, volume)]
    return next((each for each in every if not each.readonly and each.root == "/"), mount)


def _others(volume: str, staging: str, target: str) -> list[Mount]:
    mine = {os.path.realpath(staging), os.path.realpath(target)}
    return [each for each in mounts.table() if _is_of(each, volume) and each.point not in mine]
