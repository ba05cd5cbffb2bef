"""A machine of a cluster whose volumes are a storage system's: plugin, mounts, records and keeper beside the node,
and containers that write.
"""

from orion.model.errors import EngineError
from orion.ports.storage import StoragePorts
from sim.cluster import Machine
from sim.csi_plugin import Features
from sim.disk_array import DiskArray
from sim.engine import Held
from sim.keeper import MachineKeeper, SimKeeper
from sim.loop import Process
from sim.storage_host import StorageHost
from sim.storage_rules import StorageRules


class StoredMachine(StorageHost):
    """Fulfils cluster.MachineStorage."""

    def __init__(self, machine: Machine, array: DiskArray, rules: StorageRules, features: Features) -> None:
        super().__init__(machine.world, machine.name, array, lambda: machine.disk, features=features)
        self.rules = rules
        self.crash_in = 0  # calls and writes from now on, for a fault of that key
        self.crash_key = ""
        self.engine = engine = machine.engine
        self.keeper = MachineKeeper(machine.world, machine.name, engine, machine.clock)
        rules.watch(self)
        started = engine.on_start

        def on_start(process: Process, held: Held) -> None:
            started(process, held)
            if held.shown.id not in self.mounts.namespaces and (sources := self._sources(held)):
                rules.on_start(self.name, held.shown.id, sources)

        engine.on_start = on_start
        engine.on_end = lambda held: rules.on_end(self.name, held.shown.id)
        engine.may_start = self._may_start

    def ports(self, process: Process, run: int) -> StoragePorts:
        keeper = SimKeeper(self.keeper, process, self.world.rng("keeper of", self.name, run))
        return StoragePorts(
            self.plugins_of(process), self.mounts_of(process, run), self.records_of(process), keeper
        )

    def lose_power(self) -> None:
        super().lose_power()
        self.keeper.end()
        for held in self.engine.running():
            self.engine.end(held, 137, "")
        self.engine.remembers.clear()
        self.engine.outages += 1

    def calm(self) -> None:
        super().calm()
        self.keeper.deaf = False

    def wipe(self) -> None:
        self.lose_power()
        self.files.written.clear()
        self.files.durable.clear()
        self.mounts.directories.clear()

    def _sources(self, held: Held) -> list[tuple[str, bool]]:
        """The paths of volumes that a container has, each read-only or not."""
        inside = f"{self.directory}/"
        given = self.engine.mounts.get(held.shown.id, ())
        return [(each.source, each.read_only) for each in given if each.source.startswith(inside)]

    def _may_start(self, held: Held) -> None:
        for path, _ in self._sources(held):
            if path not in self.mounts.directories:
                raise EngineError(f"invalid mount config for type bind: bind source path does not exist: {path}")
