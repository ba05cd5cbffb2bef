"""A node's process dies, and its containers run on: real hosts with an engine each."""

import pytest

from support import images
from support.lab_containers import Container, containers, deployed
from support.lab_nodes import LabNodes

pytestmark = [pytest.mark.engine, pytest.mark.root]

JOB = {
    "image": images.BUSYBOX,
    "command": ["httpd", "-f"],
    "stopGraceSeconds": 0,
    "ports": [80],
    "update": {"monitorSeconds": 0.5},
}
DATABASE = JOB | {"volumes": [{"name": "data", "target": "/data"}]}


def task(lab: LabNodes, job: str) -> dict:
    (found,) = [each for each in lab.ask(1, "GET", "/tasks") if each["id"] == f"{job}/0"]
    return found


def same(one: Container, other: Container) -> bool:
    return (one.host, one.pid, one.address) == (other.host, other.pid, other.address)


def test_what_only_its_node_can_run_goes_on_and_the_rest_has_moved(lab: LabNodes) -> None:
    """A database and what is on each node keep their programs; a job that any node runs is run by another."""
    (agent, *_) = [each for each in deployed(lab, "agent", JOB | {"kind": "system"}) if each.host == 3]
    (database,) = deployed(lab, "db", DATABASE | {"constraints": {"id": "node3"}})
    lab.ask(1, "POST", "/nodes/node1/drain")
    lab.ask(1, "POST", "/nodes/node2/drain")
    (web,) = deployed(lab, "web", JOB)
    for node in ("node1", "node2"):
        lab.ask(1, "DELETE", f"/nodes/{node}/drain")
    assert database.host == web.host == 3
    lab.kill_node(3)
    lab.wait(lambda: "which is down since" in task(lab, "db")["reason"], "the task to wait for its volume")
    lab.wait(lambda: task(lab, "web")["nodeId"] != "node3" and task(lab, "web")["state"] == "running", "a move")
    lab.start_again(3)
    lab.wait(lambda: task(lab, "db")["state"] == "running", "the database to run")
    lab.wait(lambda: all(each.host != 3 for each in containers(lab, "web")), "the web's end there")
    (after,) = containers(lab, "db")
    assert same(after, database)
    lab.wait(lambda: len(containers(lab, "agent")) == 3, "a task on each node")
    assert any(same(each, agent) for each in containers(lab, "agent"))
    assert [each["state"] for each in task(lab, "db")["allocations"]] == ["running"]
