"""When faults happen and to whom: two lanes, so that faults overlap. They take kinds from one shuffled bag, so that
each comes as often as the others. All choices are the seed's; only the moments are the machine's.
"""

import random
import threading
from collections.abc import Callable

from chaos.counts import Counts
from chaos.faults import KINDS
from chaos.node import ChaosNode
from support.lab import Lab

LANES = 2
PAUSE_S = (0.3, 2.0)  # between two faults of a lane
LEADER_CHANCE = 0.5  # that a fault of one node is the leader's


class Bag:
    """Every kind once, in an order of the seed, then again in another."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._left: list[str] = []
        self._lock = threading.Lock()

    def draw(self) -> str:
        with self._lock:
            if not self._left:
                self._left = self._rng.sample(sorted(KINDS), len(KINDS))
            return self._left.pop()


class Targets:
    """Nodes that no lane has now: two faults of one node at once would undo each other."""

    def __init__(self, nodes: list[ChaosNode], leader: Callable[[], str]) -> None:
        self._nodes = nodes
        self._leader = leader
        self._taken: set[str] = set()
        self._lock = threading.Lock()

    def take(self, least: int, most: int, rng: random.Random) -> list[ChaosNode]:
        """As many as can be had; fewer than `least` when others have them."""
        count, wants_leader = rng.randint(least, most), rng.random() < LEADER_CHANCE
        leader = self._leader() if count and wants_leader else ""
        with self._lock:
            free = [node for node in self._nodes if node.name not in self._taken]
            rng.shuffle(free)
            free.sort(key=lambda node: node.name != leader)
            chosen = free[:count]
            self._taken |= {node.name for node in chosen}
            return chosen

    def give_back(self, nodes: list[ChaosNode]) -> None:
        with self._lock:
            self._taken -= {node.name for node in nodes}


def run_lane(
    name: str, seed: str, bag: Bag, targets: Targets, lab: Lab, counts: Counts, stop: threading.Event
) -> None:
    rng = random.Random(f"{seed} {name}")
    while not stop.wait(rng.uniform(*PAUSE_S)):
        kind = bag.draw()
        fault, (least, most), seconds = KINDS[kind]
        nodes = targets.take(least, most, rng)
        try:
            if least and not nodes:
                continue
            lasts_s = rng.uniform(*seconds)
            with fault(lab, nodes, rng) as words:
                counts.fault(kind)
                counts.say(f"{name} {kind}: {words}, for {lasts_s:.1f} s")
                stop.wait(lasts_s)
            counts.say(f"{name} {kind} is over")
        finally:
            targets.give_back(nodes)
