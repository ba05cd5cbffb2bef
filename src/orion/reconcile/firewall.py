"""The overlay's rules as a script for nft that replaces table `ip orion` in one transaction.

Addresses stand in the rules themselves and not in named sets, whose elements could be changed beside a rule that
stays.
"""

from collections.abc import Iterator

from orion.model.firewall import FirewallRules, NetworkRules
from orion.reconcile import nft
from orion.reconcile.ingress import MARKED
from orion.reconcile.nft import Chain, Ruleset

TABLE = "orion"


def ruleset(rules: FirewallRules) -> Ruleset:
    return nft.ruleset(TABLE, tuple(_chains(rules)), nft.removal(TABLE))


def _chains(rules: FirewallRules) -> Iterator[Chain]:
    """Chains that others lead to come before those."""
    for network in rules.networks:
        yield Chain(f"from_{network.bridge}", tuple(_from_bridge(rules, network)))
    for vxlan in rules.vxlans:
        yield Chain(f"from_{vxlan}", tuple(_from_vxlan(rules, vxlan)))
    yield Chain("inwards", _INWARDS)
    yield Chain("sources", tuple(_sources(rules)), hook="prerouting", priority="raw")
    yield Chain("forward", tuple(_forward(rules)), hook="forward", priority="filter - 1")
    yield Chain("postrouting", tuple(_postrouting(rules)), kind="nat", hook="postrouting", priority="srcnat")


# Towards a bridge or the overlay, from neither.
_INWARDS = (
    ("ct state established,related accept", "answers"),
    ("ct status dnat accept", "published ports"),
    ("counter drop", "nobody outside was asked"),
)


def _sources(rules: FirewallRules) -> Iterator[tuple[str, str]]:
    """Sees what is for this host too."""
    for network in rules.networks:
        yield (
            f'iifname "{network.bridge}" ip saddr != {network.subnet} counter drop',
            f"not an address of {network.bridge}",
        )
    for vxlan in rules.vxlans:
        yield f'iifname "{vxlan}" meta mark {MARKED} accept', f"to a published port, on {vxlan}"
        peers = [subnet for network in _over(rules, vxlan) for subnet in network.elsewhere]
        source = f"ip saddr != {nft.members(peers)} " if peers else ""
        yield f'iifname "{vxlan}" {source}counter drop', f"not an address of another node, on {vxlan}"
    elsewhere = nft.devices([*_inside(rules), "lo"])
    yield (
        f"iifname != {elsewhere} ip saddr {rules.cluster_range} counter drop",
        "an address of the overlay from outside",
    )


def _forward(rules: FirewallRules) -> Iterator[tuple[str, str]]:
    inside = _inside(rules)
    if inside:
        ways = ", ".join(f'"{device}" : goto from_{device}' for device in inside)
        yield f"iifname vmap {{ {ways} }}", "by where it comes from"
        yield f"oifname {nft.devices(inside)} goto inwards", "from outside"


def _from_bridge(rules: FirewallRules, network: NetworkRules) -> Iterator[tuple[str, str]]:
    ways = nft.devices([network.bridge, network.vxlan])
    yield f"oifname {ways} ip daddr {nft.members(network.subnets)} accept", f"within {network.name}"
    yield f"ip daddr {rules.cluster_range} counter drop", f"out of {network.name} to another network"
    if network.internal:
        yield "ct direction reply accept", "answers"
        yield "counter drop", f"out of {network.name}, which is internal"


def _from_vxlan(rules: FirewallRules, vxlan: str) -> Iterator[tuple[str, str]]:
    for network in _over(rules, vxlan):
        if network.elsewhere:
            ends = f"ip saddr {nft.members(network.elsewhere)} ip daddr {network.subnet}"
            yield f'oifname "{network.bridge}" {ends} accept', f"within {network.name}"
        asked = f"meta mark {MARKED} ip daddr {network.subnet}"
        yield f'oifname "{network.bridge}" {asked} accept', f"to published ports of {network.name}"
    yield "ct direction reply ct status dnat accept", "answers of published ports"
    yield "counter drop", "between networks, or for another node"


def _postrouting(rules: FirewallRules) -> Iterator[tuple[str, str]]:
    if rules.networks:
        here = nft.members([network.subnet for network in rules.networks])
        away = f"ip daddr != {rules.cluster_range} oifname != {nft.devices(_inside(rules))}"
        yield f"ip saddr {here} {away} masquerade", "leaves the overlay"


def _over(rules: FirewallRules, vxlan: str) -> Iterator[NetworkRules]:
    return (network for network in rules.networks if network.vxlan == vxlan)


def _inside(rules: FirewallRules) -> tuple[str, ...]:
    return (*rules.bridges, *rules.vxlans)
