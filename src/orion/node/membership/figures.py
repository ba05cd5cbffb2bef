from collections import Counter

from orion.model.figures import Figure, gauges
from orion.node.membership.directory import Directory


def member_figures(directory: Directory) -> tuple[Figure, ...]:
    states = Counter(str(seen.member.state) for seen in directory.all_seen())
    return (gauges("orion_gossip_members", "Members by what gossip makes of them", "state", states),)
