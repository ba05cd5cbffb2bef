"""Tasks that can't run say why, each in one sentence, and nothing is lost."""

import socket

import pytest

from support import api
from support.cleanup import containers
from support.nodes import Cluster, Problem, free_ports
from support.refusals import refusing_registry

pytestmark = pytest.mark.engine


def test_the_second_of_two_tasks_with_one_static_port_waits_for_the_first(one: Cluster, web_image: str) -> None:
    port = str(free_ports()[0])
    one.run("first", image=web_image, portBindings={"80/tcp": port})
    one.any().ask("POST", "/tasks", {"name": "second", "image": web_image, "portBindings": {"80/tcp": port}})
    one.wait(lambda: "port" in one.task("second")["reason"], "a reason")
    second = one.task("second")
    assert second["state"] == "pending"
    assert second["reason"] == f"port {port} is taken on 1 of 1 nodes"
    (taken,) = second["placementFailure"]["portsTaken"]
    assert taken == {"hostPort": int(port), "protocol": "tcp", "holder": "task", "nodes": 1}
    one.any().ask("DELETE", "/tasks/first")
    one.wait_task("second", "running")


def test_a_port_that_another_program_holds_is_told_and_had_once_free(one: Cluster, web_image: str) -> None:
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        port = other.getsockname()[1]
        one.any().ask("POST", "/tasks", {"name": "web", "image": web_image, "portBindings": {"80/tcp": str(port)}})
        found = one.wait(
            lambda: (t := one.task("web"))["state"] == "starting" and "trying again" in t["reason"] and t, "why"
        )
        assert str(port) in found["reason"]


def test_orion_s_own_ports_are_refused_at_once(one: Cluster, web_image: str) -> None:
    node = one.nodes[0]
    ports = {"80/tcp": node.port, "81/tcp": node.raft_port, "82/tcp": node.gossip_port, "53/udp": node.gossip_port}
    for key, port in ports.items():
        with pytest.raises(Problem) as caught:
            node.ask("POST", "/tasks", {"name": "web", "image": web_image, "portBindings": {key: str(port)}})
        assert caught.value.status == 422
        (error,) = caught.value.body["errors"]
        assert error["pointer"] == "/portBindings/" + key.replace("/", "~1")
        assert f"host port {port}" in error["message"]
        assert "Orion itself listens on" in error["message"]
    assert one.any().ask("GET", "/tasks") == []


def test_a_container_has_a_limit_of_processes(one: Cluster, docker_host: str, busybox_image: str) -> None:
    one.run("web", image=busybox_image, command=["sleep", "1000000"])
    (found,) = containers(docker_host, f"dev.orion.cluster={one.id}")
    shown = api.ask_json(docker_host, "GET", f"/containers/{found['Id']}/json")
    assert shown["HostConfig"]["PidsLimit"] == 4_096


def test_a_task_whose_image_does_not_exist_fails_with_the_registry_s_words(one: Cluster) -> None:
    with refusing_registry() as registry:
        image = registry.image(404)
        one.any().ask("POST", "/tasks", {"name": "ghost", "image": image, "restartPolicy": "always"})
        found = one.wait_task("ghost", "failed", 300)
    assert found["reason"].startswith(f"{image} can't be pulled: ")
    assert "manifest unknown" in found["reason"]


def test_a_command_that_exits_at_once_fails_with_its_last_words(one: Cluster, busybox_image: str) -> None:
    done = {"name": "done", "image": busybox_image, "command": ["true"]}
    bad = {
        "name": "bad",
        "image": busybox_image,
        "command": ["sh", "-c", "echo cannot open the database; exit 7"],
        "restartPolicy": "on-failure:1",
    }
    one.any().ask("POST", "/tasks", done)
    one.any().ask("POST", "/tasks", bad)
    one.wait_task("done", "completed")
    failed = one.wait_task("bad", "failed")
    assert failed["reason"] == "exit code 7: cannot open the database"
    assert failed["allocations"][-1]["restarts"] == 1
    assert failed["allocations"][-1]["exitCode"] == 7
    assert one.any().ask("GET", "/tasks/bad/logs") == "cannot open the database\n" * 2


def test_a_shell_in_a_copy_of_a_task_s_image_is_not_the_task(
    one: Cluster, docker_host: str, busybox_image: str
) -> None:
    """`docker commit` and `docker run`, to look into what a task does: the copy has the task's labels."""
    one.run("web", image=busybox_image, command=["sleep", "1000000"])
    (original,) = containers(docker_host, f"dev.orion.cluster={one.id}")
    image = f"orion-test/copy:{one.id}"
    repository, _, tag = image.partition(":")
    api.ask(docker_host, "POST", f"/commit?container={original['Id']}&repo={repository}&tag={tag}")
    copies = []
    try:
        for command in (["true"], ["sleep", "1000000"]):
            made = api.ask_json(docker_host, "POST", "/containers/create", {"Image": image, "Cmd": command})
            copies.append(made["Id"])
            api.ask(docker_host, "POST", f"/containers/{copies[-1]}/start")
        api.ask(docker_host, "POST", f"/containers/{copies[0]}/wait")
        one.run("later", image=busybox_image, command=["sleep", "1000000"])  # the node has looked since
        web = one.task("web")
        assert (web["state"], web["allocations"][-1]["restarts"]) == ("running", 0)
        one.any().ask("DELETE", "/tasks/web")

        def left() -> set[str]:
            return {c["Id"] for c in containers(docker_host, f"dev.orion.cluster={one.id}")}

        one.wait(lambda: original["Id"] not in left(), "the task's container to go")
        one.run("last", image=busybox_image, command=["sleep", "1000000"])
        assert left() > set(copies)
    finally:
        for copy in copies:
            api.ask(docker_host, "DELETE", f"/containers/{copy}?force=1")
        api.ask(docker_host, "DELETE", f"/images/{image}?force=1")


def test_a_task_larger_than_any_node_waits_with_a_reason(one: Cluster, web_image: str) -> None:
    one.any().ask("POST", "/tasks", {"name": "huge", "image": web_image, "memory": 100 * 10**15})
    one.wait(lambda: "memory" in one.task("huge")["reason"], "a reason")
    huge = one.task("huge")
    assert huge["state"] == "pending"
    assert huge["reason"].startswith("needs 100 PB of memory; the largest node has ")
    short = huge["placementFailure"]["resourcesShort"]["memory"]
    assert (short["nodes"], short["needs"]) == (1, 100 * 10**15)
    assert 0 < short["mostFree"] < short["needs"]


def test_nonsense_is_refused_and_nothing_is_made(one: Cluster) -> None:
    for body, status in (
        ({"image": "nginx", "memory": -1}, 422),
        ({"image": "nginx", "portBindings": {"80/tcp": "70000"}}, 422),
        ({"image": "nginx", "colour": "red"}, 422),
        ({"image": 7}, 422),
    ):
        with pytest.raises(Problem) as caught:
            one.any().ask("POST", "/tasks", body)
        assert caught.value.status == status
        assert caught.value.body["errors"]
    for path in ("/tasks/nobody", "/nodes/nobody", "/tasks/nobody/logs"):
        with pytest.raises(Problem) as caught:
            one.any().ask("GET", path)
        assert caught.value.status == 404
    assert one.any().ask("GET", "/tasks") == []


def test_a_task_that_is_being_pulled_or_runs_can_be_stopped(one: Cluster, web_image: str) -> None:
    one.run("web", image=web_image)
    one.any().ask("DELETE", "/tasks/web")

    def gone() -> bool:
        try:
            one.task("web")
        except Problem as problem:
            return problem.status == 404
        return False

    one.wait(gone, "web to be forgotten")
