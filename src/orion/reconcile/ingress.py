"""Published ports as a script for nft: table `ip orion_ingress`, but for the elements of its two maps.

The chains know nothing of a port. Map `services` leads from a port to a chain that draws a number, and map
`backends` from port and number to a backend (reconcile/ingress_slots.py). So a port that changes changes elements.

A connection that comes to this node has its destination translated, and keeps its source. On the backend's node,
whatever comes over the overlay from outside is marked with the node that sent it, and so are the answers; a rule of
the kernel's routing sends marked packets back there (reconcile/ingress_routes.py). Two nodes may send connections
of one client with the same ports: each node has a conntrack zone of its own, for the original direction alone, so
that the kernel keeps them apart and gives one of them another source port towards the backend.
"""

from collections.abc import Iterable, Iterator, Mapping

from orion.model.ingress import PROTOCOLS, IngressNetwork, IngressRules, range_of
from orion.model.network import SUBNET_SIZE
from orion.reconcile import nft
from orion.reconcile.ingress_slots import SLOTS, SPREAD, spread_chain, sticky_chain
from orion.reconcile.nft import Chain, Ruleset, Shown

TABLE = "orion_ingress"
SERVICES, BACKENDS = "services", "backends"  # its maps
# Marks of packets and connections: MARK, and the number of a node. The lower half is a conntrack zone, too.
MARK, MARK_MASK = 0x0F01_0000, 0xFFFF_0000
COMMON_SPREADS = range(1, 17)  # backends of one port, for which chains are there from the beginning
_FROM = "localhost from "
_EMPTIED = f"table {nft.FAMILY} {TABLE}\nflush table {nft.FAMILY} {TABLE}\n"
_SEED = "0x7"  # of the hash over a client's address: the same on all nodes
_LOCALHOST = "127.0.0.0/8"
_MAPS = (
    f"map {SERVICES} {{ type inet_proto . inet_service : verdict; }}",
    f"map {BACKENDS} {{ typeof meta l4proto . th dport . numgen random mod 2 : ip daddr . tcp dport; }}",
)
MARKED = f"& {MARK_MASK:#x} == {MARK:#x}"


def ruleset(rules: IngressRules) -> Ruleset:
    """Replaces all rules, those of all spreads among them, and keeps the maps' elements."""
    return nft.ruleset(TABLE, tuple(_chains(rules)), _EMPTIED, _MAPS)


def removal_of_chains(wanted: Ruleset, shown: Mapping[str, Shown]) -> str:
    """Returns a script that takes away chains that are not wanted any more, and no spreads. It goes before that of
    `wanted`, which flushes what leads there.
    """
    names = [name for name in shown if name not in wanted.shown and not name.startswith(SPREAD)]
    return _EMPTIED + "".join(f"delete chain {nft.FAMILY} {TABLE} {name}\n" for name in names) if names else ""


def spreads(counts: Iterable[int]) -> str:
    """Returns a script that adds chains that choose one of so many backends. Another `ruleset` has to be before."""
    return "".join(line + "\n" for count in counts for line in _spread(count))


def missing_spreads(counts: Iterable[int], shown: Mapping[str, Shown]) -> list[int]:
    """Returns those of `counts` for which the kernel has no chain as it should be."""
    return [each for each in counts if shown.get(spread_chain(each)) != _spread_shown(each)]


def is_shown(wanted: Ruleset, shown: Mapping[str, Shown]) -> bool:
    """Returns whether the kernel has these chains, and no others but spreads."""
    others = {name: chain for name, chain in shown.items() if not name.startswith(SPREAD)}
    return others == wanted.shown


def devices_in(shown: Mapping[str, Shown]) -> set[str]:
    """Returns the devices of the networks that these chains were made for."""
    comments = shown["arrivals"].comments if "arrivals" in shown else ()
    words = (comment.partition(_FROM)[2].split() for comment in comments if _FROM in comment)
    return {word for line in words for word in line}


def number_of(gateway: str, cluster_range: str) -> int:
    """Returns the number of a node in a network, which none has in another network."""
    whole, own = range_of(cluster_range), range_of(f"{gateway}/32")
    assert whole is not None
    assert own is not None
    return (int(own.network_address) - int(whole.network_address)) // SUBNET_SIZE


def _spread(count: int) -> Iterator[str]:
    chain = f"{nft.FAMILY} {TABLE} {spread_chain(count)}"
    yield f"add chain {chain}"
    yield f"flush chain {chain}"
    rules = _translations(f"numgen random mod {count}")
    for (rule, _), comment in zip(rules, _spread_shown(count).comments, strict=True):
        yield f'add rule {chain} {rule} comment "{comment}"'


def _spread_shown(count: int) -> Shown:
    return Shown("", "", tuple(f"{TABLE}: {protocol}, any of {count}" for protocol in PROTOCOLS))


def _translations(number: str) -> Iterator[tuple[str, str]]:
    """Yields a rule for each protocol. One for both would do, but nft 1.0.6 takes the first rule after a map with
    `tcp` in its type to be about TCP.
    """
    for protocol in PROTOCOLS:
        yield f"meta l4proto {protocol} dnat to meta l4proto . th dport . {number} map @{BACKENDS}", protocol


def _chains(rules: IngressRules) -> Iterator[Chain]:
    """Chains that others lead to come before those."""
    for slots in SLOTS.values():
        yield Chain(sticky_chain(slots), tuple(_translations(f"jhash ip saddr mod {slots} seed {_SEED}")))
    for network in rules.networks:
        if network.peers:
            yield Chain(f"from_{network.vxlan}", tuple(_from_peers(rules, network)))
    publish = ((f"ip daddr != {rules.cluster_range} fib daddr type local {_LOOK_UP}", "published"),)
    yield Chain("arrivals", tuple(_arrivals(rules)), hook="prerouting", priority="raw - 1")
    yield Chain("returns", tuple(_returns(rules)), hook="prerouting", priority="mangle")
    # Before Docker's, which are at dstnat.
    yield Chain("published", publish, kind="nat", hook="prerouting", priority="-101")
    yield Chain("published_here", publish, kind="nat", hook="output", priority="-101")
    yield Chain("sources", tuple(_sources(rules)), kind="nat", hook="postrouting", priority="srcnat - 1")


_LOOK_UP = f"meta l4proto . th dport vmap @{SERVICES}"


def _arrivals(rules: IngressRules) -> Iterator[tuple[str, str]]:
    """Before conntrack, which looks a packet up in its zone."""
    for network in rules.networks:
        # The kernel refuses it on all other devices (CVE-2020-8558).
        devices = nft.devices((network.bridge, network.vxlan))
        yield f"iifname {devices} ip daddr {_LOCALHOST} counter drop", f"{_FROM}{network.bridge} {network.vxlan}"
    for network in rules.networks:
        if network.peers:
            outside = nft.members((rules.cluster_range, _LOCALHOST))
            ends = f"ip saddr != {outside} ip daddr {network.subnet}"
            yield (
                f'iifname "{network.vxlan}" {ends} goto from_{network.vxlan}',
                f"over {network.vxlan} from outside",
            )


def _from_peers(rules: IngressRules, network: IngressNetwork) -> Iterator[tuple[str, str]]:
    numbers = {peer.mac: number_of(peer.gateway, rules.cluster_range) for peer in network.peers}
    marks = nft.members(f"{mac} : {MARK | number:#x}" for mac, number in numbers.items())
    zones = nft.members(f"{mac} : {number}" for mac, number in numbers.items())
    yield f"meta mark set ether saddr map {marks}", "the node that sent it"
    yield f"ct original zone set ether saddr map {zones}", "no other node's connections"


def _returns(rules: IngressRules) -> Iterator[tuple[str, str]]:
    """With each packet: a connection that lost its mark, or began while the table was away, has it again."""
    for network in rules.networks:
        yield f'iifname "{network.vxlan}" meta mark {MARKED} ct mark set meta mark', f"by {network.vxlan}"
        reply = f"ct direction reply ct mark {MARKED}"
        yield f'iifname "{network.bridge}" {reply} meta mark set ct mark', f"answers from {network.bridge}"


def _sources(rules: IngressRules) -> Iterator[tuple[str, str]]:
    for network in rules.networks:
        subnet, both = network.subnet, nft.devices((network.bridge, network.vxlan))
        yield f"oifname {both} ip saddr {_LOCALHOST} masquerade", f"localhost to {network.bridge}"
        yield f'oifname "{network.vxlan}" fib saddr type local masquerade', f"this node to {network.vxlan}"
        if hosts := [host for host in rules.hosts if range_of(f"{host}/32")]:
            among = f"ip saddr {nft.members(sorted(set(hosts)))}"
            yield (
                f'oifname "{network.vxlan}" ct status dnat {among} masquerade',
                f"another node to {network.vxlan}",
            )
        within = f"ip saddr {subnet} ip daddr {subnet}"
        yield f'oifname "{network.bridge}" ct status dnat {within} masquerade', f"back to {network.bridge}"
