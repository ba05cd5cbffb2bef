"""Replicated values as bytes, at a level: each build writes what a build of that level would write."""

from typing import Any

import msgspec

from orion.model.levels import LEVEL
from orion.state.core.features import is_ever_new, lowered, need_of


class LeveledEncoder:
    """Gives msgspec's own bytes for what is wholly known at the level, which is everything once the cluster has
    reached this build's.
    """

    def __init__(self) -> None:
        self._plain = msgspec.msgpack.Encoder()
        self._known_of: dict[type, bool] = {}  # whether all builds know all of this type

    def encode(self, value: object, level: int = LEVEL) -> bytes:
        if level < LEVEL:
            value = lowered(value, level)
        return self._plain.encode(value)

    def encode_least(self, value: object) -> bytes:
        """At the least level at which nothing of the value is lost: equal values give equal bytes, whichever build
        writes them and whatever level the cluster is at.
        """
        kind = type(value)
        if kind not in self._known_of:
            self._known_of[kind] = not is_ever_new(kind)
        if self._known_of[kind]:
            return self._plain.encode(value)
        return self.encode(value, need_of(value).level)

    def encode_into(self, value: Any, buffer: bytearray, offset: int, level: int) -> None:
        if level < LEVEL:
            value = lowered(value, level)
        self._plain.encode_into(value, buffer, offset)
