"""A machine's part in the storage of a cluster: its plugin, what it has mounted, what it remembers of that, and
which containers have it. It outlives the node's processes.
"""

from collections.abc import Callable

from sim.csi import SimCsiPlugins
from sim.csi_plugin import Features, SimPlugin
from sim.csi_records import RecordFiles, SimRecords
from sim.disk import Disk
from sim.disk_array import DiskArray
from sim.loop import Process
from sim.mounts import HostMounts, SimMounts
from sim.world import World

ALL_FEATURES = Features()
PLUGIN_AFTER_MS = (50, 4_000)  # from power on to the plugin


class StorageHost:
    """`directory`: where its node keeps volumes. `disk`: of the machine, which may be another one later."""

    def __init__(
        self,
        world: World,
        name: str,
        array: DiskArray,
        disk: Callable[[], Disk],
        *,
        features: Features = ALL_FEATURES,
    ) -> None:
        self.world = world
        self.name = name
        self.array = array
        self.directory = f"/sim/{name}/csi"
        self.mounts = HostMounts(array)
        self.files = RecordFiles(world.rng("csi records", name))
        self.plugin = SimPlugin(world, name, array, self.mounts, features=features)
        self._disk = disk
        self._rng = world.rng("storage host", name)
        self._powered = True

    def plugins_of(self, process: Process) -> SimCsiPlugins:
        return SimCsiPlugins(self.plugin, process)

    def mounts_of(self, process: Process, run: int) -> SimMounts:
        return SimMounts(self.mounts, process, self.world.rng("mounts", self.name, run))

    def records_of(self, process: Process) -> SimRecords:
        return SimRecords(self.directory, self.files, self.mounts, self._disk, process)

    def lose_power(self) -> None:
        self._powered = False
        self.plugin.end()
        self.mounts.lose_power()
        self.files.lose_power()

    def power_on(self) -> None:
        """The plugin comes back some time after."""
        if not self._powered:
            self._powered = True
            self.world.after(self._rng.uniform(*PLUGIN_AFTER_MS), self._start_plugin, self.mounts.boots)

    def _start_plugin(self, boot: int) -> None:
        if self._powered and self.mounts.boots == boot:
            self.plugin.start()

    def calm(self) -> None:
        """Nothing goes wrong any more, and the plugin is one that takes what a former one refused."""
        self.plugin.rate, self.plugin.slowness = 0.0, 1.0
        self.mounts.busy.clear()
        if self.plugin.up:
            self.plugin.restart(500, newer=True)
        else:
            self.world.after(500, self.plugin.start)
