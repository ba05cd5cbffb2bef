"""Rows of a small cluster, as `GET /watch` tells them."""

from orion.model.api.configs import ConfigView
from orion.model.api.deployments import DeploymentProgress, DeploymentView
from orion.model.api.network import NetworkSummaryView
from orion.model.api.nodes import Amounts, NodeView
from orion.model.api.volumes import VolumeView
from orion.model.api.watch import AllocationRow, JobRow, Noun, TaskRow, key_of

BORN = "2026-01-01T00:00:00Z"
BORN_S = 1767225600.0
GIB = 1024**3


def node(name="node1", **more):
    fields = {
        "name": name,
        "ip": "10.0.0.1",
        "api_address": f"{name}:8000",
        "role": "voter",
        "status": "alive",
        "reason": "",
        "version": "1.0",
        "labels": {},
        "cpu": Amounts(4.0, 1.5, 1.0),
        "memory": Amounts(8 * GIB, 2 * GIB, 4 * GIB),
        "disk": Amounts(100 * GIB, 0.0, None),
        "tasks": 2,
    }
    return NodeView(**{**fields, **more})


def job(name="web", **more):
    fields = {"kind": "service", "image": "nginx:1.27", "version": 1, "count": 1, "created_at": BORN}
    return JobRow(name=name, **{**fields, "active": 1, "running": 1, "ready": 1, **more})


def task(id="web/0", **more):  # noqa: A002 -- as the field is called
    fields = {"job": id.partition("/")[0], "state": "running", "image": "nginx:1.27", "version": 1}
    return TaskRow(id=id, **{**fields, "node_id": "node1", "ready": True, "created_at": BORN, **more})


def run(id="0a0b0c0d", task="web/0", **more):  # noqa: A002 -- as the field is called
    fields = {"node_id": "node1", "state": "running", "version": 1, "wanted": True, "ready": True}
    return AllocationRow(id=id, task=task, **{**fields, "created_at": BORN, **more})


def deployment(id=7, **more):  # noqa: A002 -- as the field is called
    fields = {
        "id": id,
        "job": "web",
        "kind": "deploy",
        "from_version": 1,
        "to_version": 2,
        "state": "running",
        "rolling_back": False,
        "promoted": False,
        "reason": "",
        "progress": DeploymentProgress(3, 2, 1, 3),
        "started_at": BORN,
        "ended_at": None,
    }
    return DeploymentView(**{**fields, **more})


def volume(name="data", **more):
    fields = {
        "name": name,
        "kind": "host",
        "node_id": "node1",
        "state": "ready",
        "used_by": ["db"],
        "created_at": BORN,
        "used_at": BORN,
        "in_use": True,
        "labels": {},
        "slot": None,
        "driver": "local",
        "created_index": 3,
    }
    return VolumeView(**{**fields, **more})


def network(name="default", **more):
    fields = {"internal": False, "nodes": 3, "addresses": 2, "created_at": None}
    return NetworkSummaryView(name=name, **{**fields, **more})


def config(key="app/url", **more):
    return ConfigView(**{"key": key, "version": 4, "size": 12, "created_at": BORN, "changed_at": BORN, **more})


def table(noun, *rows):
    return {key_of(noun, row): row for row in rows}


def tables():
    """Three nodes; web with three tasks of which one waits, db with one that fails, a cron job that runs."""
    return {
        Noun.NODES: table(
            Noun.NODES,
            node("node1", role="leader", labels={"disk": "ssd"}),
            node("node2", labels={"disk": "hdd"}),
            node("node3", status="dead", tasks=0),
        ),
        Noun.JOBS: table(
            Noun.JOBS,
            job("web", count=3, ready=2, running=2, active=2, waiting=1, reason="1 of 3 tasks waits for memory"),
            job("db", image="postgres:17"),
            job("nightly", kind="cron", schedule="0 3 * * *", count=1, active=0, running=0, ready=0),
            job("nightly-1", kind="batch", run_of="nightly"),
        ),
        Noun.TASKS: table(
            Noun.TASKS,
            task("web/0", ports={"80/tcp": "10.0.0.1:8080"}),
            task("web/1", node_id="node2"),
            task("web/2", state="pending", node_id="", ready=False, reason="no node has 4 GiB of memory"),
            task("db/0", image="postgres:17", state="failed", ready=False, restarts=3, reason="exit code 1"),
            task("nightly-1/0", node_id="node2"),
        ),
        Noun.ALLOCATIONS: table(
            Noun.ALLOCATIONS,
            run("0000000a", "web/0"),
            run("0000000b", "web/1", node_id="node2"),
            run("0000000c", "db/0", state="failed", exit_code=1, ready=False, reason="exit code 1"),
            run("0000000d", "web/0", state="lost", node_id="node3", wanted=False),
        ),
        Noun.DEPLOYMENTS: table(Noun.DEPLOYMENTS, deployment(7), deployment(3, job="db", state="failed")),
        Noun.VOLUMES: table(Noun.VOLUMES, volume("data"), volume("spare", used_by=[], in_use=False)),
        Noun.NETWORKS: table(Noun.NETWORKS, network("default"), network("back", internal=True)),
        Noun.CONFIGS: table(Noun.CONFIGS, config("app/url"), config("app/conf", folder=True)),
    }
