"""Who may open connections to which addresses of one node, as values."""

from itertools import chain

import msgspec

from orion.model.firewall import MAX_NETWORKS

MAX_ADDRESSES = 100_000  # of all guards together: sets of the kernel's


class GuardNetwork(msgspec.Struct, frozen=True):
    """A network's devices on this node."""

    bridge: str
    vxlan: str


class Guard(msgspec.Struct, frozen=True):
    """Only `sources` open connections to `addresses`, which are containers' of this node. Both are sorted."""

    addresses: tuple[int, ...]
    sources: tuple[int, ...]


class GuardRules(msgspec.Struct, frozen=True):
    """All guards of one node. `cluster_range` holds the addresses of all containers. Raises ValueError for an
    address that is guarded twice, and for more than MAX_ADDRESSES.
    """

    cluster_range: str
    networks: tuple[GuardNetwork, ...]
    guards: tuple[Guard, ...]

    def __post_init__(self) -> None:
        given = [*chain.from_iterable(each.addresses for each in self.guards)]
        count = len(given) + sum(len(each.sources) for each in self.guards)
        if len(set(given)) < len(given):
            raise ValueError("an address is guarded twice")
        if len(self.networks) > MAX_NETWORKS or count > MAX_ADDRESSES:
            raise ValueError(f"{len(self.networks)} networks, and guards of {count:,} addresses")

    @property
    def guarded(self) -> frozenset[int]:
        return frozenset(chain.from_iterable(each.addresses for each in self.guards))
