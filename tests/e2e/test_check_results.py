"""The last results of health checks in `orion inspect`, from another node than the task's: real processes, a real
engine.
"""

import json
import signal
from typing import Any

import pytest

from support import api, images
from support.command import orion
from support.nodes import Cluster, NodeProcess

pytestmark = pytest.mark.engine

OFTEN = {"intervalSeconds": 0.5, "timeoutSeconds": 20, "retries": 2, "onUnhealthy": "none"}
TEST = ["test", "-e", "/www/up"]
CHECKS = {
    "http": ({"port": 80, "path": "/up"}, "rm /www/up", "/up on "),
    "tcp": ({"port": 80}, "killall httpd", "refuses connections"),
    "exec": ({"command": TEST}, "rm /www/up", "test: exit code 1"),
    "docker": (
        {"command": ["sh", "-c", "test -e /www/up || { echo it is; echo gone; exit 1; }"]},
        "rm /www/up",
        "it is gone",
    ),
}
SERVES = "mkdir -p /www; echo fine > /www/up; httpd -p 80 -h /www; trap 'exit 0' TERM; while :; do sleep 0.1; done"


def create(cluster: Cluster, name: str, home: NodeProcess, check: dict[str, Any]) -> None:
    cluster.run(
        name,
        image=images.BUSYBOX,
        command=["sh", "-c", SERVES],
        nodeSelectors={"id": home.name},
        healthCheck={**check, **OFTEN},
    )


def inspected(asked: NodeProcess, task: str) -> dict[str, Any]:
    """The first run of a task, as `orion inspect` shows it."""
    code, out, err = orion(asked, "inspect", task)
    if code != 0:
        raise OSError(err)  # who waits looks again
    assert err == ""
    runs = json.loads(out)["allocations"]
    return dict(runs[0]) if runs else {}


def oks(run: dict[str, Any]) -> list[bool]:
    return [each["ok"] for each in run.get("checks", ())]


def inside(host: str, run: dict[str, Any], script: str) -> None:
    api.run_inside(host, run["containerId"], "sh", "-c", script)


def test_the_last_results_of_each_kind_of_check_are_shown_from_any_node(
    shared: Cluster, docker_host: str, busybox_image: str
) -> None:
    shared.grow_to(2)
    asked, home = shared.nodes
    for kind, (check, _, _) in CHECKS.items():
        create(shared, kind, home, {kind: check})
    for kind, (_, breaks, words) in CHECKS.items():
        run = shared.wait(lambda kind=kind: True in oks(r := inspected(asked, kind)) and r, f"{kind} to be checked")
        inside(docker_host, run, breaks)
        run = shared.wait(
            lambda kind=kind: (
                (r := inspected(asked, kind))["health"] == "unhealthy" and oks(r)[-1:] == [False] and r
            ),
            f"{kind} to fail",
        )
        assert run["nodeId"] == home.name
        assert True in oks(run)
        assert words in run["checks"][-1]["output"]
        assert all(each["seconds"] >= 0 and each["at"] >= run["createdAt"] for each in run["checks"])
        assert run["checksReason"] == ""
        assert run["checks"] == sorted(run["checks"], key=lambda each: each["at"])


def test_a_node_that_hangs_is_dead_or_forgot_is_a_reason(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(3)
    leader = shared.wait(shared.leader, "a leader")
    home = next(node for node in shared.nodes if node is not leader)
    asked = next(node for node in shared.nodes if node is not home)
    create(shared, "web", home, {"http": {"port": 80, "path": "/up"}})
    shared.wait(lambda: True in oks(inspected(asked, "web")), "it to be checked")

    def told() -> str:
        return str(inspected(asked, "web").get("checksReason", ""))

    home.signal(signal.SIGSTOP)
    try:
        assert home.name in told()
    finally:
        home.signal(signal.SIGCONT)
    home.kill()
    shared.wait(lambda: f"{home.name} remembers them, and is dead since" in told(), "it to be dead")
    home.start(*shared.joining(home))
    shared.wait(lambda: f"{home.name} has forgotten what was before" in told(), "it to be back")
