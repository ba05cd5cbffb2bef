"""The service Identity."""

from google.protobuf.wrappers_pb2 import BoolValue

from orion.csi_dir.store import Store
from orion.wire.csi import csi_pb2

NAME = "dir.csi.orion.dev"
_SERVICE = csi_pb2.PluginCapability.Service
_EXPANSION = csi_pb2.PluginCapability.VolumeExpansion


class Identity:
    def __init__(self, store: Store, version: str) -> None:
        self._store = store
        self._version = version

    def GetPluginInfo(self, asked: csi_pb2.GetPluginInfoRequest) -> csi_pb2.GetPluginInfoResponse:
        return csi_pb2.GetPluginInfoResponse(name=NAME, vendor_version=self._version)

    def GetPluginCapabilities(
        self, asked: csi_pb2.GetPluginCapabilitiesRequest
    ) -> csi_pb2.GetPluginCapabilitiesResponse:
        services = (_SERVICE.CONTROLLER_SERVICE, _SERVICE.VOLUME_ACCESSIBILITY_CONSTRAINTS)
        found = [csi_pb2.PluginCapability(service=_SERVICE(type=each)) for each in services]
        online = csi_pb2.PluginCapability(volume_expansion=_EXPANSION(type=_EXPANSION.ONLINE))
        return csi_pb2.GetPluginCapabilitiesResponse(capabilities=[*found, online])

    def Probe(self, asked: csi_pb2.ProbeRequest) -> csi_pb2.ProbeResponse:
        """Ready while the root is there: a shared mount may be gone."""
        return csi_pb2.ProbeResponse(ready=BoolValue(value=(self._store.root / "volumes").is_dir()))
