"""The leader's requests about volumes of storage systems, to nodes with a controller and to those that have one."""

from typing import ClassVar

import msgspec

from orion.model.claims import ClaimedVolume
from orion.model.ids import NODE_ID, NodeId
from orion.model.storage import Pairs
from orion.model.volumes import is_volume_name
from orion.node.rpc.reads import Read
from orion.node.rpc.request import CallRequest, Place


class CallDone(msgspec.Struct, frozen=True, array_like=True):
    """How a call of a controller ended. `failed`: why, in words, "" where it did not fail; `kind`: a FailureKind's
    value. `never`: the same call again fails again. `size_bytes` 0: not said.
    """

    failed: str = ""
    kind: str = ""
    never: bool = False
    id: str = ""
    size_bytes: int = 0
    context: Pairs = ()
    topologies: tuple[Pairs, ...] = ()
    node_grows: bool = False
    ready: bool = False
    taken_ms: int = 0


class PublishVolume(CallRequest[CallDone], frozen=True, tag=81):
    """Has this node's controller part publish a volume to the node of a claim, as long as that is so by the state:
    in its phase as of `as_of`. Conflict when it is not.
    """

    at: ClassVar = Place.NODE

    volume: str
    node: NodeId
    as_of: int

    def fault(self) -> str:
        return _fault(self.volume, self.node)


class UnpublishVolume(CallRequest[CallDone], frozen=True, tag=82):
    """Has it take the volume from there."""

    at: ClassVar = Place.NODE

    volume: str
    node: NodeId
    as_of: int

    def fault(self) -> str:
        return _fault(self.volume, self.node)


class Cleared(msgspec.Struct, frozen=True, array_like=True):
    """`clear`: nothing of the volume is left on the node, and nothing will be before it has another claim. `why`:
    what is left, in words.
    """

    clear: bool
    why: str = ""


class AskClear(CallRequest[Cleared], frozen=True, tag=83):
    """Asks the node of a claim that is RELEASING as of `as_of`. Conflict while it has not heard of that."""

    at: ClassVar = Place.NODE

    volume: str
    node: NodeId
    as_of: int

    def fault(self) -> str:
        return _fault(self.volume, self.node)


class AskClaim(CallRequest[ClaimedVolume | None], frozen=True, tag=84):
    """A node's claim to a volume, with that."""

    volume: str
    node: NodeId
    read: Read

    def fault(self) -> str:
        return _fault(self.volume, self.node)


class AskWait(CallRequest[str], frozen=True, tag=86):
    """Why a node does not have a volume of a storage system yet. Words follow "waits for its volume data:"."""

    volume: str
    node: NodeId
    read: Read

    def fault(self) -> str:
        return _fault(self.volume, self.node)


def _fault(volume: str, node: str) -> str:
    if not is_volume_name(volume):
        return "that is no volume's name"
    return "" if NODE_ID.fullmatch(node) else "that is no node's name"
