"""The Csi port of one process to the plugin on its machine."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from orion.model.csi import (
    Access,
    Capacity,
    Confirmation,
    Context,
    ControllerFeature,
    Expansion,
    FailureKind,
    NewVolume,
    NodeFeature,
    NodeInfo,
    Page,
    PluginFeature,
    PluginInfo,
    SizeRange,
    Snapshot,
    SnapshotPage,
    Topology,
    Usage,
    Volume,
    VolumeStats,
    VolumeStatus,
)
from orion.model.secret_values import NO_SECRETS, SecretValues
from orion.ports.csi import CsiFailed
from sim.csi_plugin import NAME, SOCKET, Part, SimPlugin
from sim.disk_array import POOL, READERS, Publication, shown_snapshot
from sim.loop import Process


class SimCsiPlugins:
    """Fulfils ports.CsiPlugins."""

    def __init__(self, plugin: SimPlugin, process: Process) -> None:
        self._plugin = plugin
        self._process = process

    async def open(self, socket: str) -> "SimCsi":
        assert socket == SOCKET, socket
        return SimCsi(self._plugin, self._process)


class SimCsi:
    """Fulfils ports.CsiPlugin."""

    socket = SOCKET

    def __init__(self, plugin: SimPlugin, process: Process) -> None:
        self._plugin = plugin
        self._process = process
        self._array, self._host = plugin.array, plugin.host
        self._closed = False

    async def close(self) -> None:
        self._closed = True

    async def _call(self, part: Part, name: str, about: str, work: Callable[[], Any]) -> Any:
        if self._closed:
            raise CsiFailed(f"{name}: the connection was closed")
        return await self._plugin.call(self._process, part, name, about, work)

    # --- identity -----------------------------------------------------------------------------------------

    async def info(self) -> PluginInfo:
        return await self._call(Part.ITSELF, "info", "", lambda: PluginInfo(NAME, str(self._plugin.version)))

    async def features(self) -> frozenset[PluginFeature]:
        found = frozenset(PluginFeature) - {PluginFeature.OFFLINE}
        return await self._call(Part.ITSELF, "features", "", lambda: found)

    async def probe(self) -> bool:
        return await self._call(Part.ITSELF, "probe", "", lambda: True)

    # --- controller ---------------------------------------------------------------------------------------

    async def _control(self, name: str, about: str, work: Callable[[], Any]) -> Any:
        return await self._call(Part.CONTROLLER, name, about, work)

    async def controller_features(self) -> frozenset[ControllerFeature]:
        return await self._control("controller_features", "", lambda: self._plugin.features.of_controller)

    async def create_volume(self, new: NewVolume, secrets: SecretValues = NO_SECRETS) -> Volume:
        return await self._control("create_volume", new.name, partial(self._array.create, new))

    async def delete_volume(self, volume: str, secrets: SecretValues = NO_SECRETS) -> None:
        await self._control("delete_volume", volume, partial(self._array.delete, volume))

    async def publish_to_node(
        self,
        volume: str,
        node: str,
        access: Access,
        *,
        readonly: bool = False,
        context: Context | None = None,
        secrets: SecretValues = NO_SECRETS,
    ) -> Context:
        wanted = Publication(access.mode, readonly=readonly or access.mode in READERS)
        work = partial(self._array.publish, volume, node, wanted)
        return await self._control("publish_to_node", volume, work)

    async def unpublish_from_node(self, volume: str, node: str, secrets: SecretValues = NO_SECRETS) -> None:
        await self._control("unpublish_from_node", volume, partial(self._array.unpublish, volume, node))

    async def validate(
        self,
        volume: str,
        access: Sequence[Access],
        *,
        context: Context | None = None,
        parameters: Context | None = None,
        secrets: SecretValues = NO_SECRETS,
    ) -> Confirmation:
        return await self._control("validate", volume, partial(self._array.validate, volume, access))

    async def volumes(self, *, most: int = 0, token: str = "") -> Page:
        def look() -> Page:
            shown, following = _page(sorted(self._array.volumes), most, token)
            return Page(tuple(map(self._array.status, shown)), following)

        return await self._control("volumes", "", look)

    async def volume(self, volume: str) -> VolumeStatus:
        return await self._control("volume", "", partial(self._array.status, volume))

    async def capacity(
        self,
        access: Sequence[Access] = (),
        *,
        parameters: Context | None = None,
        topology: Topology | None = None,
    ) -> Capacity:
        return await self._control("capacity", "", partial(self._array.capacity, topology))

    async def expand_volume(
        self, volume: str, size: SizeRange, access: Access | None = None, secrets: SecretValues = NO_SECRETS
    ) -> Expansion:
        def expand() -> Expansion:
            grown = self._array.expand(volume, size)
            return Expansion(grown.size_bytes, node_too=self._plugin.features.grows)

        return await self._control("expand_volume", volume, expand)

    async def modify_volume(self, volume: str, parameters: Context, secrets: SecretValues = NO_SECRETS) -> None:
        raise CsiFailed("it can't be modified", FailureKind.UNIMPLEMENTED)

    async def create_snapshot(
        self,
        volume: str,
        name: str,
        *,
        parameters: Context | None = None,
        secrets: SecretValues = NO_SECRETS,
    ) -> Snapshot:
        now_ms = self._plugin.world.wall_ms
        return await self._control("create_snapshot", name, partial(self._array.snap, volume, name, now_ms))

    async def delete_snapshot(self, snapshot: str, secrets: SecretValues = NO_SECRETS) -> None:
        await self._control("delete_snapshot", snapshot, partial(self._array.drop_snapshot, snapshot))

    async def snapshots(
        self,
        *,
        volume: str = "",
        snapshot: str = "",
        most: int = 0,
        token: str = "",
        secrets: SecretValues = NO_SECRETS,
    ) -> SnapshotPage:
        def look() -> SnapshotPage:
            every = self._array.snapshots
            ids = [id_ for id_, one in every.items() if volume in ("", one.of) and snapshot in ("", id_)]
            shown, following = _page(sorted(ids), most, token)
            return SnapshotPage(tuple(shown_snapshot(every[id_]) for id_ in shown), following)

        return await self._control("snapshots", "", look)

    # --- node ---------------------------------------------------------------------------------------------

    async def _at_node(self, name: str, about: str, work: Callable[[], Any]) -> Any:
        return await self._call(Part.NODE, name, about, work)

    async def node_features(self) -> frozenset[NodeFeature]:
        return await self._at_node("node_features", "", lambda: self._plugin.features.of_node)

    async def node_info(self) -> NodeInfo:
        plugin = self._plugin
        return await self._at_node("node_info", "", lambda: NodeInfo(plugin.known_as, plugin.most, POOL))

    async def stage(
        self,
        volume: str,
        staging: str,
        access: Access,
        *,
        published: Context | None = None,
        context: Context | None = None,
        secrets: SecretValues = NO_SECRETS,
    ) -> None:
        def stage() -> None:
            self._plugin.require_published(volume, readonly=True)
            self._plugin.mount(volume, staging, access, readonly=False)

        await self._at_node("stage", volume, stage)

    async def unstage(self, volume: str, staging: str) -> None:
        await self._at_node("unstage", volume, partial(self._plugin.unmount, volume, staging))

    async def publish(
        self,
        volume: str,
        target: str,
        access: Access,
        *,
        staging: str = "",
        readonly: bool = False,
        published: Context | None = None,
        context: Context | None = None,
        secrets: SecretValues = NO_SECRETS,
    ) -> None:
        readonly = readonly or access.mode in READERS

        def publish() -> None:
            self._plugin.require_published(volume, readonly=readonly)
            self._plugin.require_staged(volume, staging)
            self._plugin.require_alone(volume, access, staging, target)
            self._plugin.mount(volume, target, access, readonly=readonly, of=staging)

        await self._at_node("publish", volume, publish)

    async def unpublish(self, volume: str, target: str) -> None:
        def unpublish() -> None:
            self._plugin.unmount(volume, target)
            self._host.remove_directory(target)

        await self._at_node("unpublish", volume, unpublish)

    async def stats(self, volume: str, path: str, *, staging: str = "") -> VolumeStats:
        def look() -> VolumeStats:
            there = self._host.at(path)
            if there is None or there.volume != volume:
                raise CsiFailed(f"volume {volume} is not at {path}", FailureKind.NOT_FOUND)
            size = self._array.found(volume).size_bytes
            return VolumeStats((Usage("bytes", size, 0, size), Usage("inodes", 1_000, 10, 990)))

        return await self._at_node("stats", "", look)

    async def expand(
        self,
        volume: str,
        path: str,
        size: SizeRange,
        *,
        staging: str = "",
        access: Access | None = None,
        secrets: SecretValues = NO_SECRETS,
    ) -> int:
        def grow() -> int:
            there = self._host.at(path)
            if there is None or there.volume != volume:
                raise CsiFailed(f"volume {volume} is not at {path}", FailureKind.NOT_FOUND)
            return self._array.found(volume).size_bytes

        return await self._at_node("expand", volume, grow)


def _page(ids: list[str], most: int, token: str) -> tuple[list[str], str]:
    if token and not token.startswith("after "):
        raise CsiFailed("the list has to begin anew", FailureKind.RETRY)
    left = [id_ for id_ in ids if id_ > token.removeprefix("after ")] if token else ids
    shown = left[: most or None]
    return shown, f"after {shown[-1]}" if shown and shown != left else ""
