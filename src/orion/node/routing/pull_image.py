"""The leader's request that a node pulls an image, ahead of a step that ends a task."""

from typing import ClassVar

import msgspec

from orion.model.api.rules import MAX_IMAGE
from orion.node.rpc.request import SILENCE_S, Place, StreamRequest

_MAX_WORD = 128


class Pulled(msgspec.Struct, frozen=True, array_like=True):
    """The node has the image."""


class PullImage(StreamRequest[Pulled], frozen=True, tag=44):
    """Have the node pull the image as its tasks would. Who asks no more has the pull given up."""

    at: ClassVar = Place.NODE
    silence_s: ClassVar[float | None] = SILENCE_S

    image: str
    platform: str = ""
    policy: str = ""

    def fault(self) -> str:
        if not 0 < len(self.image) <= MAX_IMAGE:
            return "not an image's name"
        return "" if max(len(self.platform), len(self.policy)) <= _MAX_WORD else "not a platform or a policy"
