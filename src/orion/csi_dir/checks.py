"""Arguments of calls, checked as the specification has it."""

from collections.abc import Iterable

from grpclib.const import Status

from orion.csi_dir.failed import Failed, require
from orion.csi_dir.mounts import OPTIONS
from orion.wire.csi.csi_pb2 import CapacityRange, VolumeCapability

Mode = VolumeCapability.AccessMode
READERS = (Mode.SINGLE_NODE_READER_ONLY, Mode.MULTI_NODE_READER_ONLY)
ONE_NODE = (
    Mode.SINGLE_NODE_WRITER,
    Mode.SINGLE_NODE_READER_ONLY,
    Mode.SINGLE_NODE_SINGLE_WRITER,
    Mode.SINGLE_NODE_MULTI_WRITER,
)
DEFAULT_BYTES = 1 << 30


def capability(asked: VolumeCapability, *, given: bool) -> None:
    """Raises Failed(INVALID_ARGUMENT) for what directories can't be."""
    if not given or not asked.WhichOneof("access_type"):
        raise Failed(Status.INVALID_ARGUMENT, "volume_capability is missing")
    fault = fault_of(asked)
    if fault:
        raise Failed(Status.INVALID_ARGUMENT, fault)


def capabilities(asked: Iterable[VolumeCapability]) -> None:
    each = list(asked)
    require(each, "volume_capabilities")
    for one in each:
        capability(one, given=True)


def fault_of(asked: VolumeCapability) -> str:
    """Returns why directories can't be used so, "" where they can."""
    if asked.HasField("block"):
        return "a directory is no block device: ask for a mount"
    if asked.access_mode.mode == Mode.UNKNOWN:
        return "access_mode is missing"
    if asked.access_mode.mode not in Mode.Mode.values():
        return f"access mode {asked.access_mode.mode} is not known here"
    if asked.mount.fs_type:
        return f"fs_type {asked.mount.fs_type!r}: a directory has the file system of the root, leave it out"
    if asked.mount.volume_mount_group:
        return "volume_mount_group is not supported"
    unknown = [flag for flag in asked.mount.mount_flags if flag not in OPTIONS]
    return f"mount flag {unknown[0]!r} is none of {', '.join(OPTIONS)}" if unknown else ""


def size_of(asked: CapacityRange) -> int:
    """Returns the size of a new volume in bytes."""
    required, limit = asked.required_bytes, asked.limit_bytes
    if required < 0 or limit < 0:
        raise Failed(Status.INVALID_ARGUMENT, "a size is negative")
    if limit and required > limit:
        raise Failed(Status.OUT_OF_RANGE, f"{required} bytes are required, and {limit} the limit")
    return required or min(DEFAULT_BYTES, limit or DEFAULT_BYTES)


def fits(size_bytes: int, asked: CapacityRange) -> bool:
    """Returns whether a volume that is there has a size as asked."""
    return size_bytes >= asked.required_bytes and (not asked.limit_bytes or size_bytes <= asked.limit_bytes)
