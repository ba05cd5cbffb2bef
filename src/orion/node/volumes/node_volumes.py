"""`NodeVolumes`: has the volumes of plugins be on this node as its tasks need them."""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterable

import msgspec

from orion.model.csi_node import KnownVolume, WantedVolume
from orion.model.errors import OrionError
from orion.model.ids import AllocationId
from orion.node.volumes.one_volume import OneVolume, Tools
from orion.node.volumes.plugins import Plugins
from orion.ports.csi_records import CsiRecords
from orion.ports.mounts import Mounts

log = logging.getLogger(__name__)

CALLS_AT_ONCE = 16
LOOK_AGAIN_S = 30.0  # somebody may have unmounted what is there
LOAD_AGAIN_S = 5.0
_NAME_CHARS = 16

Key = tuple[str, str]  # the plugin's name and the volume's id


class VolumeOnNode(msgspec.Struct, frozen=True):
    """A volume as it is here, for people. `settled`: all is as wanted; `why`: why it is not."""

    plugin: str
    id: str
    targets: tuple[str, ...]
    settled: bool
    why: str


class NodeVolumes:
    """Begins with the first `want`: what is mounted from before may be of tasks that run. From then on everything
    that is not wanted goes, also what a former process left behind.

    `holds` says whether a container of an allocation may run: its target stays as it is meanwhile, wanted or not.
    """

    def __init__(self, plugins: Plugins, mounts: Mounts, records: CsiRecords) -> None:
        self._tools = Tools(plugins, mounts, records, CALLS_AT_ONCE)
        self.holds: Callable[[AllocationId], bool] = lambda _: False
        self._volumes: dict[Key, OneVolume] = {}
        self._wanted: dict[Key, WantedVolume] | None = None
        self._loaded = False
        self._changed = asyncio.Event()  # something to do for this runner
        self._told = asyncio.Event()  # something to tell
        self.on_change: list[Callable[[], None]] = []
        plugins.on_change.append(self._look_again)

    # --- what is wanted -----------------------------------------------------------------------------------

    def target_path(self, plugin: str, volume: str, allocation: AllocationId) -> str:
        """Returns where an allocation finds its view of a volume. Its length is bounded: CSI has plugins take 128
        bytes.
        """
        return f"{self._directory((plugin, volume))}/t/{allocation:x}"

    def want(self, volumes: Iterable[WantedVolume]) -> None:
        """Has these be all volumes of this node, with these targets."""
        self._wanted = {(each.plugin, each.id): each for each in volumes}
        self._changed.set()

    def ready(self, plugin: str, volume: str, path: str) -> bool:
        """Returns whether a task may use the path: it is published as wanted."""
        key = plugin, volume
        one, wanted = self._volumes.get(key), (self._wanted or {}).get(key)
        if one is None or one.wanted != wanted:  # its runner may not have heard of it yet
            return False
        return one.ready(path)

    def why_not(self, plugin: str, volume: str) -> str:
        """Returns in words what a volume waits for, "" while nothing is wrong."""
        one = self._volumes.get((plugin, volume))
        return one.why if one is not None else ""

    def settled(self, plugin: str, volume: str) -> bool:
        """Returns whether all of a volume that is wanted here is as wanted."""
        key = plugin, volume
        one, wanted = self._volumes.get(key), (self._wanted or {}).get(key)
        return one is not None and wanted is not None and one.wanted == wanted and one.settled

    def clear(self, plugin: str, volume: str) -> bool:
        """Returns whether nothing of the volume is left here, so that its controller may take it from this node. It
        is never so before all of a former process's records were read.
        """
        key = plugin, volume
        return self._wanted is not None and self._loaded and key not in self._volumes and key not in self._wanted

    def volumes(self) -> list[VolumeOnNode]:
        return [
            VolumeOnNode(
                *key, tuple(each.path for each in one.known.targets) if one.known else (), one.settled, one.why
            )
            for key, one in sorted(self._volumes.items())
        ]

    # --- the runner ---------------------------------------------------------------------------------------

    async def run(self) -> None:
        while self._wanted is None:
            self._changed.clear()
            await self._changed.wait()
        await self._load()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tell(), name="csi-volumes-told")
            group.create_task(self._look_now_and_then(), name="csi-volumes-look")
            runners: dict[Key, asyncio.Task[None]] = {}
            while True:
                self._changed.clear()
                self._follow(group, runners)
                await self._changed.wait()

    @property
    def holding(self) -> bool:
        """A container keeps something from going."""
        return any(one.held for one in self._volumes.values())

    def release(self) -> None:
        """Such containers may have ended."""
        for one in self._volumes.values():
            one.release()

    def _follow(self, group: asyncio.TaskGroup, runners: dict[Key, asyncio.Task[None]]) -> None:
        wanted = self._wanted or {}
        for key in [key for key, runner in runners.items() if runner.done()]:
            del runners[key]
            if self._volumes[key].gone:
                del self._volumes[key]
                self._told.set()
        for key in wanted.keys() - self._volumes.keys():
            self._volumes[key] = self._one(key, None)
        for key, one in self._volumes.items():
            one.want(wanted.get(key))
            if key not in runners and not one.gone:
                runners[key] = group.create_task(one.run(), name=f"csi-volume-{key[1]}")
                runners[key].add_done_callback(lambda _: self._changed.set())

    async def _load(self) -> None:
        """Nothing is done before it is known what there is."""
        while not self._loaded:
            try:
                found = await self._tools.records.load()
            except OrionError as error:
                log.warning("%s", error.detail)
                await asyncio.sleep(LOAD_AGAIN_S)
                continue
            lost: list[str] = []
            for folder, known in found.items():
                if known is not None and folder == _folder((known.plugin, known.id)):
                    key = known.plugin, known.id
                    self._volumes[key] = self._one(key, known)
                else:
                    lost.append(folder)
            await self._clean(lost)
            self._loaded = True

    async def _clean(self, folders: list[str]) -> None:
        """Takes away mounts whose record is lost, unless their volume is wanted."""
        wanted = {_folder(key) for key in self._wanted or {}}
        mounts, records = self._tools.mounts, self._tools.records
        for folder in folders:
            if folder in wanted:
                continue
            try:
                for point in sorted(await mounts.points_below(f"{records.directory}/{folder}"), reverse=True):
                    log.warning("unmounting %s, which nobody knows of", point)
                    await mounts.unmount(point)
                    await mounts.remove_directory(point)
                await records.forget(folder)
            except OrionError as error:
                log.warning("%s", error.detail)

    async def _tell(self) -> None:
        while True:
            await self._told.wait()
            self._told.clear()
            for tell in self.on_change:
                tell()

    async def _look_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(LOOK_AGAIN_S)
            self._look_again()

    def _look_again(self) -> None:
        for one in self._volumes.values():
            one.look()

    def _one(self, key: Key, known: KnownVolume | None) -> OneVolume:
        fresh = KnownVolume(*key, staging=f"{self._directory(key)}/staging")
        return OneVolume(_folder(key), known or fresh, self._tools, self._told, self._is_held)

    def _is_held(self, target: str) -> bool:
        try:
            return self.holds(AllocationId(int(target.rpartition("/")[2], 16)))
        except ValueError:  # no target of ours
            return False

    def _directory(self, key: Key) -> str:
        return f"{self._tools.records.directory}/{_folder(key)}"


def _folder(key: Key) -> str:
    return hashlib.sha256("\0".join(key).encode()).hexdigest()[:_NAME_CHARS]
