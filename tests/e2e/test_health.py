"""Tasks are checked, ready or not, restarted and ended in order: real processes, a real engine."""

import contextlib
import json
import threading
import time
from typing import Any

import pytest

from orion.client import Client
from support import api, images
from support.dockerd import Dockerd
from support.nodes import Cluster, NodeProcess, cluster

pytestmark = pytest.mark.engine

QUICK = {"intervalSeconds": 0.5, "timeoutSeconds": 20, "retries": 2, "startPeriodSeconds": 30}
UP = {"http": {"port": 80, "path": "/up"}, **QUICK}
SERVES = "mkdir -p /www; echo fine > /www/up; exec httpd -f -p 80 -h /www"


def create(cluster: Cluster, name: str, script: str, **fields: Any) -> str:
    body = {"name": name, "image": images.BUSYBOX, "command": ["sh", "-c", script], **fields}
    return str(cluster.any().ask("POST", "/tasks", body)["id"])


def run_of(cluster: Cluster, name: str) -> dict[str, Any]:
    """The newest of its runs."""
    runs = cluster.task(name)["allocations"]
    return dict(runs[-1]) if runs else {}


def until_health(cluster: Cluster, name: str, health: str) -> dict[str, Any]:
    def reached() -> dict[str, Any] | None:
        run = run_of(cluster, name)
        return run if run.get("health") == health else None

    return cluster.wait(reached, f"{name} to be {health}")


def until_ready(cluster: Cluster, name: str) -> dict[str, Any]:
    return cluster.wait(lambda: (r := run_of(cluster, name)).get("readySince") and r, f"{name} to be ready")


def inside(host: str, run: dict[str, Any], *command: str) -> None:
    api.run_inside(host, run["containerId"], *command)


def restarts_of(cluster: Cluster, name: str) -> list[str]:
    text = cluster.any().ask("GET", f"/events?follow=0&subject={name}/0")
    events = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith('data: {"')]
    return [event["text"] for event in events if event["kind"] == "TaskRestarted"]


@pytest.mark.root
def test_another_machine_takes_over_from_one_on_which_a_task_is_unhealthy(
    docker_host: str, busybox_image: str, own_engine: Dockerd
) -> None:
    """Both machines are well; what is ill is one container."""
    with cluster([docker_host, own_engine.host]) as two:
        two.grow_to(2)
        check = {"exec": {"command": ["sh", "-c", "test ! -e /ill"]}, **QUICK, "onUnhealthy": "replace"}
        create(two, "moved", "trap 'exit 0' TERM; while :; do sleep 0.1; done", healthCheck=check)
        first = until_health(two, "moved", "healthy")
        hosts = {"node1": docker_host, "node2": own_engine.host}
        inside(hosts[first["nodeId"]], first, "touch", "/ill")
        now = two.wait(
            lambda: (r := run_of(two, "moved"))["health"] == "healthy" and r["id"] != first["id"] and r,
            "another one",
        )
        assert now["nodeId"] != first["nodeId"]
        before = two.wait(
            lambda: (a := two.task("moved")["allocations"][0])["state"] == "stopped" and a, "the end of the ill one"
        )
        assert before["restarts"] == 0
        text = two.any().ask("GET", "/events?follow=0&subject=moved/0")
        assert f"moved/0 is unhealthy on {first['nodeId']} (health check failed: sh: exit code 1" in text


# --- checks ------------------------------------------------------------------------------------------------


def test_a_task_is_healthy_once_it_answers_and_restarted_once_it_does_not(
    one: Cluster, docker_host: str, busybox_image: str
) -> None:
    create(one, "web", SERVES, healthCheck=UP)
    run = until_health(one, "web", "healthy")
    assert run["readySince"]
    inside(docker_host, run, "rm", "/www/up")
    one.wait(lambda: run_of(one, "web")["restarts"] == 1, "its restart")
    again = until_health(one, "web", "healthy")
    assert again["containerId"] == run["containerId"]
    assert again["readySince"] > run["readySince"]
    (told,) = restarts_of(one, "web")
    assert "health check failed: GET /up on " in told
    assert "status 404" in told


def test_a_command_is_a_check_and_its_words_are_the_reason(
    one: Cluster, docker_host: str, busybox_image: str
) -> None:
    check = {"exec": {"command": ["sh", "-c", "test -e /well || { echo so sorry; exit 3; }"]}, **QUICK}
    create(one, "worker", "touch /well; exec sleep 1000000", healthCheck=check)
    run = until_health(one, "worker", "healthy")
    inside(docker_host, run, "rm", "/well")
    one.wait(lambda: run_of(one, "worker")["restarts"] == 1, "its restart")
    (told,) = restarts_of(one, "worker")
    assert "health check failed: sh: exit code 3: so sorry" in told


def test_a_check_that_hangs_is_a_failure_and_leaves_no_process(
    one: Cluster, docker_host: str, busybox_image: str
) -> None:
    check = {"exec": {"command": ["sleep", "987654"]}, **QUICK, "timeoutSeconds": 0.3, "onUnhealthy": "none"}
    create(one, "slow", "exec sleep 1000000", healthCheck={**check, "startPeriodSeconds": 0})
    run = until_health(one, "slow", "unhealthy")
    assert "not over within 0.3 s" in run["reason"]

    def few() -> bool:
        top = api.ask_json(docker_host, "GET", f"/containers/{run['containerId']}/top")
        return sum("987654" in " ".join(process) for process in top["Processes"]) <= 1

    one.wait(few, "the checks before to be gone")


def test_the_engines_own_healthcheck_is_followed(one: Cluster, docker_host: str, busybox_image: str) -> None:
    check = {"docker": {"command": ["test", "-e", "/well"]}, **QUICK}
    create(one, "own", "touch /well; exec sleep 1000000", healthCheck=check)
    run = until_health(one, "own", "healthy")
    inside(docker_host, run, "rm", "/well")
    one.wait(lambda: run_of(one, "own")["restarts"] == 1, "its restart")
    until_health(one, "own", "healthy")


def test_an_image_without_a_healthcheck_is_told(one: Cluster, busybox_image: str) -> None:
    create(one, "none", "exec sleep 1000000", healthCheck={"docker": {}})
    one.wait(lambda: "no HEALTHCHECK" in one.task("none")["reason"], "why")


def test_without_a_check_a_task_is_ready_once_its_port_accepts(
    one: Cluster, docker_host: str, busybox_image: str
) -> None:
    script = "while [ ! -e /go ]; do sleep 0.1; done; exec httpd -f -p 80"
    create(one, "late", script, portBindings={"80": ""})
    one.wait_task("late", "running")
    reason = one.wait(lambda: (t := one.task("late"))["reason"] and t["reason"], "why it is not ready")
    assert reason.startswith("its port 80/tcp does not accept yet: ")
    assert one.any().ask("GET", "/jobs/late/endpoints") == []
    (shown,) = one.any().ask("GET", "/jobs/late/endpoints?all=1")
    assert (shown["ready"], shown["readySince"]) == (False, None)
    inside(docker_host, run_of(one, "late"), "touch", "/go")
    until_ready(one, "late")
    assert one.wait(lambda: not one.task("late")["reason"], "nothing to be said of it")
    (shown,) = one.any().ask("GET", "/jobs/late/endpoints")
    assert (shown["ready"], shown["version"], shown["nodeId"]) == (True, 0, "node1")
    assert list(shown["ports"]) == ["80/tcp"]


def test_after_a_kill_of_the_node_program_its_checks_go_on(
    one: Cluster, docker_host: str, busybox_image: str
) -> None:
    create(one, "web", SERVES, healthCheck=UP)
    before = until_health(one, "web", "healthy")
    node = one.nodes[0]
    node.kill()
    node.start(*one.joining(node))
    one.wait(one.leader, "a leader")
    inside(docker_host, before, "rm", "/www/up")
    one.wait(lambda: run_of(one, "web")["restarts"] == 1, "its restart")
    again = until_health(one, "web", "healthy")
    assert again["containerId"] == before["containerId"]
    (told,) = restarts_of(one, "web")
    assert "status 404" in told


def test_a_restart_of_the_node_program_alone_changes_nothing(one: Cluster, busybox_image: str) -> None:
    create(one, "web", SERVES, healthCheck=UP)
    before = until_health(one, "web", "healthy")
    node = one.nodes[0]
    node.kill()
    node.start(*one.joining(node))
    one.wait(one.leader, "a leader")
    one.wait(lambda: one.any().ask("GET", "/nodes")[0]["status"] == "alive", "the node")
    assert run_of(one, "web") == before


# --- endpoints ---------------------------------------------------------------------------------------------


class Follower:
    """The lists of a job's endpoints as Server-Sent Events."""

    def __init__(self, node: NodeProcess, job: str) -> None:
        self.lists: list[list[str]] = []
        self._client = Client(f"127.0.0.1:{node.port}")
        self._job = job
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with contextlib.suppress(Exception):  # the node is gone at the end
            for found in self._client.follow_endpoints(self._job):
                self.lists.append([each.allocation for each in found])


def test_endpoints_are_followed_by_polls_and_events_through_a_restart(
    one: Cluster, docker_host: str, busybox_image: str
) -> None:
    create(one, "web", SERVES, healthCheck=UP, portBindings={"80": ""})
    run = until_health(one, "web", "healthy")
    follower = Follower(one.nodes[0], "web")
    one.wait(lambda: follower.lists == [[run["id"]]], "the first list")
    with Client(f"127.0.0.1:{one.nodes[0].port}") as client:
        found, index = client.poll_endpoints("web")
        assert [each.ready for each in found] == [True]
        inside(docker_host, run, "rm", "/www/up")
        while found:
            found, index = client.poll_endpoints("web", index, wait_s=20)
        while not found:
            found, index = client.poll_endpoints("web", index, wait_s=20)
    one.wait(lambda: follower.lists == [[run["id"]], [], [run["id"]]], "the lists")


# --- the end, and commands around a life -------------------------------------------------------------------

HEARS = "trap 'echo term; exit 0' TERM; mkdir /www; httpd -p 80 -h /www; echo begun; while :; do sleep 0.1; done"
# Time enough for both, though an engine stands still for a while.
BYE = {
    "hooks": {"preStop": [{"command": ["sh", "-c", "echo bye > /proc/1/fd/1"], "timeoutSeconds": 60}]},
    "stopGraceSeconds": 120,
}


def words(host: str, container: str) -> list[tuple[str, str]]:
    """All that it has written until it ended: times and lines."""
    text = api.ask(host, "GET", f"/containers/{container}/logs?follow=1&stdout=1&timestamps=1")
    lines, at = [], 0
    while at < len(text):  # frames of 8 bytes of head
        size = int.from_bytes(text[at + 4 : at + 8], "big")
        when, _, line = text[at + 8 : at + 8 + size].decode().strip().partition(" ")
        lines.append((when, line))
        at += 8 + size
    return lines


def test_a_task_leaves_the_endpoints_drains_hears_its_commands_and_then_the_signal(
    shared: Cluster, docker_host: str, busybox_image: str
) -> None:
    shared.grow_to(2)
    create(shared, "web", HEARS, portBindings={"80": ""}, drainSeconds=15, **BYE)
    run = until_ready(shared, "web")
    said: list[tuple[str, str]] = []
    reader = threading.Thread(target=lambda: said.extend(words(docker_host, run["containerId"])))
    reader.start()
    shared.any().ask("POST", f"/nodes/{run['nodeId']}/drain")

    def served() -> list[str]:
        return [each["allocation"] for each in shared.any().ask("GET", "/jobs/web/endpoints")]

    shared.wait(lambda: run["id"] not in served(), "it to leave the endpoints")
    left = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    reader.join(240)
    assert [line for _, line in said] == ["begun", "bye", "term"]
    assert said[1][0] >= left
    shared.wait(lambda: served() and served() != [run["id"]], "another run to be ready")


def test_a_job_that_is_stopped_as_a_whole_does_not_drain(
    one: Cluster, docker_host: str, busybox_image: str
) -> None:
    create(one, "web", HEARS, portBindings={"80": ""}, drainSeconds=3600, **BYE)
    run = until_ready(one, "web")
    one.any().ask("POST", "/tasks/web/stop")
    one.wait_task("web", "stopped")
    assert [line for _, line in words(docker_host, run["containerId"])] == ["begun", "bye", "term"]


def test_a_task_is_not_ready_before_its_commands_after_the_start_have_succeeded(
    one: Cluster, docker_host: str, busybox_image: str
) -> None:
    script = "test -e /warm || { touch /warm; echo cold; exit 1; }"
    warm = [{"command": ["sh", "-c", script], "timeoutSeconds": 60}]
    create(one, "web", "exec sleep 1000000", hooks={"postStart": warm})
    until_ready(one, "web")
    assert run_of(one, "web")["restarts"] == 1
    (told,) = restarts_of(one, "web")
    assert "post_start failed: sh: exit code 1: cold" in told
