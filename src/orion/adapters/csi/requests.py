"""Orion's values as messages of CSI."""

from collections.abc import Sequence
from typing import cast

from orion.model.csi import Access, AccessMode, Context, SizeRange, Source, Topology
from orion.wire.csi import csi_pb2

# Both sides have the specification's names.
_MODES = {mode: csi_pb2.VolumeCapability.AccessMode.Mode.Value(mode.name) for mode in AccessMode}


def capability(access: Access) -> csi_pb2.VolumeCapability:
    mode = csi_pb2.VolumeCapability.AccessMode(
        mode=cast("csi_pb2.VolumeCapability.AccessMode.Mode", _MODES[access.mode])
    )
    if access.block:
        return csi_pb2.VolumeCapability(block=csi_pb2.VolumeCapability.BlockVolume(), access_mode=mode)
    mount = csi_pb2.VolumeCapability.MountVolume(
        fs_type=access.fs_type, mount_flags=access.mount_flags, volume_mount_group=access.group
    )
    return csi_pb2.VolumeCapability(mount=mount, access_mode=mode)


def capabilities(access: Sequence[Access]) -> list[csi_pb2.VolumeCapability]:
    return [capability(each) for each in access]


def size_range(size: SizeRange) -> csi_pb2.CapacityRange | None:
    """Returns None for no bounds: CSI wants one of them in a range that is there."""
    if not size.required_bytes and not size.limit_bytes:
        return None
    return csi_pb2.CapacityRange(required_bytes=size.required_bytes, limit_bytes=size.limit_bytes)


def source(of: Source | None) -> csi_pb2.VolumeContentSource | None:
    if of is None:
        return None
    kinds = csi_pb2.VolumeContentSource
    if of.snapshot:
        return kinds(snapshot=kinds.SnapshotSource(snapshot_id=of.snapshot))
    return kinds(volume=kinds.VolumeSource(volume_id=of.volume))


def topology(segments: Topology) -> csi_pb2.Topology:
    return csi_pb2.Topology(segments=segments)


def requirement(required: Sequence[Topology], preferred: Sequence[Topology]) -> csi_pb2.TopologyRequirement | None:
    if not required and not preferred:
        return None
    return csi_pb2.TopologyRequirement(
        requisite=[topology(each) for each in required], preferred=[topology(each) for each in preferred]
    )


def context(given: Context | None) -> Context:
    return given or {}
