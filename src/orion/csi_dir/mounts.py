"""Mounts. A bind mount appears at its path with all of its options, in one step: a process that is killed never
leaves one that was to be read-only and is not. This needs Linux 5.12.
"""

import ctypes
import errno
import os
from pathlib import Path

from orion.wire.mountinfo import Mount, at, parse

# Numbers of system calls since Linux 5.2 are the same on all processors.
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_AT_FDCWD, _AT_EMPTY_PATH = -100, 0x1000
_CLONE, _CLOEXEC, _MOVE_EMPTY_PATH = 1, os.O_CLOEXEC, 4
_READONLY = 0x1
# Options of one mount, by the names that mount(8) has for them (linux/mount.h).
OPTIONS = {"ro": _READONLY, "nosuid": 0x2, "nodev": 0x4, "noexec": 0x8, "noatime": 0x10}

_libc = ctypes.CDLL(None, use_errno=True)


class _Attributes(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("namespace", ctypes.c_uint64),
    )


def table() -> list[Mount]:
    return parse(Path("/proc/self/mountinfo").read_bytes())


def mounted(point: str) -> Mount | None:
    """Returns the mount that is seen at this path. `os.path.ismount` is wrong for a bind mount inside one file
    system.
    """
    return next(reversed(at(table(), os.path.realpath(point))), None)


def bind(source: str, target: str, options: frozenset[str] = frozenset()) -> None:
    """Mounts the directory `source` at `target` too. Raises OSError."""
    tree = _syscall(_OPEN_TREE, _AT_FDCWD, os.fsencode(source), _CLONE | _CLOEXEC)
    try:
        attributes = _Attributes(sum(OPTIONS[option] for option in options), 0, 0, 0)
        if options:
            size = ctypes.sizeof(attributes)
            _syscall(_MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH, ctypes.byref(attributes), size)
        _syscall(_MOVE_MOUNT, tree, b"", _AT_FDCWD, os.fsencode(target), _MOVE_EMPTY_PATH)
    finally:
        os.close(tree)


def mount(device: str, target: str, fs_type: str, options: str) -> None:
    """Mounts the file system on `device`. Raises OSError."""
    if _libc.mount(os.fsencode(device), os.fsencode(target), fs_type.encode(), 0, options.encode()):
        number = ctypes.get_errno()
        raise OSError(number, f"{fs_type} of {device} can't be mounted: {os.strerror(number)}", target)


def unmount(point: str) -> None:
    """Takes away all mounts at this path, the ones underneath too. Raises OSError (EBUSY while one is in use)."""
    for _ in at(table(), os.path.realpath(point)):
        if _libc.umount2(os.fsencode(point), 0):
            number = ctypes.get_errno()
            if number not in (errno.EINVAL, errno.ENOENT):  # somebody else was faster
                raise OSError(number, os.strerror(number), point)


def _syscall(*arguments: object) -> int:
    # Each argument as wide as a register: a C int of -100 is another number there.
    wide = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    done = int(_libc.syscall(*wide))
    if done < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return done
