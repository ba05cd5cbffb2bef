"""The service Identity: who a plugin is, and whether it is ready."""

from orion.adapters.csi import answers
from orion.adapters.csi.calls import Caller
from orion.model.csi import PluginFeature, PluginInfo
from orion.wire.csi import csi_pb2

_SERVICE, _EXPANSION = csi_pb2.PluginCapability.Service, csi_pb2.PluginCapability.VolumeExpansion
_FEATURES = {
    ("service", _SERVICE.CONTROLLER_SERVICE): PluginFeature.CONTROLLER,
    ("service", _SERVICE.VOLUME_ACCESSIBILITY_CONSTRAINTS): PluginFeature.TOPOLOGY,
    ("volume_expansion", _EXPANSION.ONLINE): PluginFeature.ONLINE,
    ("volume_expansion", _EXPANSION.OFFLINE): PluginFeature.OFFLINE,
}


class Identity:
    _caller: Caller

    async def info(self) -> PluginInfo:
        """The plugin's name is that of failures from then on."""
        name = "GetPluginInfo"
        told = await self._caller.ask(name, csi_pb2.GetPluginInfoRequest(), csi_pb2.GetPluginInfoResponse)
        info = answers.plugin_info(self._caller.call(name), told)
        self._caller.name = info.name
        return info

    async def features(self) -> frozenset[PluginFeature]:
        """Those that Orion knows, of what may be repeated and may be newer."""
        asked = csi_pb2.GetPluginCapabilitiesRequest()
        told = await self._caller.ask("GetPluginCapabilities", asked, csi_pb2.GetPluginCapabilitiesResponse)
        kinds = ((str(each.WhichOneof("type") or ""), each) for each in told.capabilities)
        found = {(kind, getattr(each, kind).type) for kind, each in kinds if kind}
        return frozenset(feature for key, feature in _FEATURES.items() if key in found)

    async def probe(self) -> bool:
        told = await self._caller.ask("Probe", csi_pb2.ProbeRequest(), csi_pb2.ProbeResponse)
        return not told.HasField("ready") or told.ready.value
