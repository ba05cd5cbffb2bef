"""The overlay's rules as a script for nft that replaces table `ip orion` in one transaction.

Each rule carries a comment with a digest of the whole script. The kernel is as the script says when each chain has
exactly the comments that it should have, in their order. Addresses stand in the rules themselves and not in named
sets, whose elements could be changed beside a rule that stays.
"""

import hashlib
from collections.abc import Iterable, Iterator

import msgspec

from orion.model.firewall import FirewallRules, NetworkRules

FAMILY = "ip"
TABLE = "orion"
REMOVAL = f"table {FAMILY} {TABLE}\ndelete table {FAMILY} {TABLE}\n"  # the first line makes the second one succeed


class Chain(msgspec.Struct, frozen=True):
    """Rules, each with its reason. `hook` is "" for a chain that others lead to."""

    name: str
    rules: tuple[tuple[str, str], ...]
    kind: str = "filter"
    hook: str = ""
    priority: str = ""


class Shown(msgspec.Struct, frozen=True):
    """A chain as the kernel shows it. `comments` are those of its rules, "" for one without."""

    hook: str
    policy: str
    comments: tuple[str, ...]


class Ruleset(msgspec.Struct, frozen=True):
    """A script, and each chain by its name as the kernel shows it after that script."""

    script: str
    shown: dict[str, Shown]


def ruleset(rules: FirewallRules) -> Ruleset:
    chains = tuple(_chains(rules))
    digest = hashlib.sha256(msgspec.json.encode(chains)).hexdigest()[:12]
    lines = [REMOVAL + f"table {FAMILY} {TABLE} {{"]
    for chain in chains:
        lines.append(f"chain {chain.name} {{")
        if chain.hook:
            lines.append(f"type {chain.kind} hook {chain.hook} priority {chain.priority}; policy accept;")
        lines += [f'{rule} comment "{_comment(digest, why)}"' for rule, why in chain.rules]
        lines.append("}")
    return Ruleset("\n".join([*lines, "}", ""]), {chain.name: _shown(chain, digest) for chain in chains})


def _shown(chain: Chain, digest: str) -> Shown:
    comments = tuple(_comment(digest, why) for _, why in chain.rules)
    return Shown(chain.hook, "accept" if chain.hook else "", comments)


def _comment(digest: str, why: str) -> str:
    return f"{TABLE} {digest}: {why}"


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
        peers = [subnet for network in _over(rules, vxlan) for subnet in network.elsewhere]
        source = f"ip saddr != {_addresses(peers)} " if peers else ""
        yield f'iifname "{vxlan}" {source}counter drop', f"not an address of another node, on {vxlan}"
    elsewhere = _devices([*_inside(rules), "lo"])
    yield (
        f"iifname != {elsewhere} ip saddr {rules.cluster_range} counter drop",
        "an address of the overlay from outside",
    )


def _forward(rules: FirewallRules) -> Iterator[tuple[str, str]]:
    inside = _inside(rules)
    if inside:
        ways = ", ".join(f'"{device}" : goto from_{device}' for device in inside)
        yield f"iifname vmap {{ {ways} }}", "by where it comes from"
        yield f"oifname {_devices(inside)} goto inwards", "from outside"


def _from_bridge(rules: FirewallRules, network: NetworkRules) -> Iterator[tuple[str, str]]:
    ways = _devices([network.bridge, network.vxlan])
    yield f"oifname {ways} ip daddr {_addresses(network.subnets)} accept", f"within {network.name}"
    yield f"ip daddr {rules.cluster_range} counter drop", f"out of {network.name} to another network"


def _from_vxlan(rules: FirewallRules, vxlan: str) -> Iterator[tuple[str, str]]:
    for network in _over(rules, vxlan):
        if network.elsewhere:
            ends = f"ip saddr {_addresses(network.elsewhere)} ip daddr {network.subnet}"
            yield f'oifname "{network.bridge}" {ends} accept', f"within {network.name}"
    yield "counter drop", "between networks, or for another node"


def _postrouting(rules: FirewallRules) -> Iterator[tuple[str, str]]:
    if rules.networks:
        here = _addresses([network.subnet for network in rules.networks])
        away = f"ip daddr != {rules.cluster_range} oifname != {_devices(_inside(rules))}"
        yield f"ip saddr {here} {away} masquerade", "leaves the overlay"


def _over(rules: FirewallRules, vxlan: str) -> Iterator[NetworkRules]:
    return (network for network in rules.networks if network.vxlan == vxlan)


def _inside(rules: FirewallRules) -> tuple[str, ...]:
    return (*rules.bridges, *rules.vxlans)


def _devices(names: Iterable[str]) -> str:
    return "{ " + ", ".join(f'"{name}"' for name in names) + " }"


def _addresses(ranges: Iterable[str]) -> str:
    return "{ " + ", ".join(ranges) + " }"
