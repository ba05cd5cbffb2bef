"""What a cluster must bear. Each fault is a context: entering does it and gives words for it, leaving heals it."""

import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

from chaos.node import ChaosNode
from support.lab import Lab

DAY_S = 86_400
_JUMPS_S = (-400 * DAY_S, -DAY_S, -3600, -30, -2, 2, 30, 3600, DAY_S, 400 * DAY_S)

Fault = Callable[[Lab, Sequence[ChaosNode], random.Random], AbstractContextManager[str]]


class Kind(NamedTuple):
    """`nodes`: how many it takes, at least and most, for itself; 0: it is the network's and takes none.
    `seconds`: how long it lasts, at least and at most.
    """

    fault: Fault
    nodes: tuple[int, int]
    seconds: tuple[float, float]


@contextlib.contextmanager
def _kill(lab: Lab, nodes: Sequence[ChaosNode], rng: random.Random) -> Iterator[str]:
    for node in nodes:
        node.kill()
    try:
        yield _names(nodes)
    finally:
        for node in nodes:
            node.start()


@contextlib.contextmanager
def _pause(lab: Lab, nodes: Sequence[ChaosNode], rng: random.Random) -> Iterator[str]:
    for node in nodes:
        node.pause()
    try:
        yield _names(nodes)
    finally:
        for node in nodes:
            node.resume()


@contextlib.contextmanager
def _disk_full(lab: Lab, nodes: Sequence[ChaosNode], rng: random.Random) -> Iterator[str]:
    for node in nodes:
        node.fill_disk()
    try:
        yield _names(nodes)
    finally:
        for node in nodes:
            node.free_disk()


@contextlib.contextmanager
def _clock(lab: Lab, nodes: Sequence[ChaosNode], rng: random.Random) -> Iterator[str]:
    jumps = [(node, rng.choice(_JUMPS_S)) for node in nodes]
    for node, seconds in jumps:
        node.jump(seconds)
    yield ", ".join(f"{node.name} by {seconds:+d} s" for node, seconds in jumps)
    # Not set right here: the next jump, or the end of the run, is the jump back.


@contextlib.contextmanager
def _engine(lab: Lab, nodes: Sequence[ChaosNode], rng: random.Random) -> Iterator[str]:
    """Docker's process alone, or with it all of its containers, as when the machine loses power."""
    alone = rng.random() < 0.5
    for node in nodes:
        if alone:
            node.engine.kill_daemon()
        else:
            node.engine.kill()
    try:
        yield f"{_names(nodes)}, {'dockerd alone' if alone else 'and its containers'}"
    finally:
        for node in nodes:
            node.engine.start()


@contextlib.contextmanager
def _partition(lab: Lab, nodes: Sequence[ChaosNode], rng: random.Random) -> Iterator[str]:
    few = rng.sample(lab.hosts, rng.choice((1, 2, 2)))
    many = [host for host in lab.hosts if host not in few]
    with _deaf(lab, [(a, b) for a in few for b in many] + [(b, a) for a in few for b in many]):
        yield f"{sorted(few)} | {many}"


@contextlib.contextmanager
def _one_way(lab: Lab, nodes: Sequence[ChaosNode], rng: random.Random) -> Iterator[str]:
    some = rng.sample(lab.hosts, rng.choice((1, 2)))
    others = [host for host in lab.hosts if host not in some]
    if rng.random() < 0.5:
        some, others = others, some
    with _deaf(lab, [(a, b) for a in some for b in others]):
        yield f"{sorted(some)} do not hear {sorted(others)}"


@contextlib.contextmanager
def _bridge(lab: Lab, nodes: Sequence[ChaosNode], rng: random.Random) -> Iterator[str]:
    """Two halves that hear each other only through one node, which hears all."""
    order = rng.sample(lab.hosts, len(lab.hosts))
    middle, left, right = order[0], order[1 : 1 + len(order) // 2], order[1 + len(order) // 2 :]
    with _deaf(lab, [(a, b) for a in left for b in right] + [(b, a) for a in left for b in right]):
        yield f"{sorted(left)} | {sorted(right)}, {middle} hears both"


@contextlib.contextmanager
def _loss(lab: Lab, nodes: Sequence[ChaosNode], rng: random.Random) -> Iterator[str]:
    percent = rng.randint(5, 40)
    rule = f"iifname eth0 numgen random mod 100 < {percent} drop"
    with _rules(lab, {node.index: [rule] for node in nodes}):
        yield f"{percent} % of what reaches {_names(nodes)}"


@contextlib.contextmanager
def _delay(lab: Lab, nodes: Sequence[ChaosNode], rng: random.Random) -> Iterator[str]:
    for node in nodes:
        lab.slow(node.index)
    try:
        yield f"{_names(nodes)}, with {lab.delays_with}"
    finally:
        for node in nodes:
            lab.fast(node.index)


KINDS: dict[str, Kind] = {
    "kill -9": Kind(_kill, (1, 2), (0.1, 4)),
    "kill -9 of three": Kind(_kill, (3, 3), (0.1, 2)),
    "stopped (SIGSTOP)": Kind(_pause, (1, 2), (1, 5)),
    "partition": Kind(_partition, (0, 0), (1, 6)),
    "one-way partition": Kind(_one_way, (0, 0), (1, 6)),
    "bridge partition": Kind(_bridge, (0, 0), (1, 6)),
    "packet loss": Kind(_loss, (1, 3), (2, 6)),
    "delay": Kind(_delay, (1, 2), (2, 6)),
    "full disk": Kind(_disk_full, (1, 1), (1, 5)),
    "clock jump": Kind(_clock, (1, 3), (0.5, 1)),
    "engine restart": Kind(_engine, (1, 1), (0.5, 4)),
}


def _deaf(lab: Lab, pairs: list[tuple[int, int]]) -> AbstractContextManager[None]:
    """For each pair: the first host hears nothing from the second."""
    rules: dict[int, list[str]] = {}
    for host, other in pairs:
        rules.setdefault(host, []).append(f"ip saddr {lab.address(other)} drop")
    return _rules(lab, rules)


@contextlib.contextmanager
def _rules(lab: Lab, rules: dict[int, list[str]]) -> Iterator[None]:
    for host, lines in rules.items():
        lab.add_rules(host, lines)
    try:
        yield
    finally:
        for host, lines in rules.items():
            lab.remove_rules(host, lines)


def _names(nodes: Sequence[ChaosNode]) -> str:
    return ", ".join(node.name for node in nodes)
