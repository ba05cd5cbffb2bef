"""The service Controller: volumes and snapshots, whichever node has them."""

from collections.abc import Sequence

from orion.adapters.csi import answers, requests
from orion.adapters.csi.calls import Caller
from orion.model import csi
from orion.model.csi import Access, Context, ControllerFeature, SizeRange, Topology
from orion.model.secret_values import NO_SECRETS, SecretValues
from orion.wire.csi import csi_pb2

_TYPES = csi_pb2.ControllerServiceCapability.RPC.Type
_FEATURES = {_TYPES.Value(feature.name): feature for feature in ControllerFeature}


class Controller:
    _caller: Caller

    async def controller_features(self) -> frozenset[ControllerFeature]:
        asked, reply = csi_pb2.ControllerGetCapabilitiesRequest(), csi_pb2.ControllerGetCapabilitiesResponse
        told = await self._caller.ask("ControllerGetCapabilities", asked, reply)
        return frozenset(_FEATURES[each.rpc.type] for each in told.capabilities if each.rpc.type in _FEATURES)

    # --- volumes ------------------------------------------------------------------------------------------

    async def create_volume(self, new: csi.NewVolume, secrets: SecretValues = NO_SECRETS) -> csi.Volume:
        name, about = "CreateVolume", f"volume {new.name}"
        asked = csi_pb2.CreateVolumeRequest(
            name=new.name,
            capacity_range=requests.size_range(new.size),
            volume_capabilities=requests.capabilities(new.access),
            parameters=new.parameters,
            secrets=secrets.reveal(),
            volume_content_source=requests.source(new.source),
            accessibility_requirements=requests.requirement(new.required, new.preferred),
        )
        told = await self._caller.ask(name, asked, csi_pb2.CreateVolumeResponse, about, secrets)
        return answers.made_volume(self._caller.call(name, about, secrets), told, new)

    async def delete_volume(self, volume: str, secrets: SecretValues = NO_SECRETS) -> None:
        asked = csi_pb2.DeleteVolumeRequest(volume_id=volume, secrets=secrets.reveal())
        await self._caller.ask("DeleteVolume", asked, csi_pb2.DeleteVolumeResponse, f"volume {volume}", secrets)

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
        name, about = "ControllerPublishVolume", f"volume {volume} and node {node}"
        asked = csi_pb2.ControllerPublishVolumeRequest(
            volume_id=volume,
            node_id=node,
            volume_capability=requests.capability(access),
            readonly=readonly,
            secrets=secrets.reveal(),
            volume_context=requests.context(context),
        )
        told = await self._caller.ask(name, asked, csi_pb2.ControllerPublishVolumeResponse, about, secrets)
        call = self._caller.call(name, about, secrets)
        return answers.context(call, "publish context", told.publish_context)

    async def unpublish_from_node(self, volume: str, node: str, secrets: SecretValues = NO_SECRETS) -> None:
        name, about = "ControllerUnpublishVolume", f"volume {volume} and node {node}"
        asked = csi_pb2.ControllerUnpublishVolumeRequest(volume_id=volume, node_id=node, secrets=secrets.reveal())
        await self._caller.ask(name, asked, csi_pb2.ControllerUnpublishVolumeResponse, about, secrets)

    async def validate(
        self,
        volume: str,
        access: Sequence[Access],
        *,
        context: Context | None = None,
        parameters: Context | None = None,
        secrets: SecretValues = NO_SECRETS,
    ) -> csi.Confirmation:
        name, about = "ValidateVolumeCapabilities", f"volume {volume}"
        asked = csi_pb2.ValidateVolumeCapabilitiesRequest(
            volume_id=volume,
            volume_context=requests.context(context),
            volume_capabilities=requests.capabilities(access),
            parameters=requests.context(parameters),
            secrets=secrets.reveal(),
        )
        told = await self._caller.ask(name, asked, csi_pb2.ValidateVolumeCapabilitiesResponse, about, secrets)
        return answers.confirmation(told, list(asked.volume_capabilities))

    async def volumes(self, *, most: int = 0, token: str = "") -> csi.Page:
        name, asked = "ListVolumes", csi_pb2.ListVolumesRequest(max_entries=most, starting_token=token)
        told = await self._caller.ask(name, asked, csi_pb2.ListVolumesResponse)
        return answers.page(self._caller.call(name), told, most, token)

    async def volume(self, volume: str) -> csi.VolumeStatus:
        name, about = "ControllerGetVolume", f"volume {volume}"
        asked = csi_pb2.ControllerGetVolumeRequest(volume_id=volume)
        told = await self._caller.ask(name, asked, csi_pb2.ControllerGetVolumeResponse, about)
        return answers.one_volume(self._caller.call(name, about), told, volume)

    async def capacity(
        self,
        access: Sequence[Access] = (),
        *,
        parameters: Context | None = None,
        topology: Topology | None = None,
    ) -> csi.Capacity:
        asked = csi_pb2.GetCapacityRequest(
            volume_capabilities=requests.capabilities(access),
            parameters=requests.context(parameters),
            accessible_topology=requests.topology(topology) if topology else None,
        )
        told = await self._caller.ask("GetCapacity", asked, csi_pb2.GetCapacityResponse)
        return answers.capacity(self._caller.call("GetCapacity"), told)

    async def expand_volume(
        self, volume: str, size: SizeRange, access: Access | None = None, secrets: SecretValues = NO_SECRETS
    ) -> csi.Expansion:
        name, about = "ControllerExpandVolume", f"volume {volume}"
        asked = csi_pb2.ControllerExpandVolumeRequest(
            volume_id=volume,
            capacity_range=requests.size_range(size),
            secrets=secrets.reveal(),
            volume_capability=requests.capability(access) if access else None,
        )
        told = await self._caller.ask(name, asked, csi_pb2.ControllerExpandVolumeResponse, about, secrets)
        call = self._caller.call(name, about, secrets)
        grown = answers.sized(call, answers.count(call, "size", told.capacity_bytes), size)
        return csi.Expansion(grown, told.node_expansion_required)

    async def modify_volume(self, volume: str, parameters: Context, secrets: SecretValues = NO_SECRETS) -> None:
        asked = csi_pb2.ControllerModifyVolumeRequest(
            volume_id=volume, secrets=secrets.reveal(), mutable_parameters=parameters
        )
        reply = csi_pb2.ControllerModifyVolumeResponse
        await self._caller.ask("ControllerModifyVolume", asked, reply, f"volume {volume}", secrets)

    # --- snapshots ----------------------------------------------------------------------------------------

    async def create_snapshot(
        self,
        volume: str,
        name: str,
        *,
        parameters: Context | None = None,
        secrets: SecretValues = NO_SECRETS,
    ) -> csi.Snapshot:
        method, about = "CreateSnapshot", f"snapshot {name} of volume {volume}"
        asked = csi_pb2.CreateSnapshotRequest(
            source_volume_id=volume,
            name=name,
            secrets=secrets.reveal(),
            parameters=requests.context(parameters),
        )
        told = await self._caller.ask(method, asked, csi_pb2.CreateSnapshotResponse, about, secrets)
        return answers.snapshot(self._caller.call(method, about, secrets), told.snapshot, source=volume)

    async def delete_snapshot(self, snapshot: str, secrets: SecretValues = NO_SECRETS) -> None:
        asked = csi_pb2.DeleteSnapshotRequest(snapshot_id=snapshot, secrets=secrets.reveal())
        reply = csi_pb2.DeleteSnapshotResponse
        await self._caller.ask("DeleteSnapshot", asked, reply, f"snapshot {snapshot}", secrets)

    async def snapshots(
        self,
        *,
        volume: str = "",
        snapshot: str = "",
        most: int = 0,
        token: str = "",
        secrets: SecretValues = NO_SECRETS,
    ) -> csi.SnapshotPage:
        name = "ListSnapshots"
        asked = csi_pb2.ListSnapshotsRequest(
            max_entries=most,
            starting_token=token,
            source_volume_id=volume,
            snapshot_id=snapshot,
            secrets=secrets.reveal(),
        )
        told = await self._caller.ask(name, asked, csi_pb2.ListSnapshotsResponse, secrets=secrets)
        call = self._caller.call(name, secrets=secrets)
        return answers.snapshot_page(call, told, most, token, of=volume)
