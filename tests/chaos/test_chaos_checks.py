"""The checks of script/chaos see what they are there for."""

import random

from chaos.faults import KINDS
from chaos.lanes import Bag
from chaos.ledger import Told, lost, undead
from chaos.placements import wrong_placements

GIB = 1 << 30


def task(name: str, *allocations: tuple[str, str], port: str = "", memory: int = 0, cpu: float = 0.0) -> dict:
    return {
        "id": f"{name}/0",
        "name": name,
        "memory": memory,
        "cpu": cpu,
        "portBindings": {"80/tcp": port},
        "allocations": [{"id": f"{name}{i}", "nodeId": n, "state": s} for i, (n, s) in enumerate(allocations)],
    }


def test_what_was_acknowledged_must_be_there():
    told = {"a": Told.CREATED, "b": Told.MAYBE, "c": Told.DELETED, "d": Told.MAYBE_DELETED, "e": Told.REFUSED}
    assert lost(told, ["a"]) == []
    assert lost(told, ["b", "d"]) == ["a"]


def test_what_was_deleted_or_refused_or_never_asked_for_must_not_be_there():
    told = {"a": Told.CREATED, "b": Told.MAYBE, "c": Told.DELETED, "d": Told.MAYBE_DELETED, "e": Told.REFUSED}
    assert undead(told, ["a", "b", "d"]) == []
    assert undead(told, ["a", "c", "e", "f"]) == ["c", "e", "f"]


def test_a_host_port_is_given_once_on_a_node():
    tasks = [task("a", ("n1", "lost"), ("n2", "running"), port="80"), task("b", ("n1", "starting"), port="80")]
    assert wrong_placements(tasks, GIB, 1) == []
    tasks.append(task("c", ("n1", "scheduled"), port="80"))
    assert wrong_placements(tasks, GIB, 1) == ["host port 80/tcp of n1 is given to b/0 (b0) and c/0 (c0)"]


def test_a_free_port_is_no_claim():
    assert wrong_placements([task("a", ("n1", "running")), task("b", ("n1", "running"))], GIB, 1) == []


def test_a_node_gives_no_more_than_it_has():
    half = task("a", ("n1", "running"), memory=GIB // 2, cpu=0.5)
    assert wrong_placements([half, half], GIB, 1) == []
    assert wrong_placements([half, half, half], GIB, 1) == [
        f"n1 has {GIB} bytes and gave {GIB // 2 * 3}",
        "n1 has 1 cores and gave 1.5",
    ]


def test_every_kind_of_fault_comes_before_any_comes_twice():
    bag = Bag(random.Random("seed"))
    for _ in range(3):
        assert sorted(bag.draw() for _ in KINDS) == sorted(KINDS)
