"""What somebody meets who uses the command line by hand: real processes, a real engine."""

import socket
import time
from datetime import datetime

import pytest

from support import api, images
from support.cleanup import containers
from support.command import orion
from support.nodes import Cluster, NodeProcess, cluster, free_ports

pytestmark = pytest.mark.engine


def test_without_a_majority_errors_name_the_missing_and_local_logs_can_be_read(
    shared: Cluster, busybox_image: str
) -> None:
    """Told soon, in words that say who is missing and what still works; logs of what runs here can be read."""
    shared.grow_to(3)
    shell = ["sh", "-c", "echo i am here; exec sleep 1000"]
    task = shared.run("talker", image=images.BUSYBOX, command=shell)
    alone = shared.node(task["nodeId"])
    dead = sorted((n for n in shared.nodes if n is not alone), key=lambda n: n.name)
    for node in dead:
        node.kill()
    shared.wait(lambda: _are_missed(alone, dead), "the dead to be missed")
    words = f"orion: no majority: 2 of 3 voters ({dead[0].name}, {dead[1].name}) do not answer"
    assert orion(alone, "ps") == (1, "", f"{words}; reads work with --stale\n")
    for command in (("run", images.BUSYBOX), ("stop", "talker"), ("drain", dead[0].name)):
        assert orion(alone, *command) == (1, "", f"{words}; nothing was changed\n")
    code, out, _ = orion(alone, "ps", "--stale")
    assert (code, "talker/0" in out) == (0, True)
    shared.wait(lambda: orion(alone, "logs", "talker") == (0, "i am here\n", ""), "its words")
    assert "Idempotency-Key" not in alone.log_tail(1000)


def _are_missed(alone: NodeProcess, dead: list[NodeProcess]) -> bool:
    seen = {node["name"]: node["status"] for node in alone.ask("GET", "/nodes?stale=1")}
    return all(seen[node.name] == "dead" for node in dead) and not alone.ask("GET", "/raft")["leader"]


def test_a_service_that_somebody_stopped_with_docker_runs_again(
    shared: Cluster, docker_host: str, busybox_image: str
) -> None:
    """It ends with 0 when told to end, as nginx does; that is no success of its own."""
    shared.grow_to(1)
    obeys = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done"]
    first = shared.run("web", image=images.BUSYBOX, command=obeys)
    (container,) = containers(docker_host, f"dev.orion.cluster={shared.id}")
    api.ask(docker_host, "POST", f"/containers/{container['Id']}/stop")

    def again() -> bool:
        task = shared.task("web")
        return task["state"] == "running" and task["startedAt"] > first["startedAt"]

    shared.wait(again, "web to run again")
    (allocation,) = shared.task("web")["allocations"]
    assert allocation["restarts"] == 0


def test_run_and_wait_tells_a_task_that_does_not_stay_up(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(1)
    name, code, err = _until_it_is_seen_to_crash(shared)
    assert code == 1, err
    assert f"orion: {name}/0 does not stay up: restarting after exit code 3" in err
    assert sorted(err.splitlines()[-2:]) == ["  no database", "  reading configuration"]
    assert orion(shared.nodes[0], "run", "--name", "stays", "--wait", images.BUSYBOX, "--", "sleep", "1000")[0] == 0
    assert orion(shared.nodes[0], "run", "--name", "short", "--wait", images.BUSYBOX, "--", "true")[0] == 0


def _until_it_is_seen_to_crash(shared: Cluster) -> tuple[str, int, str]:
    """Its name, and the exit code and the error output of its `orion run --wait`. Where a machine stands still, an
    end is told later than it is waited for. Then it runs, as far as is known, and another one is tried.
    """
    script = "[ -e /said ] || { echo reading configuration; echo no database >&2; touch /said; }; exit 3"
    for name in ("crash", "crash-again", "crash-once-more"):
        command = ("run", "--name", name, "--wait", images.BUSYBOX, "--", "sh", "-c", script)
        code, out, err = orion(shared.nodes[0], *command)
        assert out == f"{name}/0\n"
        if code:
            break
        assert err.splitlines()[-1] == f"{name}/0 runs on node1"
        shared.wait(lambda name=name: "exit code 3" in shared.task(name)["reason"], f"the end of {name}")
    return name, code, err


def test_logs_that_can_t_be_shown_say_why(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(3)
    first = shared.nodes[0]
    orion(first, "run", "--name", "huge", "-m", "900t", images.BUSYBOX)
    shared.wait(lambda: shared.task("huge")["reason"].startswith("needs "), "its reason")
    code, out, err = orion(first, "logs", "huge")
    assert (code, out) == (1, "")
    assert err.startswith("orion: huge/0 has not run yet, so it has no logs; it is pending: needs ")
    orion(first, "run", "--name", "broken", "--wait", images.BUSYBOX, "--", "/no/such/program")
    code, out, err = orion(first, "logs", "broken")
    assert (code, out) == (1, "")
    assert err.startswith("orion: broken/0 has not run yet, so it has no logs; it is failed: ")

    pinned = {"nodeSelectors": {"id": "node3"}}
    shared.run("pinned", image=images.BUSYBOX, command=["sh", "-c", "echo hello; exec sleep 1000"], **pinned)
    shared.wait(lambda: orion(first, "logs", "pinned") == (0, "hello\n", ""), "its words")
    shared.node("node3").kill()
    shared.wait(lambda: first.ask("GET", "/nodes/node3")["status"] == "dead", "node3 to be called dead")
    code, out, err = orion(first, "logs", "pinned")
    assert (code, out) == (1, "")
    assert err.startswith("orion: the logs are on node3, which is dead since 2")


def test_a_running_node_that_is_removed_ends(shared: Cluster) -> None:
    shared.grow_to(2)
    first, second = shared.nodes
    assert orion(first, "nodes", "rm", "node2") == (
        1,
        "",
        "orion: node2 is in use; drain it first: orion drain node2\n",
    )
    assert orion(first, "drain", "--wait", "node2")[0] == 0
    assert orion(first, "nodes", "rm", "node2") == (0, "node2\n", "")
    assert second.process is not None
    assert second.process.wait(30) == 1
    log = second.log_tail(200)
    assert log.splitlines()[-1].startswith("orion: this data directory belonged to a node that was removed")
    assert log.count("was removed") == 1
    second.start(*shared.joining(second))
    assert second.process.wait(60) == 1
    assert second.log_tail(200).count("not registered: ") == 1, "told once, not for each try"


def test_ports_are_shown_where_they_can_be_reached(shared: Cluster, web_image: str) -> None:
    shared.grow_to(1)
    (node,) = shared.nodes
    open_port, own_port = str(free_ports()[0]), str(free_ports()[1])
    for name, publish in (("open", f"{open_port}:80"), ("own", f"127.0.0.1:{own_port}:80")):
        assert orion(node, "run", "--name", name, "-p", publish, "--wait", web_image)[0] == 0
    assert f" 0.0.0.0:{open_port}->80/tcp " in orion(node, "ps", "open")[1]
    assert f" 127.0.0.1:{own_port}->80/tcp " in orion(node, "ps", "own")[1]
    with socket.create_connection(("127.0.0.2", int(open_port)), timeout=30):
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", int(own_port)), timeout=30)


def test_three_web_servers_started_by_hand_are_on_three_nodes(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(3)

    def started(name: str, *flags: str) -> str:
        words = (*flags, images.BUSYBOX, "sleep", "1000")
        assert orion(shared.nodes[0], "run", "--name", name, "--wait", *words)[0] == 0
        return str(shared.task(name)["nodeId"])

    assert {started(name) for name in ("web1", "web2", "web3")} == {"node1", "node2", "node3"}
    packed = {started(name, "--placement", "pack", "--memory", "32m") for name in ("job1", "job2", "job3")}
    assert len(packed) == 1
    assert orion(shared.nodes[1], "config", "put", "orion/placement", "pack")[0] == 0
    assert {started("job4", "--memory", "32m")} == packed


def test_labels_of_a_running_node_are_changed_and_survive_its_restarts(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(1)
    (node,) = shared.nodes
    assert orion(node, "run", "--name", "fast", "--constraint", "disk=ssd", busybox_image, "sleep", "1000")[0] == 0
    shared.wait(lambda: shared.task("fast")["reason"] == "no node has the label disk=ssd", "a reason")
    code, out, _ = orion(node, "nodes", "label", "node1", "disk=ssd")
    assert (code, " disk=ssd " in out) == (0, True)
    shared.wait_task("fast", "running")
    node.kill()
    node.start("--label", "disk=hdd")
    shared.wait(lambda: node.ask("GET", "/nodes/node1")["labelChanges"] == {"disk": "ssd"}, "node1 to be back")
    assert node.ask("GET", "/nodes/node1")["labels"]["disk"] == "ssd"
    assert orion(node, "nodes", "label", "node1", "disk-")[0] == 0
    assert "disk" not in node.ask("GET", "/nodes/node1")["labels"]
    assert shared.task("fast")["state"] == "running", "it stays where it is"


def test_a_setting_of_the_beginning_is_as_old_as_the_cluster() -> None:
    begun_s = int(time.time())
    with cluster(["unix:///nonexistent/docker.sock"], "--network", "10.250.0.0/16") as made:
        made.grow_to(1, engines=False)
        (found,) = made.any().ask("GET", "/configs")
    assert found["key"] == "orion/network"
    assert datetime.fromisoformat(found["changedAt"]).timestamp() >= begun_s
