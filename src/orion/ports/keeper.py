"""The Keeper port: what outlives the node's process on this machine, and ends tasks that may not go on without the
cluster.
"""

from collections.abc import Collection, Mapping
from typing import Protocol

from orion.model.errors import OrionError
from orion.model.ids import AllocationId


class KeeperFailed(OrionError):
    """The keeper could not be told; `detail` says why. Nothing may start that relies on it."""

    title = "Tasks that must end with the connection could not be watched"
    code = "keeper"


class Keeper(Protocol):
    async def renew(self, until_ms: Mapping[AllocationId, int], ended: Collection[AllocationId] = ()) -> None:
        """Has the containers of each of these end at that time (`Clock.now_ms`), unless it is renewed before; of
        others nothing changes. Those that have `ended` are forgotten. Raises KeeperFailed.
        """
