"""SIGTERM: leadership is handed over, writes go on, containers stay."""

import signal
import threading

import pytest

from support import images
from support.cleanup import containers
from support.command import orion
from support.dockerd import Dockerd
from support.nodes import Cluster, NodeProcess, Problem, cluster

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
    leader = shared.wait(shared.leader, "a leader")
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
    shared.wait(lambda: shared.any().ask("GET", f"/nodes/{leader.name}")["status"] == "left", "it to have left")
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


def test_the_last_line_of_a_stop_names_what_runs_on(web_image: str, docker_host: str, own_engine: Dockerd) -> None:
    """Where the others have engines of their own, it runs twice later, and the line says from when on."""
    images.web(own_engine.host)
    with cluster([docker_host, docker_host, own_engine.host]) as made:
        made.grow_to(3)
        made.run("web", image=web_image, nodeSelectors={"id": "node3"})
        third = made.node("node3")
        assert third.stop() == 0
        last = third.log_tail().splitlines()[-1]
        assert (
            "stopped. web/0 runs on in its container, and nobody looks after it. Unless node3 is back by " in last
        )
        assert " (in 60 s), it is started on another node too and runs twice until it is back; " in last
        assert last.endswith("'orion drain node3 --stop' moves tasks before it stops a node")
        reason = made.any().ask("GET", "/nodes/node3")["reason"]
        assert reason.startswith("stopped on purpose; its tasks wait for it until 2")


@pytest.mark.parametrize("asked", ["another node", "the node itself"])
def test_drain_and_stop_leaves_nothing_behind(
    shared: Cluster, docker_host: str, web_image: str, asked: str
) -> None:
    shared.grow_to(3)
    home = shared.node(shared.run("web", image=web_image)["nodeId"])
    other = next(node for node in shared.nodes if node is not home)
    with pytest.raises(Problem, match=f"{home.name} still has tasks"):
        other.ask("POST", f"/nodes/{home.name}/stop")
    code, out, err = orion(home if asked == "the node itself" else other, "drain", "--stop", home.name)
    assert (code, out.splitlines()[-1]) == (
        0,
        f"{home.name} has stopped. Once it is started again, 'orion ready {home.name}' gives it work",
    ), err
    assert home.process is not None
    assert home.process.wait(20) == 0
    assert home.log_tail().splitlines()[-1].endswith(f"stopped; {home.name} runs no task")
    task = shared.wait_task("web", "running")
    assert task["nodeId"] != home.name
    assert [run["state"] for run in task["allocations"]] == ["stopped", "running"]
    found = containers(docker_host, f"dev.orion.cluster={shared.id}")  # the former one may be kept for its logs
    running = [c["Labels"]["dev.orion.node"] for c in found if c["State"] == "running"]
    assert running == [task["nodeId"]]
    home.start(*shared.joining(home))

    def back() -> bool:
        view = other.ask("GET", f"/nodes/{home.name}")
        return view["status"] == "drained" and view["reason"] == f"gets no work until 'orion ready {home.name}'"

    shared.wait(back, "it to be back, and drained")
    assert orion(other, "ready", home.name)[0] == 0
    shared.wait_settled(3)


def test_a_second_sigterm_changes_nothing(shared: Cluster) -> None:
    shared.grow_to(1)
    node = shared.nodes[0]
    node.signal(signal.SIGTERM)
    node.signal(signal.SIGTERM)
    assert node.process is not None
    assert node.process.wait(20) == 0
    node.start()
    shared.wait(lambda: node.ask("GET", "/readyz") and shared.leader(), "the node to lead again")
