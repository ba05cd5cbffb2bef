"""A node's process dies, and its containers run on: real hosts with an engine each."""

import pytest

from support import cleanup, images
from support.lab_containers import Container, containers, deployed
from support.lab_nodes import LabNodes

pytestmark = [pytest.mark.engine, pytest.mark.root]

HOST = 3
JOB = {
    "image": images.BUSYBOX,
    "command": ["httpd", "-f"],
    "stopGraceSeconds": 0,
    "update": {"monitorSeconds": 0.5},
}


def task(lab: LabNodes, task_id: str) -> dict:
    return lab.ask(1, "GET", f"/tasks/{task_id}")


def wait_running(lab: LabNodes, job: str, count: int) -> list[Container]:
    def run() -> bool:
        tasks = [each for each in lab.ask(1, "GET", "/tasks") if each["id"].startswith(f"{job}/")]
        return [each["state"] for each in tasks] == ["running"] * count

    lab.wait(run, f"{count} of {job} to run")
    return containers(lab, job)


def jobs_on(lab: LabNodes, host: int) -> list[str]:
    """Of the containers that run there."""
    found = cleanup.containers(lab.engines[host - 1], f"dev.orion.cluster={lab.cluster}")
    return sorted(each["Labels"]["dev.orion.job"] for each in found if each["State"] == "running")


def same(one: Container, other: Container) -> bool:
    return (one.host, one.pid, one.address) == (other.host, other.pid, other.address)


def test_what_only_its_node_can_run_goes_on_and_the_rest_has_moved(lab: LabNodes) -> None:
    """A database and what is on each node keep their programs; a job that any node runs is run by another."""
    for node in ("node1", "node2"):
        lab.ask(1, "POST", f"/nodes/{node}/drain")
    (agent,) = deployed(lab, "agent", JOB | {"kind": "system"})
    (database,) = deployed(lab, "db", JOB | {"volumes": [{"name": "data", "target": "/data"}]})
    (web,) = deployed(lab, "web", JOB)
    for node in ("node1", "node2"):
        lab.ask(1, "POST", f"/nodes/{node}/ready")
    wait_running(lab, "agent", 3)
    assert database.host == web.host == agent.host == HOST
    lab.kill_node(HOST)
    lab.wait(lambda: "which is down since" in task(lab, "db")["reason"], "the task to wait for its volume")
    lab.wait(lambda: task(lab, "web")["nodeId"] != f"node{HOST}", "the other to move")
    wait_running(lab, "web", 1)
    assert jobs_on(lab, HOST) == ["agent", "db", "web"], "nobody is there to end them"
    lab.start_again(HOST)
    (after,) = wait_running(lab, "db", 1)
    assert same(after, database)
    assert [each["state"] for each in task(lab, "db")["allocations"]] == ["running"]
    assert any(same(each, agent) for each in wait_running(lab, "agent", 3))
    lab.wait(lambda: jobs_on(lab, HOST) == ["agent", "db"], "the end of what has moved")
