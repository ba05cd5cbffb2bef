"""Volumes with a size that is kept: a file with a file system in it, which one node at a time attaches as a loop
device. Their file is volumes/ID/data/image.
"""

import contextlib
import errno
import fcntl
import os
import struct
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from grpclib.const import Status

from orion.csi_dir import loops, mounts, programs
from orion.csi_dir.failed import Failed
from orion.wire.mountinfo import Mount

IMAGE = "image"
DEFAULT_FS = "ext4"
# How each is made, and how small it may be: with less, ext4 has no journal.
_MAKERS = {"ext4": ("mkfs.ext4", "-q", "-F", "-m", "0"), "xfs": ("mkfs.xfs", "-q", "-f")}
LEAST_BYTES = {"ext4": 16 << 20, "xfs": 300 << 20}
# Freed blocks go back to the disk. A clone of an XFS has the same UUID.
_OPTIONS = {"ext4": "discard,errors=remount-ro", "xfs": "discard,nouuid"}
_CHECKED = (0, 1)  # e2fsck: nothing was wrong, or is any more
_FREEZE, _THAW = 0xC0045877, 0xC0045878  # linux/fs.h
_EXT4_RESIZE = 0x40086610  # its argument: the size in blocks
_SUPERBLOCK_AT = _SUPERBLOCK_BYTES = 1024
DETACHED_S = 5.0  # the kernel ends a device a moment after its last user
UNLOCKED_S = 0.5  # and lets its file go a moment later


def known() -> list[str]:
    """Returns the file systems that can be made here."""
    return [name for name, words in _MAKERS.items() if programs.find(words[0])]


def make(image: Path, size_bytes: int, fs_type: str) -> None:
    """Makes a sparse file with a file system. Raises Failed, OSError."""
    descriptor = os.open(image, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(descriptor, size_bytes)
        programs.run(*_MAKERS[fs_type], str(image))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def resize(image: Path, size_bytes: int) -> None:
    """Has the file be so large; it never shrinks. Its file system grows where it is mounted."""
    if image.stat().st_size < size_bytes:
        os.truncate(image, size_bytes)
    flush(image)


def flush(image: Path) -> None:
    descriptor = os.open(image, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- on a node ----------------------------------------------------------------------------------------------


def is_of(mount: Mount, volume: str) -> bool:
    return loops.backing(mount.device).endswith(_ending(volume))


def mount(image: Path, volume: str, point: str, fs_type: str) -> None:
    """Mounts what is in the file, after what a crash left has been mended. Raises Failed, OSError."""
    with loops.attached(image, _ending(volume)) as (device, new):
        if new and fs_type == "ext4":
            _check(device)
            if ext4_bytes(device) < loops.grow(device):
                _check(device, "-f")  # resize2fs wants that
                programs.run("resize2fs", device)
        mounts.mount(device, point, fs_type, _OPTIONS[fs_type])
    with contextlib.suppress(OSError):  # it has files
        Path(point, "lost+found").rmdir()  # a program that wants an empty directory gets one


def _check(device: str, *options: str) -> None:
    programs.run("e2fsck", "-p", *options, device, well=_CHECKED, failed=Status.DATA_LOSS)


def grow(mount: Mount) -> None:
    """Has the mounted file system fill its file. Nothing changes where it does already. Raises Failed, OSError."""
    device = loops.path_of(f"loop{mount.device.partition(':')[2]}")
    size_bytes = loops.grow(device)
    if mount.fs_type == "xfs":
        programs.run("xfs_growfs", mount.point)
        return
    descriptor = os.open(mount.point, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        block = os.fstatvfs(descriptor).f_bsize
        if ext4_bytes(device) // block < size_bytes // block:
            fcntl.ioctl(descriptor, _EXT4_RESIZE, struct.pack("=Q", size_bytes // block))
    except PermissionError:
        words = "ext4 grows while it is mounted for a plugin with CAP_SYS_RESOURCE, else when it is staged again"
        raise Failed(Status.FAILED_PRECONDITION, words) from None
    finally:
        os.close(descriptor)


def ext4_bytes(device: str) -> int:
    """Returns the size of the file system as its superblock has it."""
    with Path(device).open("rb") as file:
        file.seek(_SUPERBLOCK_AT)
        raw = file.read(_SUPERBLOCK_BYTES)
    low, shift, high = (int.from_bytes(raw[at : at + 4], "little") for at in (0x4, 0x18, 0x150))
    return (high << 32 | low) * (1024 << shift)


def wait_detached(volume: str) -> None:
    """Returns when no device has the file any more. Raises Failed: another node may not have it before."""
    ends = time.monotonic() + DETACHED_S
    while (name := loops.of(_ending(volume))) is not None:
        if time.monotonic() > ends:
            raise Failed(Status.INTERNAL, f"its file system is still mounted somewhere on this node: /dev/{name}")
        time.sleep(0.02)


# --- copies -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def still(image: Path, volume: str) -> Iterator[None]:
    """Nothing is written to the file while this lasts: nobody can attach it, or its file system is frozen, with all
    that was written in the file. Raises Failed where another node has it, OSError.
    """
    descriptor = os.open(image, os.O_RDONLY | os.O_CLOEXEC)
    try:
        locked, here = _locked(descriptor, fcntl.LOCK_SH, volume)
        if locked:
            yield
        elif here is not None:
            with _frozen(here):
                yield
        else:
            raise Failed(
                Status.FAILED_PRECONDITION,
                "another node has the volume attached: it is copied there, or when no task has it",
            )
    finally:
        os.close(descriptor)


def unused(image: Path, volume: str) -> bool:
    """Returns whether the file is attached nowhere, and not copied."""
    descriptor = os.open(image, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _locked(descriptor, fcntl.LOCK_EX, volume)[0]
    finally:
        os.close(descriptor)


def _locked(descriptor: int, how: int, volume: str) -> tuple[bool, Mount | None]:
    """Returns whether the file is locked now, else where it is mounted here. A device of this node that is mounted
    nowhere here is about to end, as a process with an older copy of the mount table does: that is waited for.
    """
    began = time.monotonic()
    while True:
        device = loops.of(_ending(volume))  # looked for first: it may end meanwhile
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            here = next((each for each in mounts.table() if is_of(each, volume)), None)
            if here is not None or time.monotonic() - began > (DETACHED_S if device else UNLOCKED_S):
                return False, here
            time.sleep(0.02)
        else:
            return True, None


@contextlib.contextmanager
def _frozen(mount: Mount) -> Iterator[None]:
    descriptor = os.open(mount.point, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # It may have been unmounted since it was found: then the path leads to the machine's own disk.
        device = os.fstat(descriptor).st_dev
        if f"{os.major(device)}:{os.minor(device)}" != mount.device:
            raise Failed(Status.ABORTED, "the volume was detached meanwhile: it is copied when that is over")
        freeze(descriptor)
        try:
            yield
        except BaseException:
            thaw(descriptor)
            raise
        if not thaw(descriptor):
            raise Failed(Status.ABORTED, "somebody has thawed the volume while it was copied")
    finally:
        os.close(descriptor)


def freeze(descriptor: int) -> None:
    """Raises Failed where it is frozen already, OSError."""
    try:
        fcntl.ioctl(descriptor, _FREEZE, 0)
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise Failed(Status.ABORTED, "the volume is frozen by somebody else") from None
        raise


def thaw(descriptor: int) -> bool:
    """Returns whether it was frozen."""
    try:
        fcntl.ioctl(descriptor, _THAW, 0)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return False
        raise
    return True


def thaw_all(volumes: Iterable[str]) -> None:
    """Undoes what a process has left that was killed while it copied a volume."""
    endings = tuple(_ending(volume) for volume in volumes)
    for each in mounts.table() if endings else ():
        if loops.backing(each.device).endswith(endings):
            with contextlib.suppress(OSError):  # it is away, or covered by another one
                descriptor = os.open(each.point, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    thaw(descriptor)
                finally:
                    os.close(descriptor)


def _ending(volume: str) -> str:
    return f"/volumes/{volume}/data/{IMAGE}"
