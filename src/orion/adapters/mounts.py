"""Fulfils ports.Mounts on Linux. A plugin's file system may hang, so nothing here is done on the event loop, and
every wait has a deadline: a thread that hangs is left behind.
"""

import asyncio
import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from orion.ports.mounts import MountFailed
from orion.wire.mountinfo import at, below, parse

T = TypeVar("T")

WITHIN_S = 30.0
_TABLE = Path("/proc/self/mountinfo")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MNT_DETACH, _UMOUNT_NOFOLLOW = 2, 8  # linux/fs.h
_MOST_FILES = 10_000  # that are looked at for devices


class LinuxMounts:
    def __init__(self) -> None:
        self._boot_id = ""

    async def points_below(self, directory: str) -> list[str]:
        return await _aside(f"look for mounts below {directory}", lambda: _points_below(directory))

    async def unmount(self, point: str, *, lazy: bool = False) -> None:
        await _aside(f"unmount {point}", lambda: _unmount(point, lazy=lazy))

    async def make_directory(self, path: str) -> None:
        await _aside(f"make {path}", lambda: Path(path).mkdir(mode=0o700, parents=True, exist_ok=True))

    async def remove_directory(self, path: str) -> None:
        await _aside(f"remove {path}", lambda: _remove_directory(path))

    def boot_id(self) -> str:
        if not self._boot_id:
            self._boot_id = _BOOT_ID.read_text("ascii").strip()
        return self._boot_id


async def _aside(doing: str, work: Callable[[], T]) -> T:
    try:
        async with asyncio.timeout(WITHIN_S):
            return await asyncio.to_thread(work)
    except TimeoutError:
        raise MountFailed(
            f"this machine's kernel did not {doing} within {WITHIN_S:g} s: its storage hangs"
        ) from None
    except OSError as error:
        busy = error.errno == errno.EBUSY
        todo = ": end what uses it" if busy else ""
        raise MountFailed(f"this machine could not {doing}: {error.strerror or error}{todo}", busy=busy) from None


def _points_below(directory: str) -> list[str]:
    """A directory that is a mount itself is read through: only what is mounted in it counts."""
    real = os.path.realpath(directory)
    points = [mount.point for mount in below(parse(_TABLE.read_bytes()), real)]
    found = dict.fromkeys([*points, *_devices(real, frozenset(points))])
    return [directory.rstrip("/") + point[len(real) :] for point in found]


def _devices(directory: str, mounted: frozenset[str]) -> list[str]:
    """Returns block devices' files. Never looks into what is mounted: that is users' data."""
    found: list[str] = []
    seen = 0
    for folder, folders, files in os.walk(directory):
        folders[:] = [each for each in folders if os.path.join(folder, each) not in mounted]  # noqa: PTH118 -- many
        paths = (os.path.join(folder, each) for each in files)  # noqa: PTH118
        found += [path for path in paths if path not in mounted and stat.S_ISBLK(os.lstat(path).st_mode)]
        seen += len(folders) + len(files)
        if seen > _MOST_FILES:
            break
    return found


def _unmount(point: str, *, lazy: bool) -> None:
    """A path may be mounted over several times. Symbolic links are not followed."""
    # Loaded with the first mount that has to go: half a megabyte.
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    flags = _UMOUNT_NOFOLLOW | (_MNT_DETACH if lazy else 0)
    parent, name = os.path.split(point)
    for _ in at(parse(_TABLE.read_bytes()), str(Path(os.path.realpath(parent), name))):
        if libc.umount2(os.fsencode(point), flags):
            number = ctypes.get_errno()
            if number not in (errno.EINVAL, errno.ENOENT):  # another one was faster
                raise OSError(number, os.strerror(number))
    file = Path(point)
    if file.exists() and stat.S_ISBLK(file.lstat().st_mode):
        file.unlink()


def _remove_directory(path: str) -> None:
    try:
        Path(path).rmdir()
    except FileNotFoundError:
        pass
    except NotADirectoryError:
        if Path(path).lstat().st_size == 0:  # the place of a block volume's device
            Path(path).unlink()
