"""Questions to a node about the volumes of storage systems that it was given."""

from typing import ClassVar

import msgspec

from orion.model.csi import MAX_BYTES
from orion.model.volumes import is_volume_name
from orion.node.rpc.request import CallRequest, Place

MAX_ASKED = 500


class Given(msgspec.Struct, frozen=True, array_like=True):
    """A volume that a node has by a claim. `size_bytes`: what it is to have there at least."""

    volume: str
    created_index: int
    size_bytes: int = 0


class Here(msgspec.Struct, frozen=True, array_like=True):
    """`settled`: all on the node is as its tasks need it. `why`: why it is not, in words; "" while nothing is
    wrong.
    """

    settled: bool
    why: str = ""


class AllHere(msgspec.Struct, frozen=True, array_like=True):
    """In the order of the question."""

    found: list[Here]


class AskHere(CallRequest[AllHere], frozen=True, tag=98):
    """How volumes are that this node was given."""

    at: ClassVar = Place.NODE

    volumes: tuple[Given, ...]

    def fault(self) -> str:
        if len(self.volumes) > MAX_ASKED:
            return f"{len(self.volumes)} volumes at a time; {MAX_ASKED} are the most"
        if not all(is_volume_name(each.volume) for each in self.volumes):
            return "that is no volume's name"
        bounded = all(0 <= each.size_bytes <= MAX_BYTES for each in self.volumes)
        return "" if bounded else "the size of a volume is no number of bytes"
