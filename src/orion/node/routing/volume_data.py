"""The leader's requests about the data of volumes on their nodes, and what people ask for besides."""

from collections.abc import Collection
from typing import ClassVar

import msgspec

from orion.model.ids import NodeId
from orion.node.rpc.request import CallRequest, DuplexRequest, Place, StreamRequest

MAX_NAME = 256
SILENCE_S = 30.0


def _names_fault(names: Collection[str]) -> str:
    return "a name is too long" if any(len(name) > MAX_NAME for name in names) else ""


class CopyState(msgspec.Struct, frozen=True, array_like=True):
    """How far a copy is. `reason`: what it waits for, or why the last try failed. `missing`: its source has no such
    data, so that no try will do.
    """

    bytes: int = 0
    done: bool = False
    reason: str = ""
    missing: bool = False


class CopyData(CallRequest[CopyState], frozen=True, tag=69):
    """Has the node copy a volume's data from `source`, to be `data` here, unless it has it or is about to."""

    at: ClassVar = Place.NODE

    key: str
    source: NodeId
    former: str
    data: str

    def fault(self) -> str:
        return _names_fault((self.key, self.source, self.former, self.data))


class AskCopy(CallRequest[CopyState], frozen=True, tag=70):
    """How far that is."""

    at: ClassVar = Place.NODE

    key: str
    data: str

    def fault(self) -> str:
        return _names_fault((self.key, self.data))


class Dropped(msgspec.Struct, frozen=True, array_like=True):
    """The node has no such data any more."""


class DropData(CallRequest[Dropped], frozen=True, tag=67):
    """Has a node remove what a volume that is gone, or elsewhere, had there. Void for other data than `data`."""

    at: ClassVar = Place.NODE

    key: str
    data: str

    def fault(self) -> str:
        return _names_fault((self.key, self.data))


class Piece(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A part of a stream; without data it is the last."""

    data: bytes


class Stored(msgspec.Struct, frozen=True, array_like=True):
    """All has come, and is on the disk."""


class PutData(DuplexRequest[Stored, Piece], frozen=True, tag=73):
    """Sends a volume's data to a node, where it is to be `data`."""

    at: ClassVar = Place.NODE

    key: str
    data: str

    def fault(self) -> str:
        return _names_fault((self.key, self.data))


class ReadData(StreamRequest[bytes], frozen=True, tag=71):
    """The data of a volume that this node has, as a stream with a digest. With `live` also while tasks use it."""

    at: ClassVar = Place.NODE
    silence_s: ClassVar = SILENCE_S

    key: str
    data: str
    live: bool = False

    def fault(self) -> str:
        return _names_fault((self.key, self.data))
