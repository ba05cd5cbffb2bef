"""Rules for a task's node: real processes, a real engine."""

import subprocess

import pytest

from support import images
from support.command import orion
from support.nodes import Cluster

pytestmark = pytest.mark.engine

SERVES = ("sh", "-c", "mkdir /www; echo hello > /www/index.html; exec httpd -f -p 80 -h /www")
ASKS = ("sh", "-c", "until wget -qO- http://127.0.0.1:80/; do sleep 0.2; done; exec sleep 1000000")


def label(shared: Cluster, node: str, *labels: str) -> None:
    assert orion(shared.nodes[0], "nodes", "label", node, *labels)[0] == 0


def run(shared: Cluster, name: str, *options: str, words: tuple[str, ...] = ("sleep", "1000000")) -> None:
    done = orion(shared.nodes[0], "run", "--name", name, *options, images.BUSYBOX, *words)
    assert done[0] == 0, done


def test_constraints_preferences_and_reasons(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(3)
    for node, zone, kernel in (("node1", "a", "6.8.0-45-generic"), ("node2", "b", "5.15"), ("node3", "c", "6.1")):
        label(shared, node, f"zone={zone}", f"kernel={kernel}")
    label(shared, "node2", "disk=ssd")
    placed = {
        "set": (["--constraint", "zone in (b, d)"], "node2"),
        "docker": (["--constraint", "node.labels.zone==c"], "node3"),
        "version": (["--constraint", "kernel>=6.2"], "node1"),
        "pattern": (["--constraint", "id~[13]$", "--constraint", "zone!=a"], "node3"),
        "none": (["--constraint", "disk not exists", "--constraint", "zone not in (c)"], "node1"),
        "better": (["--prefer", "disk=ssd"], "node2"),
        "worse": (["--prefer", "disk exists@-50", "--prefer", "zone=a@-1"], "node3"),
    }
    for name, (options, _) in placed.items():
        run(shared, name, *options)
    for name, (_, node) in placed.items():
        assert shared.wait_task(name, "running")["nodeId"] == node, name
    run(shared, "nowhere", "--constraint", "zone in (x, y)")
    shared.wait(lambda: shared.task("nowhere")["reason"] == "no node passes zone in (x, y)", "its reason")
    assert shared.task("nowhere")["placement"] == {"constraints": ["zone in (x, y)"]}
    assert shared.task("nowhere")["placementFailure"]["nodesFiltered"] == {"constraints": 3}
    label(shared, "node1", "zone=x")
    assert shared.wait_task("nowhere", "running")["nodeId"] == "node1"


def test_a_task_alongside_another_has_its_network_through_restarts_and_moves(
    shared: Cluster, busybox_image: str, docker_host: str
) -> None:
    shared.grow_to(3)
    run(shared, "beside", "--alongside", "vpn:network", words=ASKS)
    words = "is to run alongside vpn, of which no task runs on a node that could take it"
    shared.wait(lambda: shared.task("beside")["reason"] == words, "its reason")
    run(shared, "vpn", "--restart", "always", words=SERVES)
    beside, vpn = shared.wait_task("beside", "running"), shared.task("vpn")
    assert beside["nodeId"] == vpn["nodeId"]

    def answers(count: int) -> bool:
        return str(shared.any().ask("GET", "/tasks/beside/logs")).count("hello") == count

    shared.wait(lambda: answers(1), "the other's answer on localhost")

    def docker(*command: str) -> None:
        subprocess.run(["docker", "-H", docker_host, *command], check=True, capture_output=True, timeout=60)

    node = shared.node(vpn["nodeId"])
    node.stop()  # what it had in memory is gone: the engine says what shares with what
    node.start(*shared.joining(node))
    shared.wait_settled(3)
    docker("kill", vpn["allocations"][-1]["containerId"])  # the network goes with it
    shared.wait(lambda: answers(2), "an answer in the network of its next run")
    assert orion(shared.nodes[0], "drain", vpn["nodeId"])[0] == 0

    def moved() -> bool:
        tasks = [shared.task(name) for name in ("vpn", "beside")]
        nodes = {task["nodeId"] for task in tasks}
        return all(task["state"] == "running" for task in tasks) and len(nodes) == 1 and vpn["nodeId"] not in nodes

    shared.wait(moved, "both to run elsewhere")
    shared.wait(lambda: answers(1), "an answer there")


def test_a_task_with_the_network_of_another_is_checked_there(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(1)
    run(shared, "vpn", words=("sleep", "1000000"))
    run(shared, "beside", "--alongside", "vpn:network", "--health", "http:80/index.html", words=SERVES)

    def is_healthy() -> bool:
        return "healthy" in [run.get("health") for run in shared.task("beside")["allocations"]]

    shared.wait(is_healthy, "its check to pass at the other's address")


def test_a_task_sees_the_processes_of_another(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(1)
    run(shared, "seen", words=("sleep", "424242"))
    shared.wait_task("seen", "running")
    run(shared, "sees", "--alongside", "seen:pid", words=("sh", "-c", "ps -o args; exec sleep 1000000"))
    shared.wait_task("sees", "running")
    shared.wait(lambda: "sleep 424242" in str(shared.any().ask("GET", "/tasks/sees/logs")), "the other's process")


def test_ports_and_a_host_name_go_to_the_job_whose_network_it_is(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(1)
    code, out, error = orion(
        shared.nodes[0], "run", "--alongside", "vpn:network", "-p", "80", "--hostname", "a", images.BUSYBOX
    )
    assert (code, out) == (2, "")
    assert "--alongside: a task with the network of vpn can't have ports: give ports to that job" in error
    assert "--alongside: a task with the network of vpn can't have a host name" in error


def test_a_node_that_joined_gets_tasks_when_that_is_asked_for(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(1)
    names = ("one", "two", "three", "four")
    for name in names:
        run(shared, name, "-m", "64m")
    run(shared, "stays", "-m", "64m", "--constraint", "id=node1")
    for name in names:
        shared.wait_task(name, "running")
    shared.grow_to(2)
    code, out, _ = orion(shared.nodes[1], "rebalance", "--dry-run")
    assert (code, out.count("node1"), out.count("node2")) == (0, 2, 2)
    assert {shared.task(name)["nodeId"] for name in names} == {"node1"}, "nothing moves by itself"
    assert orion(shared.nodes[1], "rebalance") == (code, out, "")

    def evened() -> bool:
        tasks = [shared.task(name) for name in names]
        nodes = sorted(task["nodeId"] for task in tasks)
        return all(task["state"] == "running" for task in tasks) and nodes == ["node1"] * 2 + ["node2"] * 2

    shared.wait(evened, "two of them to run on node2")
    assert shared.task("stays")["nodeId"] == "node1"
    # What has moved counts where it was until it has ended there.
    shared.wait(lambda: orion(shared.nodes[0], "rebalance", "--dry-run")[1] == "", "nothing more to move")
    assert orion(shared.nodes[0], "rebalance")[1] == ""


def test_a_job_that_says_how_it_is_updated_moves_without_a_task_less(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(1)
    update = {"monitorSeconds": 1, "minAvailable": 2}
    body = {"image": images.BUSYBOX, "command": ["sleep", "1000000"], "count": 2, "stopGraceSeconds": 0}
    for name in ("api", "web"):
        shared.any().ask("PUT", f"/jobs/{name}", body | {"update": update, "memory": 512 << 20})

    def nodes(name: str) -> list[str]:
        tasks = [each for each in shared.any().ask("GET", "/tasks") if each["name"] == name]
        runs = [run for each in tasks for run in each["allocations"] if run["state"] == "running"]
        return sorted(run["nodeId"] for run in runs)

    def is_done(name: str) -> bool:
        return shared.any().ask("GET", f"/jobs/{name}")["deployment"]["state"] == "done"

    shared.wait(lambda: is_done("api") and is_done("web"), "all to run")
    assert nodes("api") == nodes("web") == ["node1"] * 2
    shared.grow_to(2)
    assert orion(shared.nodes[0], "rebalance")[0] == 0

    def moved() -> bool:
        ready = {job["name"]: job["ready"] for job in shared.any().ask("GET", "/jobs")}
        assert min(ready.values()) >= 2, ready
        return nodes("api") == nodes("web") == ["node1", "node2"]

    shared.wait(moved, "one task of each to have moved")
