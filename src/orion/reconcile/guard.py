"""Who may reach this node's tasks -> rules, and those as a script for nft that replaces table `ip orion_allow` as a
whole.

The table only drops. Bridged packets come by it where their bridge shows them to rules, which the adapter sees to.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

from orion.model.allocation import Allocation
from orion.model.guard import MAX_ADDRESSES, Guard, GuardNetwork, GuardRules
from orion.model.ids import AllocationId, JobName
from orion.model.job import TaskSpec
from orion.model.network import AddressRange, address_text
from orion.reconcile import nft
from orion.reconcile.local_network import LocalPart
from orion.reconcile.nft import Chain, Ruleset

TABLE = "orion_allow"
Sources = Mapping[JobName, Sequence[int]]


class TooManySources(Exception):
    """In words."""


def guard_rules(
    addresses: AddressRange,
    parts: Sequence[LocalPart],
    mine: Iterable[tuple[Allocation, TaskSpec]],
    sources: Sources,
    may_return: Container[AllocationId] = (),
) -> GuardRules:
    """`parts`: this machine's of the networks; `mine`: this node's tasks; `sources`: the addresses of jobs' tasks
    that have not ended, of all jobs that are named in `allow_from`, or name some; `may_return`: lost ones that may
    run on. Raises TooManySources.
    """
    guarded: dict[tuple[JobName, tuple[JobName, ...]], set[int]] = {}
    for allocation, spec in mine:
        ended = allocation.terminal and allocation.id not in may_return
        if spec.allow_from and not ended and allocation.addresses:
            guarded.setdefault((allocation.job, spec.allow_from), set()).update(allocation.addresses)
    guards = []
    for (job, allowed), held in sorted(guarded.items()):
        able = held.union(*(sources.get(each, ()) for each in (job, *allowed)))
        guards.append(Guard(tuple(sorted(held)), tuple(sorted(able))))
    count = sum(len(each.addresses) + len(each.sources) for each in guards)
    if count > MAX_ADDRESSES:
        raise TooManySources(
            f"{count:,} addresses of jobs in allowFrom; a node keeps at most {MAX_ADDRESSES:,} apart: name fewer or"
            " smaller jobs"
        )
    networks = tuple(GuardNetwork(part.engine.bridge, part.device.name) for part in parts)
    return GuardRules(str(addresses), networks, tuple(guards))


def ruleset(rules: GuardRules) -> Ruleset:
    return nft.ruleset(TABLE, tuple(_chains(rules)), nft.removal(TABLE))


def _chains(rules: GuardRules) -> Iterator[Chain]:
    """Chains that others lead to come before those."""
    for number, guard in enumerate(rules.guards):
        yield Chain(f"to_{number}", tuple(_to(rules, guard)))
    ways = ", ".join(
        f"{address_text(address)} : goto to_{number}"
        for number, guard in enumerate(rules.guards)
        for address in guard.addresses
    )
    rule = (f"ip daddr vmap {{ {ways} }}", "tasks with allowFrom")
    yield Chain("forward", (rule,), hook="forward", priority="filter - 2")


def _to(rules: GuardRules, guard: Guard) -> Iterator[tuple[str, str]]:
    """A connection's first packet decides, and each one after it: who is not allowed any more is cut off."""
    yield "ct direction reply accept", "answers"
    yield "meta l4proto icmp ct state related accept", "errors of their own connections"
    bridges = nft.devices(network.bridge for network in rules.networks)
    yield (
        f"iifname != {bridges} ip saddr != {rules.cluster_range} accept",
        "from outside, by a port that is published",
    )
    vxlans = nft.devices(network.vxlan for network in rules.networks)
    yield f"iifname {vxlans} ip saddr & 0.0.0.255 == 0.0.0.0 accept", "other nodes themselves"
    yield f"ip saddr {nft.members(map(address_text, guard.sources))} accept", "allowed"
    yield "counter drop", "not allowed"
