"""Faults of the network: bad quality, partitions of every shape."""

import msgspec

from sim.fault_kit import Fault, Kit
from sim.network import CALM, Path, Quality


def bad_network(kit: Kit) -> None:
    rng = kit.rng
    quality = Quality(
        latency_ms=rng.choice(((0.1, 1.5), (0.1, 1.5), (1.0, 20.0), (5.0, 80.0))),
        loss=rng.choice((0.0, 0.01, 0.05, 0.3)),
        duplicate=rng.choice((0.0, 0.02, 0.2)),
        reorder=rng.choice((0.0, 0.05, 0.3)),
        reorder_ms=rng.choice((5.0, 50.0, 400.0)),
        replay=rng.choice((0.0, 0.02, 0.1)),
    )
    kit.did("bad network", str(msgspec.structs.astuple(quality)))
    kit.cluster.network.quality = quality
    kit.heal_after(500, 6_000, setattr, kit.cluster.network, "quality", CALM)


def slow_path(kit: Kit) -> None:
    hosts = kit.hosts()
    one, other = kit.rng.sample(hosts, 2) if len(hosts) > 1 else (hosts[0], hosts[0])
    kit.did("slow path", f"{one} {other}")
    kit.cluster.network.slow_paths[(one, other)] = kit.rng.uniform(20, 300)
    kit.heal_after(500, 5_000, kit.cluster.network.slow_paths.clear)


def split(kit: Kit) -> None:
    hosts = kit.hosts()
    kit.rng.shuffle(hosts)
    at = kit.rng.randint(1, max(1, len(hosts) - 1))
    _partition(kit, "partition", _between(hosts[:at], hosts[at:]), " ".join(hosts[:at]))


def isolate(kit: Kit) -> None:
    machine = kit.cluster.leader() or kit.one()
    if machine is not None:
        others = [host for host in kit.hosts() if host != machine.host]
        _partition(kit, "leader cut off", _between([machine.host], others), machine.name)


def one_way(kit: Kit) -> None:
    """Everything from one host is lost, or everything to it."""
    machine = kit.leader_or_any(0.5)
    if machine is None:
        return
    others = [host for host in kit.hosts() if host != machine.host]
    outward = kit.rng.random() < 0.5
    paths = {(machine.host, o) if outward else (o, machine.host) for o in others}
    _partition(kit, "one-way partition", paths, f"{'from' if outward else 'to'} {machine.name}")


def bridge(kit: Kit) -> None:
    """Two halves that share one host: it reaches everybody, the halves do not reach each other."""
    hosts = kit.hosts()
    kit.rng.shuffle(hosts)
    middle, *rest = hosts
    half = len(rest) // 2
    _partition(kit, "bridge partition", _between(rest[:half], rest[half:]), f"over {middle}")


def _partition(kit: Kit, kind: str, paths: set[Path], detail: str) -> None:
    kit.did(kind, detail)
    kit.cluster.network.cut(paths)
    kit.heal_after(300, 7_000, kit.cluster.network.cut, set())


def _between(some: list[str], others: list[str]) -> set[Path]:
    return {path for a in some for b in others for path in ((a, b), (b, a))}


FAULTS: tuple[Fault, ...] = (bad_network, slow_path, split, isolate, one_way, bridge)
