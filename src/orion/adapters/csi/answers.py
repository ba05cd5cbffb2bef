"""Messages of plugins as Orion's values, checked before they are believed. Each function raises CsiFailed with
FailureKind.LIE for what can't be true.
"""

import re
from collections.abc import Mapping, Sequence

from orion.adapters.csi.failures import Call
from orion.model import csi
from orion.wire.csi import csi_pb2

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?")  # of a plugin: CSI allows 63 characters
_UNITS = {csi_pb2.VolumeUsage.BYTES: "bytes", csi_pb2.VolumeUsage.INODES: "inodes"}
_MAX_MESSAGE_CHARS = 1024
_MAX_NODES = 10_000  # that have one volume


def plugin_info(call: Call, told: csi_pb2.GetPluginInfoResponse) -> csi.PluginInfo:
    if not _NAME.fullmatch(told.name):
        raise call.lied(f"{_cut(told.name)!r} is no name of a plugin")
    version = text(call, "version", told.vendor_version)
    return csi.PluginInfo(told.name, version, context(call, "manifest", told.manifest))


def node_info(call: Call, told: csi_pb2.NodeGetInfoResponse) -> csi.NodeInfo:
    node = text(call, "node id", told.node_id)
    most = count(call, "most volumes", told.max_volumes_per_node)
    return csi.NodeInfo(node, most, context(call, "topology", told.accessible_topology.segments))


def made_volume(call: Call, told: csi_pb2.CreateVolumeResponse, new: csi.NewVolume) -> csi.Volume:
    """A size of 0 is "not known"; a plugin that leaves out the source is believed to have used it."""
    if not told.HasField("volume"):
        raise call.lied("a volume was made, and none is told of")
    found = volume(call, told.volume)
    sized(call, found.size_bytes, new.size)
    if found.source is not None and found.source != new.source:
        raise call.lied("the volume begins with other content than was asked for")
    return found


def sized(call: Call, size_bytes: int, asked: csi.SizeRange) -> int:
    """Returns the size if it is what was asked for, or not known."""
    if size_bytes and asked.required_bytes and size_bytes < asked.required_bytes:
        raise call.lied(f"{size_bytes:,} bytes are less than the {asked.required_bytes:,} that were asked for")
    if asked.limit_bytes and size_bytes > asked.limit_bytes:
        raise call.lied(f"{size_bytes:,} bytes are more than the limit of {asked.limit_bytes:,}")
    return size_bytes


def volume(call: Call, told: csi_pb2.Volume) -> csi.Volume:
    if len(told.accessible_topology) > csi.MAX_TOPOLOGIES:
        raise call.lied(f"{len(told.accessible_topology):,} places for one volume")
    return csi.Volume(
        text(call, "volume id", told.volume_id),
        count(call, "size", told.capacity_bytes),
        context(call, "volume context", told.volume_context),
        _source(call, told.content_source) if told.HasField("content_source") else None,
        tuple(context(call, "topology", each.segments) for each in told.accessible_topology),
    )


def page(call: Call, told: csi_pb2.ListVolumesResponse, most: int, token: str) -> csi.Page:
    _paged(call, len(told.entries), told.next_token, most, token)
    found = tuple(_status(call, each.volume, each.status) for each in told.entries)
    return csi.Page(found, told.next_token)


def one_volume(call: Call, told: csi_pb2.ControllerGetVolumeResponse, asked: str) -> csi.VolumeStatus:
    found = _status(call, told.volume, told.status)
    if found.volume.id != asked:
        raise call.lied(f"it tells of volume {_cut(found.volume.id)!r}")
    return found


def snapshot(call: Call, told: csi_pb2.Snapshot, *, source: str = "") -> csi.Snapshot:
    """`source`: the volume that it must be of, "" for any."""
    of = text(call, "snapshot's volume", told.source_volume_id)
    if source and of != source:
        raise call.lied(f"a snapshot of volume {_cut(of)!r}, which was not asked for")
    return csi.Snapshot(
        text(call, "snapshot id", told.snapshot_id),
        of,
        count(call, "snapshot's size", told.size_bytes),
        max(0, told.creation_time.seconds * 1000 + told.creation_time.nanos // 1_000_000),
        told.ready_to_use,
    )


def snapshot_page(
    call: Call, told: csi_pb2.ListSnapshotsResponse, most: int, token: str, *, of: str
) -> csi.SnapshotPage:
    _paged(call, len(told.entries), told.next_token, most, token)
    return csi.SnapshotPage(
        tuple(snapshot(call, each.snapshot, source=of) for each in told.entries), told.next_token
    )


def capacity(call: Call, told: csi_pb2.GetCapacityResponse) -> csi.Capacity:
    return csi.Capacity(
        count(call, "free space", told.available_capacity),
        count(call, "largest volume", told.maximum_volume_size.value),
        count(call, "smallest volume", told.minimum_volume_size.value),
    )


def confirmation(
    told: csi_pb2.ValidateVolumeCapabilitiesResponse, asked: Sequence[csi_pb2.VolumeCapability]
) -> csi.Confirmation:
    """A plugin that is older than what was asked confirms without a part of it, which is no confirmation."""
    message = _cut(told.message)
    if not told.HasField("confirmed"):
        return csi.Confirmation(confirmed=False, message=message)
    confirmed = list(told.confirmed.volume_capabilities)
    return csi.Confirmation(confirmed=all(each in confirmed for each in asked), message=message)


def stats(call: Call, told: csi_pb2.NodeGetVolumeStatsResponse) -> csi.VolumeStats:
    found = tuple(
        csi.Usage(
            _UNITS[each.unit],
            count(call, "total", each.total),
            count(call, "used", each.used),
            count(call, "available", each.available),
        )
        for each in told.usage[: len(_UNITS)]
        if each.unit in _UNITS
    )
    known = told.HasField("volume_condition")
    return csi.VolumeStats(found, _condition(told.volume_condition) if known else None)


def text(call: Call, what: str, told: str) -> str:
    """Returns a text that has to be there."""
    size = len(told.encode())
    if not told:
        raise call.lied(f"the {what} is empty")
    if size > csi.MAX_ID_BYTES:
        raise call.lied(f"the {what} has {size:,} bytes")
    if not told.isprintable():
        raise call.lied(f"the {what} has characters that can't be shown")
    return told


def context(call: Call, what: str, told: Mapping[str, str]) -> csi.Context:
    size = sum(len(key.encode()) + len(value.encode()) for key, value in told.items())
    if size > csi.MAX_CONTEXT_BYTES:
        raise call.lied(f"the {what} has {size:,} bytes, of which {csi.MAX_CONTEXT_BYTES:,} are the most")
    return dict(told)


def count(call: Call, what: str, told: int) -> int:
    if told < 0:
        raise call.lied(f"the {what} is {told}")
    return told


# --- inside -----------------------------------------------------------------------------------------------


def _source(call: Call, told: csi_pb2.VolumeContentSource) -> csi.Source:
    if told.WhichOneof("type") == "snapshot":
        return csi.Source(snapshot=text(call, "source", told.snapshot.snapshot_id))
    return csi.Source(volume=text(call, "source", told.volume.volume_id))


def _status(
    call: Call,
    told: csi_pb2.Volume,
    status: csi_pb2.ListVolumesResponse.VolumeStatus | csi_pb2.ControllerGetVolumeResponse.VolumeStatus,
) -> csi.VolumeStatus:
    if len(status.published_node_ids) > _MAX_NODES:
        raise call.lied(f"{len(status.published_node_ids):,} nodes have one volume")
    return csi.VolumeStatus(
        volume(call, told),
        tuple(text(call, "node id", each) for each in status.published_node_ids),
        _condition(status.volume_condition) if status.HasField("volume_condition") else None,
    )


def _condition(told: csi_pb2.VolumeCondition) -> csi.Condition:
    return csi.Condition(told.abnormal, _cut(told.message))


def _paged(call: Call, entries: int, following: str, most: int, token: str) -> None:
    if entries > (most or csi.MAX_ENTRIES):
        raise call.lied(f"{entries:,} entries, where {most or csi.MAX_ENTRIES:,} are the most")
    if following and following == token:
        raise call.lied("the next part of the list is the same one again")
    if len(following.encode()) > csi.MAX_ID_BYTES:
        raise call.lied("the token of the next part is too long")


def _cut(words: str) -> str:
    return "".join(char if char.isprintable() else " " for char in words[:_MAX_MESSAGE_CHARS])
