"""Which packets of the overlay may pass on one node, as values."""

import re
from collections.abc import Iterator
from itertools import chain, pairwise

import msgspec

MAX_NETWORKS = 64  # on one node
MAX_SUBNETS = 8_192  # of all networks together
_BYTE = r"(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_RANGE = re.compile(rf"{_BYTE}\.{_BYTE}\.{_BYTE}\.{_BYTE}/(3[0-2]|[12]?[0-9])")
_DEVICE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,14}")  # of what the kernel takes, what nft and iptables take bare
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


class NetworkRules(msgspec.Struct, frozen=True):
    """One network as this node has it. `subnets` are those of all nodes, this one's `subnet` among them. From one
    that is `internal` nothing leaves but answers.
    """

    name: str
    bridge: str
    vxlan: str
    subnet: str
    subnets: tuple[str, ...]
    internal: bool = False

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """The subnets on other nodes."""
        return tuple(subnet for subnet in self.subnets if subnet != self.subnet)


class FirewallRules(msgspec.Struct, frozen=True):
    """The overlay's part of one node's firewall. Subnets lie in `cluster_range`, and none in two networks. Raises
    ValueError where that is not so, or a name is none that the kernel has.
    """

    cluster_range: str
    networks: tuple[NetworkRules, ...] = ()

    def __post_init__(self) -> None:
        fault = next(_faults(self), None)
        if fault is not None:
            raise ValueError(fault)

    @property
    def bridges(self) -> tuple[str, ...]:
        return tuple(network.bridge for network in self.networks)

    @property
    def vxlans(self) -> tuple[str, ...]:
        """Each device once, in the order of the networks."""
        return tuple(dict.fromkeys(network.vxlan for network in self.networks))


def _faults(rules: FirewallRules) -> Iterator[str]:
    count = sum(len(network.subnets) for network in rules.networks)
    if len(rules.networks) > MAX_NETWORKS:
        yield f"a node has at most {MAX_NETWORKS} networks, not {len(rules.networks)}"
    if count > MAX_SUBNETS:
        yield f"all networks together have at most {MAX_SUBNETS} subnets, not {count}"
    for network in rules.networks:
        yield from _faults_of(network)
    if len(set(rules.bridges)) < len(rules.bridges):
        yield "two networks have the same bridge: " + ", ".join(rules.bridges)
    both = set(rules.bridges) & set(rules.vxlans)
    if both:
        yield f"{min(both)} is the bridge of one network and the VXLAN device of another"
    yield from _faults_of_subnets(rules)


def _faults_of(network: NetworkRules) -> Iterator[str]:
    if not _NAME.fullmatch(network.name):
        yield f"{network.name!r} is no name of a network"
    for device in (network.bridge, network.vxlan):
        if not _DEVICE.fullmatch(device) or device == "lo":
            yield f"{device!r} is no name of a device for network {network.name}"
    if network.subnet not in network.subnets:
        yield f"network {network.name} does not have this node's subnet {network.subnet} among its own"


def _faults_of_subnets(rules: FirewallRules) -> Iterator[str]:
    whole = _ends(rules.cluster_range)
    if whole is None:
        yield f"{rules.cluster_range!r} is no IPv4 range such as 10.200.0.0/16"
        return
    found: list[tuple[int, int, str]] = []
    for text in chain.from_iterable(network.subnets for network in rules.networks):
        ends = _ends(text)
        if ends is None or not whole[0] <= ends[0] <= ends[1] <= whole[1]:
            yield f"{text!r} is no subnet of the cluster's range {rules.cluster_range}"
            return
        found.append((*ends, text))
    for (_, last, before), (first, _, after) in pairwise(sorted(found)):
        if first <= last:
            yield f"the subnets {before} and {after} overlap"


def _ends(text: str) -> tuple[int, int] | None:
    """Returns the first and the last address; None for what is no range, or not written as the kernel writes it."""
    found = _RANGE.fullmatch(text)
    if found is None:
        return None
    a, b, c, d, prefix = map(int, found.groups())
    first, size = a << 24 | b << 16 | c << 8 | d, 1 << (32 - prefix)
    return None if first % size else (first, first + size - 1)
