"""A storage system that all machines share, and its plugin's controller part on each of them. It refuses before its
work or after it, answers too late, and works on when nobody waits any more; one call at a time for a volume.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from orion.model import csi
from orion.model.csi import ControllerFeature, FailureKind, NewVolume, PluginFeature, PluginInfo, SizeRange
from orion.model.secret_values import NO_SECRETS, SecretValues
from orion.ports.csi import CsiFailed
from sim.world import World

T = TypeVar("T")

DRIVER = "sim.csi"
SOCKET = "/run/sim-csi.sock"
FEATURES = frozenset(
    {
        ControllerFeature.CREATE_DELETE_VOLUME,
        ControllerFeature.CREATE_DELETE_SNAPSHOT,
        ControllerFeature.CLONE_VOLUME,
        ControllerFeature.EXPAND_VOLUME,
    }
)
SIZE = 1_000
PASSING = (FailureKind.RETRY, FailureKind.PENDING, FailureKind.EXHAUSTED, FailureKind.LIE, FailureKind.DENIED)
LATE_S = 6.0


class Thing:
    """A volume or a snapshot there. `orphan`: nobody asked for it any more when it was made."""

    def __init__(self, name: str, size: int, source: object, *, orphan: bool) -> None:
        self.name = name
        self.size = size
        self.source = source
        self.orphan = orphan


class StorageSystem:
    """`is_wanted`: whether the cluster has, at this moment, a row by this name of the system's."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.calm = False  # nothing fails any more
        self.volumes: dict[str, Thing] = {}
        self.snapshots: dict[str, Thing] = {}
        self.is_wanted: Callable[[str], bool] = lambda _: True
        self.rng = world.rng("storage system")
        self._working: set[str] = set()
        self._made = 0

    async def call(self, what: str, about: str, work: Callable[[], T]) -> T:
        """Does it, or not, and fails, or not."""
        rng = self.rng
        await asyncio.sleep(rng.expovariate(1 / 0.02))
        luck = 1.0 if self.calm else rng.random()
        if about in self._working:
            raise failure(what, FailureKind.PENDING)
        if luck < 0.1:
            self.world.count("storage: refused before the work")
            raise failure(what, rng.choice(PASSING))
        if luck < 0.15:
            self.world.count("storage: work after the deadline")
            self._working.add(about)
            self.world.after(rng.uniform(100, LATE_S * 1_000), self._late, about, work)
            await asyncio.sleep(rng.uniform(0.0, 2.0))
            raise failure(what, FailureKind.RETRY)
        done = work()
        await asyncio.sleep(rng.expovariate(1 / 0.02))
        if luck < 0.3:
            self.world.count("storage: failed after the work")
            raise failure(what, rng.choice(PASSING))
        return done

    def _late(self, about: str, work: Callable[[], object]) -> None:
        self._working.discard(about)
        try:
            work()
        except CsiFailed:
            self.world.count("storage: late work was void")

    def make(self, kept: dict[str, Thing], name: str, size: int, source: object) -> str:
        """Returns its id."""
        for each, thing in kept.items():
            if thing.name == name:
                if thing.source != source:
                    raise failure(f"create {name}", FailureKind.CONFLICT)
                return each
        self._made += 1
        made = f"{'v' if kept is self.volumes else 's'}{self._made}"
        kept[made] = Thing(name, size, source, orphan=not self.is_wanted(name))
        self.world.count(f"storage: {'orphan' if kept[made].orphan else 'volume'} made")
        return made

    def size_of(self, source: csi.Source | None) -> int:
        if source is None:
            return 0
        kept, of = (self.snapshots, source.snapshot) if source.snapshot else (self.volumes, source.volume)
        if of not in kept:
            raise failure(f"copy {of}", FailureKind.NOT_FOUND)
        return kept[of].size


def failure(what: str, kind: FailureKind) -> CsiFailed:
    return CsiFailed(f"the simulated plugin refused to {what}", kind)


class SimPlugins:
    """Fulfils ports.CsiPlugins."""

    def __init__(self, system: StorageSystem) -> None:
        self._system = system

    async def open(self, socket: str) -> Any:
        return SimPlugin(self._system, socket)


class SimPlugin:
    """Fulfils ports.CsiPlugin without a node part."""

    def __init__(self, system: StorageSystem, socket: str) -> None:
        self.socket = socket
        self._system = system

    async def close(self) -> None:
        pass

    async def info(self) -> PluginInfo:
        return PluginInfo(DRIVER, "1")

    async def probe(self) -> bool:
        return True

    async def features(self) -> frozenset[PluginFeature]:
        return frozenset({PluginFeature.CONTROLLER, PluginFeature.ONLINE})

    async def controller_features(self) -> frozenset[ControllerFeature]:
        return FEATURES

    async def node_features(self) -> None:
        raise failure("have a node part", FailureKind.UNIMPLEMENTED)

    async def create_volume(self, new: NewVolume, secrets: SecretValues = NO_SECRETS) -> csi.Volume:
        system = self._system
        source = (new.source.volume, new.source.snapshot) if new.source is not None else None

        def work() -> csi.Volume:
            size = max(new.size.required_bytes, SIZE)
            known = next((each for each in system.volumes.values() if each.name == new.name), None)
            if known is None and size < system.size_of(new.source):
                raise failure(f"make {new.name} so small", FailureKind.OUT_OF_RANGE)
            made = system.make(system.volumes, new.name, size, source)
            return csi.Volume(made, system.volumes[made].size)

        return await system.call("create", new.name, work)

    async def delete_volume(self, volume: str, secrets: SecretValues = NO_SECRETS) -> None:
        await self._system.call("delete", volume, lambda: self._system.volumes.pop(volume, None))

    async def expand_volume(
        self, volume: str, size: SizeRange, access: object = None, secrets: SecretValues = NO_SECRETS
    ) -> csi.Expansion:
        def work() -> csi.Expansion:
            found = self._system.volumes.get(volume)
            if found is None:
                raise failure(f"expand {volume}", FailureKind.NOT_FOUND)
            found.size = max(found.size, size.required_bytes)
            return csi.Expansion(found.size)

        return await self._system.call("expand", volume, work)

    async def create_snapshot(
        self, volume: str, name: str, *, parameters: object = None, secrets: SecretValues = NO_SECRETS
    ) -> csi.Snapshot:
        system = self._system

        def work() -> csi.Snapshot:
            known = next((each for each, thing in system.snapshots.items() if thing.name == name), None)
            if known is None:
                known = system.make(system.snapshots, name, system.size_of(csi.Source(volume=volume)), volume)
            ready = system.calm or system.rng.random() < 0.7
            return csi.Snapshot(known, volume, system.snapshots[known].size, 5, ready)

        return await system.call("snapshot", name, work)

    async def delete_snapshot(self, snapshot: str, secrets: SecretValues = NO_SECRETS) -> None:
        await self._system.call("delete snapshot", snapshot, lambda: self._system.snapshots.pop(snapshot, None))
