"""The Reach port: probes by the cluster's own network, whoever answers them, and a look at what arrives."""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from orion.model.reach import Arrivals, Echo, Way


class Reach(Protocol):
    """Each call returns before the deadline that it is given. `source` is the address that probes come from."""

    async def serve(self, addresses: Sequence[str], peers: Callable[[], Collection[str]]) -> None:
        """Answers probes at these addresses, those of `peers` alone and each with its own bytes, until cancelled.
        Raises Unavailable where the port can't be had.
        """

    async def echo(self, source: str, target: str, size_bytes: int, *, tries: int, within_s: float) -> Echo:
        """A datagram that may not be fragmented, so often until it is answered."""

    async def transfer(self, source: str, target: str, *, within_s: float) -> bool:
        """Returns whether TCP_BYTES came there and back by a connection."""

    async def send(self, way: Way, sizes: Sequence[int], underlay_sizes: Sequence[int]) -> None:
        """Probes of these sizes, by the network and beside it; nobody waits for answers."""

    async def listen(self, way: Way, device: str, *, within_s: float) -> tuple[Arrivals, str]:
        """Returns what has come from the way's source to its target, this host, and why packets can't be seen."""

    async def strict(self, device: str) -> bool:
        """Returns whether the kernel drops what it would not answer by this device."""
