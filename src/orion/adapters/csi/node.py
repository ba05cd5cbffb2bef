"""The service Node: a volume's ways into this node and out of it."""

from orion.adapters.csi import answers, requests
from orion.adapters.csi.calls import Caller
from orion.model import csi
from orion.model.csi import Access, Context, NodeFeature, SizeRange
from orion.model.secret_values import NO_SECRETS, SecretValues
from orion.wire.csi import csi_pb2

_TYPES = csi_pb2.NodeServiceCapability.RPC.Type
_FEATURES = {_TYPES.Value(feature.name): feature for feature in NodeFeature}


class Node:
    _caller: Caller

    async def node_features(self) -> frozenset[NodeFeature]:
        asked, reply = csi_pb2.NodeGetCapabilitiesRequest(), csi_pb2.NodeGetCapabilitiesResponse
        told = await self._caller.ask("NodeGetCapabilities", asked, reply)
        return frozenset(_FEATURES[each.rpc.type] for each in told.capabilities if each.rpc.type in _FEATURES)

    async def node_info(self) -> csi.NodeInfo:
        told = await self._caller.ask("NodeGetInfo", csi_pb2.NodeGetInfoRequest(), csi_pb2.NodeGetInfoResponse)
        return answers.node_info(self._caller.call("NodeGetInfo"), told)

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
        asked = csi_pb2.NodeStageVolumeRequest(
            volume_id=volume,
            publish_context=requests.context(published),
            staging_target_path=staging,
            volume_capability=requests.capability(access),
            secrets=secrets.reveal(),
            volume_context=requests.context(context),
        )
        reply = csi_pb2.NodeStageVolumeResponse
        await self._caller.ask("NodeStageVolume", asked, reply, f"volume {volume}", secrets)

    async def unstage(self, volume: str, staging: str) -> None:
        asked = csi_pb2.NodeUnstageVolumeRequest(volume_id=volume, staging_target_path=staging)
        await self._caller.ask("NodeUnstageVolume", asked, csi_pb2.NodeUnstageVolumeResponse, f"volume {volume}")

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
        asked = csi_pb2.NodePublishVolumeRequest(
            volume_id=volume,
            publish_context=requests.context(published),
            staging_target_path=staging,
            target_path=target,
            volume_capability=requests.capability(access),
            readonly=readonly,
            secrets=secrets.reveal(),
            volume_context=requests.context(context),
        )
        reply = csi_pb2.NodePublishVolumeResponse
        await self._caller.ask("NodePublishVolume", asked, reply, f"volume {volume}", secrets)

    async def unpublish(self, volume: str, target: str) -> None:
        asked = csi_pb2.NodeUnpublishVolumeRequest(volume_id=volume, target_path=target)
        reply = csi_pb2.NodeUnpublishVolumeResponse
        await self._caller.ask("NodeUnpublishVolume", asked, reply, f"volume {volume}")

    async def stats(self, volume: str, path: str, *, staging: str = "") -> csi.VolumeStats:
        name, about = "NodeGetVolumeStats", f"volume {volume}"
        asked = csi_pb2.NodeGetVolumeStatsRequest(volume_id=volume, volume_path=path, staging_target_path=staging)
        told = await self._caller.ask(name, asked, csi_pb2.NodeGetVolumeStatsResponse, about)
        return answers.stats(self._caller.call(name, about), told)

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
        name, about = "NodeExpandVolume", f"volume {volume}"
        asked = csi_pb2.NodeExpandVolumeRequest(
            volume_id=volume,
            volume_path=path,
            capacity_range=requests.size_range(size),
            staging_target_path=staging,
            volume_capability=requests.capability(access) if access else None,
            secrets=secrets.reveal(),
        )
        told = await self._caller.ask(name, asked, csi_pb2.NodeExpandVolumeResponse, about, secrets)
        call = self._caller.call(name, about, secrets)
        return answers.sized(call, answers.count(call, "size", told.capacity_bytes), size)
