"""Fulfils ports.Machine on Linux, from /proc and the control groups this process is in."""

import logging
import os
import secrets
import socket
from pathlib import Path

from orion.model.resources import MIB, Resources
from orion.ports.machine import Usage

log = logging.getLogger(__name__)

# Left to the system, this node and the container engine, out of what is detected.
RESERVED_CPU_MILLIS = 100
RESERVED_MEMORY_SHARE = 0.1
RESERVED_MEMORY_MIN_BYTES = 128 * MIB
RESERVED_MEMORY_MAX_BYTES = 1024 * MIB
RESERVED_DISK_SHARE = 0.1

_UNLIMITED_BYTES = 1 << 62  # version 1 groups say "no limit" with a number about this large
_IDLE_COLUMNS = (3, 4)  # of the cpu line in /proc/stat: idle, iowait
_CPU_COLUMNS = 8  # guest time, in the columns after, is counted in user time already


class LinuxMachine:
    def __init__(self, root: Path = Path("/")) -> None:
        """`root` is the directory that holds /proc and /sys."""
        self._root = root
        self._busy, self._total = self._cpu_times()
        self._last = Usage(0.0, self._memory_in_use())
        self._unread = False

    def usage(self) -> Usage:
        """Returns the whole machine's use: cores busy on average since the last call, and memory in use. Returns
        the last known use when /proc can't be read, as when this process has no file descriptor left.
        """
        try:
            self._last = self._usage()
        except (OSError, ValueError, KeyError) as error:
            if not self._unread:
                log.warning("can't read what this machine has in use, so the last of it stands: %s", error)
            self._unread = True
        else:
            self._unread = False
        return self._last

    def interfaces(self) -> list[str]:
        try:
            return [name for _, name in socket.if_nameindex()]
        except OSError as error:
            log.debug("can't read which network interfaces this machine has: %s", error)
            return []

    def random_bits(self, bits: int) -> int:
        return secrets.randbits(bits)

    def capacity(self, data_dir: Path) -> Resources:
        """Returns the resources that the scheduler may give away: all that this process may use, less the reserve.
        Disk is in whole hundredths of the file system, so that a node has the same capacity after a restart though
        a little less is free.
        """
        disk = os.statvfs(data_dir)
        memory = self.memory_bytes()
        reserved = min(
            RESERVED_MEMORY_MAX_BYTES, max(RESERVED_MEMORY_MIN_BYTES, int(memory * RESERVED_MEMORY_SHARE))
        )
        return Resources(
            cpu_millis=max(0, self.cpu_millis() - RESERVED_CPU_MILLIS),
            memory_bytes=max(0, memory - reserved),
            disk_bytes=whole_hundredths(
                int(disk.f_bavail * disk.f_frsize * (1 - RESERVED_DISK_SHARE)), disk.f_blocks * disk.f_frsize
            ),
        )

    def cpu_millis(self) -> int:
        """Returns the cpu that this process may use, by its affinity and its control groups' quotas."""
        quotas = [quota for group in self._groups("cpu") if (quota := _quota_millis(group)) is not None]
        return min([len(os.sched_getaffinity(0)) * 1000, *quotas])

    def memory_bytes(self) -> int:
        """Returns the memory that this process may use: the machine's, or a control group's limit."""
        files = [g / name for g in self._groups("memory") for name in ("memory.max", "memory.limit_in_bytes")]
        limits = [limit for file in files if (limit := _number(file)) and limit < _UNLIMITED_BYTES]
        return min([self._memory()["MemTotal"], *limits])

    # --- inside -------------------------------------------------------------------------------------------

    def _usage(self) -> Usage:
        busy, total = self._cpu_times()
        share = (busy - self._busy) / max(1, total - self._total)
        self._busy, self._total = busy, total
        return Usage(max(0.0, share) * (os.cpu_count() or 1), self._memory_in_use())

    def _cpu_times(self) -> tuple[int, int]:
        """Returns busy and total ticks of all cores since boot."""
        line = (self._root / "proc/stat").read_text(encoding="ascii").partition("\n")[0]
        ticks = [int(column) for column in line.split()[1 : _CPU_COLUMNS + 1]]
        total = sum(ticks)
        return total - sum(ticks[column] for column in _IDLE_COLUMNS), total

    def _memory(self) -> dict[str, int]:
        """Returns /proc/meminfo in bytes."""
        lines = (self._root / "proc/meminfo").read_text(encoding="ascii").splitlines()
        fields = (line.split() for line in lines)
        return {name.rstrip(":"): int(kilobytes) * 1024 for name, kilobytes, *_ in fields}

    def _memory_in_use(self) -> int:
        memory = self._memory()
        return memory["MemTotal"] - memory["MemAvailable"]

    def _groups(self, controller: str) -> list[Path]:
        """Returns the directories of this process's group for `controller` and of all groups above it, in both
        versions of control groups.
        """
        groups: list[Path] = []
        mounts = self._root / "sys/fs/cgroup"
        for line in (self._root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            mount = mounts / controller if controllers else mounts
            group = mount / path.lstrip("/")
            groups += [g for g in (group, *group.parents) if g.is_relative_to(mount)]
        return groups


def whole_hundredths(part: int, total: int) -> int:
    """Returns `part` rounded down to whole hundredths of `total`."""
    step = max(1, total // 100)
    return part // step * step


def _quota_millis(group: Path) -> int | None:
    """Returns a group's cpu quota, None when it has none. Version 2 writes "max 100000" or "150000 100000"; version
    1 has a file for each number, with -1 for no limit.
    """
    try:
        quota, period = (group / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        quota, period = str(_number(group / "cpu.cfs_quota_us")), str(_number(group / "cpu.cfs_period_us"))
    if not quota.isdigit() or not period.isdigit() or int(period) == 0:
        return None
    return int(quota) * 1000 // int(period)


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
