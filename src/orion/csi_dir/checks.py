"""Arguments of calls, checked as the specification has it."""

from collections.abc import Iterable, Mapping

from grpclib.const import Status

from orion.csi_dir import images
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
NO_QUOTA, LOOP = "none", "loop"
QUOTAS = (NO_QUOTA, LOOP)


def capability(asked: VolumeCapability, *, given: bool) -> None:
    """Raises Failed(INVALID_ARGUMENT) for what no volume can be."""
    if not given or not asked.WhichOneof("access_type"):
        raise Failed(Status.INVALID_ARGUMENT, "volume_capability is missing")
    _require_none(fault_of(asked))


def capabilities(asked: Iterable[VolumeCapability]) -> None:
    each = list(asked)
    require(each, "volume_capabilities")
    for one in each:
        capability(one, given=True)


def usable(asked: Iterable[VolumeCapability], fs_type: str) -> None:
    """Raises Failed(INVALID_ARGUMENT) for what a volume with this file system of its own, "" for none, can't be."""
    for one in asked:
        _require_none(form_fault_of(one, fs_type))


def _require_none(fault: str) -> None:
    if fault:
        raise Failed(Status.INVALID_ARGUMENT, fault)


def form_fault_of(asked: VolumeCapability, fs_type: str) -> str:
    """Returns why a volume of this form can't be used so, "" where it can."""
    wanted = asked.mount.fs_type
    if not fs_type:
        words = "a directory has the file system of the root: leave it out, or ask for quota=loop"
        return f"fs_type {wanted!r}: {words}" if wanted else ""
    if wanted not in ("", fs_type):
        return f"fs_type {wanted!r}: the volume has {fs_type}"
    one = asked.access_mode.mode in ONE_NODE
    return "" if one else "a volume with quota=loop is mounted on one node at a time: ask for a SINGLE_NODE mode"


def new_fs_type(quota: str, asked: Iterable[VolumeCapability]) -> str:
    """Returns the file system of a new volume with this quota, "" for a directory. Raises Failed."""
    if quota == NO_QUOTA:
        return ""
    wanted = sorted({each.mount.fs_type for each in asked if each.mount.fs_type})
    if len(wanted) > 1:
        raise Failed(Status.INVALID_ARGUMENT, f"one fs_type will do, and not {' and '.join(wanted)}")
    fs_type = wanted[0] if wanted else images.DEFAULT_FS
    if fs_type not in (known := images.known()):
        raise Failed(Status.INVALID_ARGUMENT, f"fs_type {fs_type!r} is none that can be made here: {known}")
    return fs_type


def quota_of(parameters: Mapping[str, str], else_: str) -> str:
    """Returns how a volume's size is kept. Raises Failed for parameters that are none of this plugin's."""
    unknown = sorted(set(parameters) - {"quota"})
    if unknown:
        raise Failed(Status.INVALID_ARGUMENT, f"parameter {unknown[0]!r} is not known")
    quota = parameters.get("quota", else_)
    if quota not in QUOTAS:
        raise Failed(Status.INVALID_ARGUMENT, f"quota {quota!r} is none of {', '.join(QUOTAS)}")
    return quota


def kept_by(fs_type: str, parameters: Mapping[str, str]) -> bool:
    """Returns whether a volume with this file system of its own, "" for none, has its size kept as is asked for."""
    return dict(parameters) in ({}, {"quota": LOOP if fs_type else NO_QUOTA})


def fault_of(asked: VolumeCapability) -> str:
    """Returns why no volume can be used so, "" where one can."""
    if asked.HasField("block"):
        return "volumes are no block devices: ask for a mount"
    if asked.access_mode.mode == Mode.UNKNOWN:
        return "access_mode is missing"
    if asked.access_mode.mode not in Mode.Mode.values():
        return f"access mode {asked.access_mode.mode} is not known here"
    if asked.mount.volume_mount_group:
        return "volume_mount_group is not supported"
    unknown = [flag for flag in asked.mount.mount_flags if flag not in OPTIONS]
    return f"mount flag {unknown[0]!r} is none of {', '.join(OPTIONS)}" if unknown else ""


def size_of(asked: CapacityRange, least: int = 0) -> int:
    """Returns the size of a new volume in bytes, which is `least` or more."""
    required, limit = asked.required_bytes, asked.limit_bytes
    if required < 0 or limit < 0:
        raise Failed(Status.INVALID_ARGUMENT, "a size is negative")
    if limit and required > limit:
        raise Failed(Status.OUT_OF_RANGE, f"{required} bytes are required, and {limit} the limit")
    size = max(least, required or min(DEFAULT_BYTES, limit or DEFAULT_BYTES))
    if limit and size > limit:
        raise Failed(Status.OUT_OF_RANGE, f"{limit} bytes are the limit, and its file system needs {size}")
    return size


def fits(size_bytes: int, asked: CapacityRange) -> bool:
    """Returns whether a volume that is there has a size as asked."""
    return size_bytes >= asked.required_bytes and (not asked.limit_bytes or size_bytes <= asked.limit_bytes)
