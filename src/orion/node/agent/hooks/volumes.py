"""A hook: a task's volumes, made or found on this node, and paths of it that the task asks for.

Before a volume's first container starts the cluster knows the name of its data. From then on a volume without that
very data is an error: nobody starts on an empty one in its place.
"""

import logging
from collections.abc import Callable
from typing import Protocol

from msgspec.structs import replace

from orion.model.container import Mount
from orion.model.errors import EngineError, Refused
from orion.model.ids import NodeId
from orion.model.volumes import Volume, VolumeKind, VolumeMount
from orion.node.agent.hooks.hook import NotYet, Prepared, StartRequest
from orion.ports.volumes import VolumeStore

log = logging.getLogger(__name__)


class ClusterVolumes(Protocol):
    """The cluster, as it knows volumes."""

    async def read(self, name: str) -> Volume | None:
        """Linearizable."""

    async def tell(self, volume: Volume, data: str) -> None:
        """Has it know the name of the data that this node has made. Raises Refused where it is not so."""


class SystemVolumes(Protocol):
    """Volumes of storage systems on this node."""

    async def path(self, volume: Volume, start: StartRequest) -> str:
        """Returns where the task finds it. Raises NotYet."""


class VolumeMounts:
    """`random_bits` names data."""

    name = "volumes"

    def __init__(
        self,
        me: NodeId,
        store: VolumeStore,
        *,
        cluster: Callable[[], ClusterVolumes],
        systems: Callable[[], SystemVolumes],
        random_bits: Callable[[int], int],
    ) -> None:
        self._me = me
        self._store = store
        self._cluster = cluster
        self._systems = systems
        self._random_bits = random_bits

    async def prestart(self, start: StartRequest, prepared: Prepared) -> Prepared:
        """Before each start: what was there the last time may have gone meanwhile."""
        spec = start.spec
        if not spec.volumes:
            return prepared
        mounts = []
        for mount in spec.volumes:
            if mount.source:
                mounts.append(await self._path(mount))
            else:
                mounts.append(await self._volume(mount, mount.volume_of(start.allocation.index), start))
        return replace(prepared, mounts=tuple(mounts))

    async def _path(self, mount: VolumeMount) -> Mount:
        if not await self._store.has_path(mount.source):
            raise EngineError(
                f"{self._me} has no {mount.source}, which the task is to have as {mount.target}: make it there, or"
                " give nodes that have it a label and ask for that"
            )
        return Mount(mount.target, mount.source, mount.read_only, shared=mount.shared)

    async def _volume(self, mount: VolumeMount, name: str, start: StartRequest) -> Mount:
        volume = await self._cluster().read(name)
        if volume is not None and volume.kind is VolumeKind.CSI:
            path = await self._systems().path(volume, start)
            block = volume.system is not None and volume.system.block
            if mount.subpath and block:
                raise EngineError(f"volume {name} is a block device, which has no directory {mount.subpath}")
            path = await self._store.below(path, mount.subpath) if mount.subpath else path
            return Mount(mount.target, path, mount.read_only, device=block)
        if volume is None or volume.home != self._me or volume.moving_to:
            raise NotYet(f"waits for its volume {name}, which is not on {self._me}")
        await self._require_data(volume)
        found = await self._store.path_of(volume.key, mount.subpath)
        copies = found.empty and not (mount.no_copy or mount.subpath)
        return Mount(mount.target, found.path, mount.read_only, copies)

    async def _require_data(self, volume: Volume) -> None:
        there = await self._store.data_of(volume.key)
        if volume.data:
            if there != volume.data:
                what = "is missing" if there is None else "is not what is"
                raise EngineError(
                    f"the data of volume {volume.name} {what} on {self._me} (volumes/{volume.key} below its data"
                    " directory): put it back, or restore a backup with 'orion volume restore'"
                )
            return
        data = there
        if data is None:  # else this process's predecessor has made it, and nobody knows
            data = f"{self._random_bits(64):016x}"
            await self._store.make(volume.key, data)
        try:
            await self._cluster().tell(volume, data)
        except Refused as error:
            raise NotYet(f"waits for its volume {volume.name}: {error.detail}") from None
        log.info("volume %s is made as volumes/%s", volume.name, volume.key)
