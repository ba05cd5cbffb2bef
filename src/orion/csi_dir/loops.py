"""Loop devices: a file as a block device. Each goes with its last user (LO_FLAGS_AUTOCLEAR), so neither a process
that is killed nor an unmount leaves one, and nobody has to look for any after a boot.

The device has the file's flock as long as it is there: whoever else wants the file, on a file system that knows the
locks of other nodes also from there, sees that it is in use. This needs Linux 5.8.
"""

import contextlib
import errno
import fcntl
import os
import stat
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from grpclib.const import Status

from orion.csi_dir.failed import Failed

_MAJOR = 7
_GET_FREE, _CONFIGURE, _SET_CAPACITY = 0x4C82, 0x4C0A, 0x4C07  # linux/loop.h
_SIZE = 0x80081272  # BLKGETSIZE64, linux/fs.h
_AUTOCLEAR = 4
# struct loop_config: the file, the size of a block (0: the kernel's choice), loop_info64 with its flags, nothing.
_CONFIG = struct.Struct("=2I 5Q 3I I 64s 64s 32s 2Q 8Q")
_TRIES = 32  # others take free devices too
_SYS, _DEV = Path("/sys/block"), Path("/dev")


def backing(device: str) -> str:
    """Returns the file behind the device 7:3, "" where that is no loop device or has none."""
    if not device.startswith(f"{_MAJOR}:"):
        return ""
    return _backing_of(f"loop{device.partition(':')[2]}")


def of(ending: str) -> str | None:
    """Returns the name of the device whose file's path ends so, as loop3. A process in a container is shown another
    path of the same file.
    """
    names = (each.name for each in _SYS.iterdir() if each.name.startswith("loop"))
    return next((name for name in names if _backing_of(name).endswith(ending)), None)


@contextlib.contextmanager
def attached(file: Path, ending: str) -> Iterator[tuple[str, bool]]:
    """The path of a device with this file, and whether it is there only now. It lasts at least as long as this,
    and afterwards as long as it is mounted. Two devices of one file would each have a cache of their own, so
    there is one. Raises Failed(FAILED_PRECONDITION) while somebody else has the file, OSError.
    """
    for _ in range(_TRIES):
        name = of(ending)
        device = _held(name, ending) if name else _new(file)
        if device is not None:
            path, descriptor = device
            try:
                yield path, name is None
            finally:
                os.close(descriptor)
            return
    raise Failed(Status.UNAVAILABLE, f"no loop device is free for {file.parent.parent.name}")


def grow(path: str) -> int:
    """Has the device see that its file is larger. Returns its size in bytes."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, _SET_CAPACITY)
        return int.from_bytes(fcntl.ioctl(descriptor, _SIZE, bytes(8)), sys.byteorder)
    finally:
        os.close(descriptor)


def path_of(name: str) -> str:
    """Returns the device's path. It is made where /dev is not the kernel's own, as in a container."""
    path = _DEV / name
    if not path.exists():
        with contextlib.suppress(FileExistsError):
            os.mknod(path, stat.S_IFBLK | 0o600, os.makedev(_MAJOR, int(name.removeprefix("loop"))))
    return str(path)


def _held(name: str, ending: str) -> tuple[str, int] | None:
    """Returns the device, which goes no more; None if it has gone meanwhile."""
    path = path_of(name)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    if _backing_of(name).endswith(ending):
        return path, descriptor
    os.close(descriptor)
    return None


def _new(file: Path) -> tuple[str, int] | None:
    """Returns a new device, None where somebody was faster."""
    with contextlib.ExitStack() as stack:
        image = _opened(stack, str(file), os.O_RDWR)
        try:
            fcntl.flock(image, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failed(Status.FAILED_PRECONDITION, "its file is in use: attached elsewhere, or copied") from None
        control = _opened(stack, str(_DEV / "loop-control"), os.O_RDWR)
        path = path_of(f"loop{fcntl.ioctl(control, _GET_FREE)}")
        writable = _opened(stack, path, os.O_RDWR)  # else the device would be read-only
        name = file.parent.parent.name.encode()
        try:
            fcntl.ioctl(
                writable,
                _CONFIGURE,
                _CONFIG.pack(image, *[0] * 9, _AUTOCLEAR, name, b"", b"", *[0] * 10),
            )
        except OSError as error:
            if error.errno == errno.EBUSY:
                return None
            raise
        return path, os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _opened(stack: contextlib.ExitStack, path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    stack.callback(os.close, descriptor)
    return descriptor


def _backing_of(name: str) -> str:
    try:
        return (_SYS / name / "loop" / "backing_file").read_text(errors="surrogateescape").rstrip("\n")
    except OSError:  # it has none, or has gone meanwhile
        return ""
