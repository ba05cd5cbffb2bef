"""The service Controller: which volumes there are, and which nodes may use them."""

from collections.abc import Iterable
from pathlib import Path

from grpclib.const import Status
from msgspec.structs import replace

from orion.csi_dir import checks, images
from orion.csi_dir.checks import Mode
from orion.csi_dir.failed import Failed, require
from orion.csi_dir.records import Publication, SnapshotRecord, VolumeRecord
from orion.csi_dir.snapshots import Snapshots
from orion.csi_dir.store import SNAPSHOT, VOLUME, Store, copy, pages
from orion.wire.csi import csi_pb2

POOL = "dir.csi.orion.dev/pool"  # a topology domain: nodes that have the same root
MAX_NAME_BYTES = 1024
_TYPES = csi_pb2.ControllerServiceCapability.RPC
_FEATURES = (
    _TYPES.CREATE_DELETE_VOLUME,
    _TYPES.PUBLISH_UNPUBLISH_VOLUME,
    _TYPES.LIST_VOLUMES,
    _TYPES.LIST_VOLUMES_PUBLISHED_NODES,
    _TYPES.GET_VOLUME,
    _TYPES.GET_CAPACITY,
    _TYPES.CREATE_DELETE_SNAPSHOT,
    _TYPES.LIST_SNAPSHOTS,
    _TYPES.CLONE_VOLUME,
    _TYPES.EXPAND_VOLUME,
    _TYPES.SINGLE_NODE_MULTI_WRITER,
)


class Controller(Snapshots):
    """Methods have the specification's names, and raise Failed."""

    def __init__(self, store: Store, pool: str, quota: str = checks.NO_QUOTA) -> None:
        """`quota`: how a size is kept of which nobody says it."""
        self._store = store
        self._pool = pool
        self._quota = quota

    def ControllerGetCapabilities(
        self, asked: csi_pb2.ControllerGetCapabilitiesRequest
    ) -> csi_pb2.ControllerGetCapabilitiesResponse:
        found = [csi_pb2.ControllerServiceCapability(rpc=_TYPES(type=each)) for each in _FEATURES]
        return csi_pb2.ControllerGetCapabilitiesResponse(capabilities=found)

    # --- volumes ------------------------------------------------------------------------------------------

    def CreateVolume(self, asked: csi_pb2.CreateVolumeRequest) -> csi_pb2.CreateVolumeResponse:
        require(asked.name, "name")
        if len(asked.name.encode()) > MAX_NAME_BYTES:
            raise Failed(Status.INVALID_ARGUMENT, f"the name has more than {MAX_NAME_BYTES} bytes")
        checks.capabilities(asked.volume_capabilities)
        checks.quota_of(asked.parameters, self._quota)
        checks.size_of(asked.capacity_range)
        self._require_here(asked.accessibility_requirements)
        source = asked.volume_content_source
        of = (source.snapshot.snapshot_id, source.volume.volume_id)
        with self._store.locked(VOLUME, asked.name):
            found = self._store.volume(self._store.named(VOLUME, asked.name))
            if found is None:
                found = self._made(asked, *of)
            elif _differs(found, asked, of):
                words = "with another size, source, quota or file system"
                raise Failed(Status.ALREADY_EXISTS, f"volume {asked.name} is there, {words}")
        return csi_pb2.CreateVolumeResponse(volume=self._shown(found))

    def DeleteVolume(self, asked: csi_pb2.DeleteVolumeRequest) -> csi_pb2.DeleteVolumeResponse:
        require(asked.volume_id, "volume_id")
        with self._store.locked(VOLUME, asked.volume_id):
            found = self._store.volume(asked.volume_id)
            if found is not None and found.nodes:
                nodes = ", ".join(sorted(found.nodes))
                raise Failed(Status.FAILED_PRECONDITION, f"volume {found.name} is published to {nodes}")
            if found is not None and found.fs_type and not images.unused(self._store.image(found.id), found.id):
                raise Failed(Status.FAILED_PRECONDITION, f"volume {found.name} is attached to a node still")
            if found is not None:
                self._store.remove(VOLUME, found.id)
        return csi_pb2.DeleteVolumeResponse()

    def ControllerExpandVolume(
        self, asked: csi_pb2.ControllerExpandVolumeRequest
    ) -> csi_pb2.ControllerExpandVolumeResponse:
        require(asked.volume_id, "volume_id")
        require(asked.HasField("capacity_range"), "capacity_range")
        size = checks.size_of(asked.capacity_range)
        with self._store.locked(VOLUME, asked.volume_id):
            found = self._found(asked.volume_id)
            size = max(size, found.size_bytes)
            if not checks.fits(size, asked.capacity_range):
                raise Failed(Status.OUT_OF_RANGE, f"the volume has {size} bytes already: it never shrinks")
            self._require_room(size - found.size_bytes)
            if found.fs_type:
                images.resize(self._store.image(found.id), size)
            self._store.write(replace(found, size_bytes=size))
        return csi_pb2.ControllerExpandVolumeResponse(
            capacity_bytes=size, node_expansion_required=bool(found.fs_type)
        )

    def ValidateVolumeCapabilities(
        self, asked: csi_pb2.ValidateVolumeCapabilitiesRequest
    ) -> csi_pb2.ValidateVolumeCapabilitiesResponse:
        require(asked.volume_id, "volume_id")
        require(asked.volume_capabilities, "volume_capabilities")
        found = self._found(asked.volume_id)
        reply = csi_pb2.ValidateVolumeCapabilitiesResponse
        fault = _fault_of(asked.volume_capabilities, found.fs_type)
        if fault or asked.volume_context or asked.mutable_parameters:
            return reply(message=fault or "volumes of this plugin have no context")
        if not checks.kept_by(found.fs_type, asked.parameters):
            return reply(message="the volume has another quota, or a parameter is not known here")
        confirmed = reply.Confirmed(volume_capabilities=asked.volume_capabilities, parameters=asked.parameters)
        return reply(confirmed=confirmed)

    # --- nodes --------------------------------------------------------------------------------------------

    def ControllerPublishVolume(
        self, asked: csi_pb2.ControllerPublishVolumeRequest
    ) -> csi_pb2.ControllerPublishVolumeResponse:
        require(asked.volume_id, "volume_id")
        require(asked.node_id, "node_id")
        checks.capability(asked.volume_capability, given=asked.HasField("volume_capability"))
        if asked.readonly:
            raise Failed(Status.INVALID_ARGUMENT, "readonly: this plugin does not have PUBLISH_READONLY")
        mode = asked.volume_capability.access_mode.mode
        wanted = Publication(mode, readonly=mode in checks.READERS)
        with self._store.locked(VOLUME, asked.volume_id):
            found = self._found(asked.volume_id)
            checks.usable([asked.volume_capability], found.fs_type)
            self._require_place(asked.node_id, found)
            _require_share(found, asked.node_id, wanted)
            self._store.write(replace(found, nodes={**found.nodes, asked.node_id: wanted}))
        return csi_pb2.ControllerPublishVolumeResponse(publish_context={"node": asked.node_id})

    def ControllerUnpublishVolume(
        self, asked: csi_pb2.ControllerUnpublishVolumeRequest
    ) -> csi_pb2.ControllerUnpublishVolumeResponse:
        """Without a node's id from all nodes. What is not there is not published."""
        require(asked.volume_id, "volume_id")
        with self._store.locked(VOLUME, asked.volume_id):
            found = self._store.volume(asked.volume_id)
            if found is not None and (not asked.node_id or asked.node_id in found.nodes):
                rest = {node: each for node, each in found.nodes.items() if asked.node_id not in ("", node)}
                self._store.write(replace(found, nodes=rest))
        return csi_pb2.ControllerUnpublishVolumeResponse()

    # --- lists --------------------------------------------------------------------------------------------

    def ListVolumes(self, asked: csi_pb2.ListVolumesRequest) -> csi_pb2.ListVolumesResponse:
        ids = self._store.ids(VOLUME)
        shown = list(pages(ids, asked.max_entries, asked.starting_token))
        reply = csi_pb2.ListVolumesResponse
        entries = [
            reply.Entry(
                volume=self._shown(found), status=reply.VolumeStatus(published_node_ids=sorted(found.nodes))
            )
            for each in shown
            if (found := self._store.volume(each)) is not None
        ]
        return reply(entries=entries, next_token=shown[-1] if shown and shown[-1] != ids[-1] else "")

    def ControllerGetVolume(self, asked: csi_pb2.ControllerGetVolumeRequest) -> csi_pb2.ControllerGetVolumeResponse:
        require(asked.volume_id, "volume_id")
        found = self._found(asked.volume_id)
        reply = csi_pb2.ControllerGetVolumeResponse
        status = reply.VolumeStatus(published_node_ids=sorted(found.nodes))
        return reply(volume=self._shown(found), status=status)

    def GetCapacity(self, asked: csi_pb2.GetCapacityRequest) -> csi_pb2.GetCapacityResponse:
        here = asked.accessible_topology.segments.get(POOL, self._pool) == self._pool
        quota = checks.quota_of(asked.parameters, self._quota)
        fs_type = checks.new_fs_type(quota, asked.volume_capabilities)
        usable = here and not _fault_of(asked.volume_capabilities, fs_type)
        return csi_pb2.GetCapacityResponse(available_capacity=self._store.free_bytes() if usable else 0)

    # --- inside -------------------------------------------------------------------------------------------

    def _made(self, asked: csi_pb2.CreateVolumeRequest, snapshot: str, volume: str) -> VolumeRecord:
        if not snapshot and not volume:
            quota = checks.quota_of(asked.parameters, self._quota)
            fs_type = checks.new_fs_type(quota, asked.volume_capabilities)
            self._make(asked, VolumeRecord("", asked.name, 0, fs_type=fs_type), None)
        else:
            kind, of = (SNAPSHOT, snapshot) if snapshot else (VOLUME, volume)
            with self._store.locked(kind, of):
                found = self._store.snapshot(of) if snapshot else self._store.volume(of)
                if found is None:
                    raise Failed(Status.NOT_FOUND, f"there is no {kind[:-1]} {of}")
                self._make(asked, VolumeRecord("", asked.name, 0, snapshot, volume, fs_type=found.fs_type), found)
        return self._found(self._store.named(VOLUME, asked.name))

    def _make(
        self, asked: csi_pb2.CreateVolumeRequest, new: VolumeRecord, source: VolumeRecord | SnapshotRecord | None
    ) -> None:
        """`new`: as it is to be, but its id and its size."""
        fs_type = new.fs_type
        if not checks.kept_by(fs_type, asked.parameters):
            raise Failed(Status.INVALID_ARGUMENT, "its source has another quota: leave it out")
        checks.usable(asked.volume_capabilities, fs_type)
        size = checks.size_of(asked.capacity_range, images.LEAST_BYTES.get(fs_type, 0))
        if source is not None and size < source.size_bytes:
            raise Failed(Status.OUT_OF_RANGE, f"its source has {source.size_bytes} bytes")
        self._require_room(size)

        def fill(data: Path) -> None:
            if isinstance(source, VolumeRecord):
                self._store.copy_volume(source.id, fs_type, data)
            elif source is not None:
                copy(self._store.data(SNAPSHOT, source.id), data)
            elif fs_type:
                images.make(data / images.IMAGE, size, fs_type)
            if fs_type:
                images.resize(data / images.IMAGE, size)

        self._store.make(VOLUME, asked.name, lambda of: replace(new, id=of, size_bytes=size), fill)

    def _found(self, volume: str) -> VolumeRecord:
        found = self._store.volume(volume)
        if found is None:
            raise Failed(Status.NOT_FOUND, f"there is no volume {volume}")
        return found

    def _require_room(self, size_bytes: int) -> None:
        free = self._store.free_bytes()
        if size_bytes > free:
            raise Failed(Status.OUT_OF_RANGE, f"{size_bytes} bytes are more than the {free} that are free")

    def _require_here(self, asked: csi_pb2.TopologyRequirement) -> None:
        places = asked.requisite or asked.preferred
        if places and not any(each.segments.get(POOL) == self._pool for each in places):
            raise Failed(Status.RESOURCE_EXHAUSTED, f"all volumes are in {POOL}={self._pool}")

    def _require_place(self, node: str, volume: VolumeRecord) -> None:
        known = self._store.node(node)
        if known is None:
            raise Failed(Status.NOT_FOUND, f"there is no node {node}: its part of the plugin has never run")
        if not known.max_volumes or node in volume.nodes:
            return
        each = (self._store.volume(one) for one in self._store.ids(VOLUME))
        if sum(found is not None and node in found.nodes for found in each) >= known.max_volumes:
            raise Failed(
                Status.RESOURCE_EXHAUSTED, f"node {node} has {known.max_volumes} volumes, which are the most"
            )

    def _shown(self, record: VolumeRecord) -> csi_pb2.Volume:
        source = csi_pb2.VolumeContentSource
        begun = None
        if record.snapshot:
            begun = source(snapshot=source.SnapshotSource(snapshot_id=record.snapshot))
        elif record.volume:
            begun = source(volume=source.VolumeSource(volume_id=record.volume))
        return csi_pb2.Volume(
            volume_id=record.id,
            capacity_bytes=record.size_bytes,
            content_source=begun,
            accessible_topology=[csi_pb2.Topology(segments={POOL: self._pool})],
        )


def _fault_of(asked: Iterable[csi_pb2.VolumeCapability], fs_type: str) -> str:
    faults = (checks.fault_of(each) or checks.form_fault_of(each, fs_type) for each in asked)
    return next(filter(None, faults), "")


def _differs(found: VolumeRecord, asked: csi_pb2.CreateVolumeRequest, source: tuple[str, str]) -> bool:
    return (
        not checks.fits(found.size_bytes, asked.capacity_range)
        or (found.snapshot, found.volume) != source
        or not checks.kept_by(found.fs_type, asked.parameters)
        or bool(_fault_of(asked.volume_capabilities, found.fs_type))
    )


def _require_share(volume: VolumeRecord, node: str, wanted: Publication) -> None:
    """Raises Failed where others have the volume in a way that does not go with this one."""
    mine = volume.nodes.get(node)
    if mine is not None and mine != wanted:
        raise Failed(Status.ALREADY_EXISTS, f"node {node} has it in another access mode")
    for other, each in volume.nodes.items():
        if other == node:
            continue
        alone = {wanted.mode, each.mode} & set(checks.ONE_NODE)
        two_writers = Mode.MULTI_NODE_SINGLE_WRITER in (wanted.mode, each.mode) and not (
            wanted.readonly or each.readonly
        )
        if alone or two_writers:
            raise Failed(Status.FAILED_PRECONDITION, f"volume {volume.name} is published to node {other}")
