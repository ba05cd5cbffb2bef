"""The CsiRecords port of one process, over files on a simulated disk: a killed process leaves what was written, a
loss of power what was synced and some of the rest.
"""

import random
from collections.abc import Callable

from orion.model.csi_node import KnownVolume
from orion.ports.csi_records import RecordsFailed
from sim.disk import Disk
from sim.loop import Process
from sim.mounts import HostMounts, aside

POINTS = ("before a record", "record written", "record synced", "record removed")


class RecordFiles:
    """By folder. `at_point` is told of one of POINTS before the next step: the machine may die there."""

    def __init__(self, rng: random.Random) -> None:
        self.written: dict[str, KnownVolume] = {}
        self.durable: dict[str, KnownVolume] = {}
        self.at_point: Callable[[str], None] = lambda _: None
        self.on_removed: Callable[[str], None] = lambda _: None
        self._rng = rng

    def sync(self, folder: str) -> None:
        if folder in self.written:
            self.durable[folder] = self.written[folder]
        else:
            self.durable.pop(folder, None)

    def lose_power(self) -> None:
        """The kernel may have written some of it by itself."""
        for folder in sorted({*self.written, *self.durable}):
            if self.written.get(folder) != self.durable.get(folder) and self._rng.random() < 0.5:
                self.sync(folder)
        self.written = dict(self.durable)


class SimRecords:
    """Fulfils ports.CsiRecords. `disk` says how slow it is, and what fails."""

    def __init__(
        self, directory: str, files: RecordFiles, host: HostMounts, disk: Callable[[], Disk], process: Process
    ) -> None:
        self.directory = directory
        self._files = files
        self._host = host
        self._disk = disk
        self._process = process

    async def load(self) -> dict[str, KnownVolume | None]:
        def look() -> dict[str, KnownVolume | None]:
            inside = f"{self.directory}/"
            names = {each.removeprefix(inside) for each in self._host.directories if each.startswith(inside)}
            folders = sorted({*self._files.written, *(name for name in names if "/" not in name)})
            return {folder: self._files.written.get(folder) for folder in folders}

        return await aside(self._process, [(self._ms(), look)])

    async def save(self, folder: str, known: KnownVolume) -> None:
        def write() -> None:
            if self._dies("before a record"):
                return
            self._require(self._disk().write_error)
            self._host.make_directory(f"{self.directory}/{folder}")
            self._files.written[folder] = known

        def sync() -> None:
            if self._dies("record written"):
                return
            self._require(self._disk().fsync_error)
            self._files.sync(folder)

        def answer() -> None:
            self._dies("record synced")

        await aside(self._process, [(self._ms(), write), (self._ms(fsync=True), sync), (self._ms(), answer)])

    async def forget(self, folder: str) -> None:
        def remove() -> None:
            self._require(self._disk().write_error)
            if self._files.written.pop(folder, None) is not None:
                self._files.on_removed(folder)
            path = f"{self.directory}/{folder}"
            for each in (f"{path}/staging", f"{path}/t", path):
                if not any(other.startswith(f"{each}/") for other in (*self._host.directories, *self._host.files)):
                    self._host.directories.pop(each, None)

        def sync() -> None:
            if self._dies("record removed"):
                return
            self._require(self._disk().fsync_error)
            self._files.sync(folder)

        await aside(self._process, [(self._ms(), remove), (self._ms(fsync=True), sync)])

    def _dies(self, point: str) -> bool:
        self._files.at_point(point)
        return not self._process.alive

    def _ms(self, *, fsync: bool = False) -> float:
        return self._disk().latency_ms(fsync=fsync)

    @staticmethod
    def _require(error: str) -> None:
        if error:
            raise RecordsFailed(f"can't write what is remembered of volumes: {error}")
