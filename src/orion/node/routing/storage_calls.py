"""Requests about volumes and snapshots of storage systems: what calls about them need, and the calls themselves."""

from typing import ClassVar

import msgspec

from orion.model.csi import MAX_BYTES
from orion.model.ids import NodeId
from orion.model.secret_values import SecretPairs
from orion.model.storage import Pairs
from orion.model.volume_snapshots import SNAPSHOT, VolumeSnapshot, is_key
from orion.model.volumes import Volume, is_volume_name
from orion.node.routing.plugin_calls import CallDone
from orion.node.rpc.reads import Read
from orion.node.rpc.request import CallRequest, Place
from orion.state.core.faults import MAX_NUMBER


class AskSecrets(CallRequest[SecretPairs], frozen=True, tag=90):
    """The secrets that go with a plugin's calls about a volume, or about a snapshot, behind "snapshot/". NotFound
    when there is no such one. Never shown to people.
    """

    key: str
    created_index: int
    read: Read

    def fault(self) -> str:
        return _fault(self.key, self.created_index)


class StoredFacts(msgspec.Struct, frozen=True, array_like=True):
    """All that a call about a volume or a snapshot says. `required`: the places of the nodes that have its plugin.
    `nodes` have a claim to the volume.
    """

    cluster: int
    volume: Volume | None = None
    snapshot: VolumeSnapshot | None = None
    secrets: SecretPairs = SecretPairs()
    required: tuple[Pairs, ...] = ()
    nodes: tuple[NodeId, ...] = ()


class AskStored(CallRequest[StoredFacts], frozen=True, tag=91):
    """A volume or a snapshot as it is now. NotFound when there is none of that name and index."""

    key: str
    created_index: int
    read: Read

    def fault(self) -> str:
        return _fault(self.key, self.created_index)


class MakeStored(CallRequest[CallDone], frozen=True, tag=92):
    """Has this node's controller part make a volume or a snapshot, or find the one that it made before, as long as
    the state says that one of this name and index is to be made. Conflict when it does not.
    """

    at: ClassVar = Place.NODE

    key: str
    created_index: int

    def fault(self) -> str:
        return _fault(self.key, self.created_index)


class DeleteStored(CallRequest[CallDone], frozen=True, tag=93):
    """Has it delete a volume that no node has, or a snapshot, which is being removed."""

    at: ClassVar = Place.NODE

    key: str
    created_index: int

    def fault(self) -> str:
        return _fault(self.key, self.created_index)


class GrowStored(CallRequest[CallDone], frozen=True, tag=94):
    """Has it grow a volume to this size, as long as that is the one that it is to have."""

    at: ClassVar = Place.NODE

    volume: str
    created_index: int
    size_bytes: int

    def fault(self) -> str:
        if not is_volume_name(self.volume) or not 1 <= self.size_bytes <= MAX_BYTES:
            return "that is no volume's name, or no size"
        return _fault(self.volume, self.created_index)


def _fault(key: str, created_index: int) -> str:
    if not is_key(key):
        return f"that is the name of no volume, nor of a snapshot behind {SNAPSHOT}"
    return "" if 0 <= created_index <= MAX_NUMBER else "that is no index"
