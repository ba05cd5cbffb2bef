"""SIGTERM: leadership is handed over, writes go on, containers stay."""

import signal
import threading

import pytest

from support.cleanup import containers
from support.nodes import Cluster, NodeProcess, Problem

pytestmark = pytest.mark.engine


class Writer(threading.Thread):
    """Creates tasks that fit nowhere, one after the other, through one node; remembers what was acknowledged."""

    def __init__(self, node: NodeProcess) -> None:
        super().__init__()
        self._node = node
        self._over = threading.Event()
        self.acknowledged: list[str] = []
        self.refused: list[str] = []

    def run(self) -> None:
        number = 0
        while not self._over.is_set():
            number += 1
            request = {"name": f"w{number}", "image": "none", "memory": 10**15}
            try:
                self.acknowledged.append(self._node.ask("POST", "/tasks", request)["name"])
            except Problem as problem:
                self.refused.append(f"w{number}: {problem}")

    def finish(self) -> None:
        self._over.set()
        self.join()


def test_the_leader_stops_under_writes_and_none_is_lost(shared: Cluster, docker_host: str, web_image: str) -> None:
    shared.grow_to(3)
    shared.run("web", image=web_image)
    leader = shared.leader()
    assert leader is not None
    before = containers(docker_host, f"dev.orion.cluster={shared.id}")
    writer = Writer(next(n for n in shared.nodes if n is not leader))
    writer.start()
    try:
        shared.wait(lambda: len(writer.acknowledged) > 20, "some writes")
        assert leader.stop() == 0
        already = len(writer.acknowledged)
        shared.wait(lambda: len(writer.acknowledged) > already + 20, "writes after the stop")
    finally:
        writer.finish()
    assert writer.refused == []
    assert "leadership handed over" in leader.log_tail()
    there = {task["name"] for task in shared.any().ask("GET", "/tasks")}
    assert set(writer.acknowledged) <= there
    assert {c["Id"] for c in containers(docker_host, f"dev.orion.cluster={shared.id}")} == {c["Id"] for c in before}
    assert {n["name"]: n["status"] for n in shared.any().ask("GET", "/nodes")}[leader.name] == "left"
    leader.start(*shared.joining(leader))
    shared.wait_settled(3)
    assert shared.task("web/0")["allocations"][-1]["restarts"] == 0
    assert {c["Id"] for c in containers(docker_host, f"dev.orion.cluster={shared.id}")} == {c["Id"] for c in before}


def test_drain_then_remove_a_node_for_good(shared: Cluster, web_image: str) -> None:
    shared.grow_to(3)
    task = shared.run("web", image=web_image)
    node = task["nodeId"]
    with pytest.raises(Problem, match="drain"):
        shared.any().ask("DELETE", f"/nodes/{node}")
    shared.any().ask("POST", f"/nodes/{node}/drain")

    def elsewhere() -> bool:
        now = shared.task("web/0")
        return now["state"] == "running" and now["nodeId"] != node

    shared.wait(elsewhere, "web/0 to run elsewhere")
    shared.wait(lambda: shared.any().ask("GET", f"/nodes/{node}")["tasks"] == 0, "the drained node to be empty")
    gone = shared.node(node)
    gone.stop()
    shared.any().ask("DELETE", f"/nodes/{node}")
    shared.wait(lambda: len(shared.any().ask("GET", "/raft")["voters"]) == 1, "the voters to follow")
    assert node not in {n["name"] for n in shared.any().ask("GET", "/nodes")}
    gone.start(*shared.joining(gone))
    assert gone.process is not None
    assert gone.process.wait(40) == 1
    assert "was removed" in gone.log_tail()


def test_a_second_sigterm_changes_nothing(shared: Cluster) -> None:
    shared.grow_to(1)
    node = shared.nodes[0]
    node.signal(signal.SIGTERM)
    node.signal(signal.SIGTERM)
    assert node.process is not None
    assert node.process.wait(20) == 0
    node.start()
    shared.wait(lambda: node.ask("GET", "/readyz") and shared.leader(), "the node to lead again")
