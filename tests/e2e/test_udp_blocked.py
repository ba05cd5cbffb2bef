"""UDP between the hosts is dropped and TCP is not: the commonest slip in a firewall."""

import collections
import itertools
import json
import multiprocessing
import os
import time

import pytest

from chaos.asking import NotSent, Unknown, ask
from chaos.node import GOSSIP_PORT, ChaosNode
from chaos.world import World, wait, world
from support import images

pytestmark = [pytest.mark.engine, pytest.mark.root]

NODES = 3
NO_UDP = ["ip saddr 10.77.0.0/24 meta l4proto udp drop"]
WRONGLY_GIVEN_UP = 4
LOAD_S = 120.0  # at most; it ends as soon as gossip has been wrong often enough
HELD_UP_S = (
    0.4  # so long a process has no turn on a machine that is busy; probes fail, and nobody can deny it by UDP
)


def _spin(until: float) -> None:
    os.setsid()  # the kernel shares cores out by sessions
    while time.monotonic() < until:
        pass


def told(node: ChaosNode, path: str):
    """None when it does not say so now."""
    try:
        answer = ask(node.address, "GET", path)
    except (NotSent, Unknown):
        return None
    return answer.json() if answer.status == 200 else None


def created(node: ChaosNode, task: dict) -> bool:
    """However often it is asked for, it is created once; a cluster that has just begun may elect a leader again."""
    try:
        answer = ask(node.address, "POST", "/tasks", json.dumps(task).encode(), {"Idempotency-Key": task["name"]})
    except (NotSent, Unknown):
        return False
    assert answer.status in {201, 503}, answer
    return answer.status == 201


def running(made: World) -> dict[str, str]:
    """Task -> its allocation, once all run; else nothing."""
    tasks = told(made.nodes[0], "/tasks") or []
    found = {t["id"]: t["allocations"][-1]["id"] for t in tasks if t["state"] == "running"}
    return found if len(found) == NODES else {}


def lines(made: World, words: str) -> list[str]:
    return [line for node in made.nodes for line in node.log_file.read_text().splitlines() if words in line]


def test_nobody_is_called_dead_and_both_ends_say_why_once() -> None:
    with world(nodes=NODES) as made:
        for engine in made.engines:
            image = images.web(engine.host)
        for host in made.lab.hosts:
            made.lab.add_rules(host, NO_UDP)
        made.form()
        for number in range(NODES):
            task = {"name": f"web{number}", "image": image, "memory": 60_000_000}  # one fits on a node
            wait(lambda task=task: created(made.nodes[0], task), f"{task['name']} to be taken")
        wait(lambda: running(made), "all tasks to run")
        before = running(made)
        wait(lambda: len(lines(made, "does not get through")) == NODES * (NODES - 1), "all to say what is wrong")
        statuses = _until_gossip_was_wrong(made)
        assert set(statuses) <= {"alive", "suspect"}, statuses
        assert not lines(made, "went down")
        wait(lambda: running(made), "all tasks to run")
        assert running(made) == before, "nothing moved"
        for node in made.nodes:
            for other in made.nodes:
                words = (
                    f"UDP to {other.address}:{GOSSIP_PORT}, the gossip port of {other.name}, does not get through"
                )
                assert node.log_file.read_text().count(words) == (node is not other), f"{node.name} of {other.name}"
        _one_that_dies_is_still_found_out(made)
        for host in made.lab.hosts:
            made.lab.remove_rules(host, NO_UDP)
        wait(lambda: len(lines(made, "gets through now")) >= 2, "the survivors to say that UDP gets through")


def _until_gossip_was_wrong(made: World) -> collections.Counter:
    """Under load, which holds up one process after the other. How often nodes said which status of each other."""
    statuses: collections.Counter = collections.Counter()
    turns = itertools.cycle(made.nodes)

    def wrong_often_enough() -> bool:
        node = next(turns)
        node.pause()
        time.sleep(HELD_UP_S)
        node.resume()
        for other in made.nodes:
            statuses.update(n["status"] for n in told(other, "/nodes?stale=1") or [])
        return len(lines(made, "given up by gossip")) >= WRONGLY_GIVEN_UP

    spinners = [
        multiprocessing.get_context("spawn").Process(target=_spin, args=(time.monotonic() + LOAD_S,))
        for _ in range(4 * (os.cpu_count() or 1))
    ]
    try:
        for spinner in spinners:
            spinner.start()
        wait(wrong_often_enough, "gossip to give up living nodes", LOAD_S)
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.join()
    return statuses


def _one_that_dies_is_still_found_out(made: World) -> None:
    leader = made.leader()
    victim = next(node for node in made.nodes if node.name != leader)
    asked = next(node for node in made.nodes if node is not victim)
    victim.kill()

    def is_dead() -> bool:
        return any(n["name"] == victim.name and n["status"] == "dead" for n in told(asked, "/nodes") or [])

    wait(is_dead, f"{victim.name} to be called dead")
