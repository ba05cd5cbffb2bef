"""Cron, batch and system jobs on real nodes: real processes, a real engine."""

import time
from datetime import UTC, datetime

import pytest

from support import images
from support.command import orion
from support.nodes import Cluster

pytestmark = pytest.mark.engine

MINUTE_S = 60
TO_MAKE_THEM_S = 30
TO_SPARE_S = 1  # what is there so late was perhaps made too late
TRIES = 3
SLEEP = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]


def put(cluster: Cluster, name: str, **job: object) -> dict:
    body = {"image": images.BUSYBOX, "stopGraceSeconds": 1, "update": {"monitorSeconds": 1}, "restartPolicy": "no"}
    return cluster.any().ask("PUT", f"/jobs/{name}", body | job)


def cron(cluster: Cluster, script: str, expression: str, name: str = "nightly") -> None:
    put(cluster, name, kind="cron", schedule={"expression": expression}, command=["sh", "-c", script])


def runs(cluster: Cluster, name: str = "nightly") -> list[dict]:
    return cluster.any().ask("GET", f"/jobs/{name}/runs")


def tasks(cluster: Cluster, job: str) -> list[dict]:
    return [task for task in cluster.any().ask("GET", "/tasks") if task["id"].partition("/")[0] == job]


def job(cluster: Cluster, name: str) -> dict:
    return cluster.any().ask("GET", f"/jobs/{name}")


def ended(cluster: Cluster, count: int, name: str = "nightly") -> list[dict]:
    """The runs, once so many have ended."""

    def enough() -> list[dict] | None:
        found = runs(cluster, name)
        return found if sum(run["outcome"] not in ("running", "missed") for run in found) >= count else None

    return cluster.wait(enough, f"{count} runs to end", deadline_s=2 * MINUTE_S)


def minute_of(run: dict) -> int:
    return int(datetime.fromisoformat(run["at"]).timestamp()) // MINUTE_S


def test_it_fires_once_though_its_leader_is_killed_at_the_second(shared: Cluster, busybox_image: str) -> None:
    """At the same time a run that lasts is stopped, and another one takes its place."""
    shared.grow_to(3)
    for number in range(TRIES):  # those of another minute stay beside them
        nightly, lasting = f"nightly{number}", f"lasting{number}"
        shared.wait(lambda: time.time() % MINUTE_S < MINUTE_S - TO_MAKE_THEM_S, "time before the minute ends")
        boundary = (int(time.time()) // MINUTE_S + 1) * MINUTE_S
        at = datetime.fromtimestamp(boundary, UTC)
        cron(shared, "echo at work; exit 0", f"{at.minute} {at.hour} * * *", nightly)
        schedule = {"expression": "* * * * *", "overlap": "replace"}
        put(shared, lasting, kind="cron", command=SLEEP, schedule=schedule)
        by_hand = shared.any().ask("POST", f"/jobs/{lasting}/run")["name"]
        shared.wait_task(f"{by_hand}/0", "running")
        leader = shared.wait(shared.leader, "a leader")
        if time.time() < boundary - TO_SPARE_S:
            break
    else:
        raise AssertionError(f"{TRIES} times the minute ended before all was made")
    shared.wait(lambda: time.time() >= boundary - 0.15, "the end of the minute", deadline_s=2 * MINUTE_S)
    leader.kill()
    (run,) = ended(shared, 1, nightly)
    assert (run["outcome"], run["exitCode"], run["byHand"]) == ("completed", 0, False)
    assert minute_of(run) == boundary // MINUTE_S
    assert run["job"] == f"{nightly}-{minute_of(run)}"
    (task,) = tasks(shared, run["job"])
    assert [each["exitCode"] for each in task["allocations"]].count(0) == 1
    for node in (each for each in shared.nodes if each.alive and task["nodeId"] != leader.name):
        said = (0, "at work\n")
        shared.wait(lambda node=node, said=said: orion(node, "logs", run["job"])[:2] == said, "its output")
    first, second, *later = shared.wait(lambda: len(found := ended(shared, 1, lasting)) > 1 and found, "two runs")
    assert (first["job"], first["byHand"], first["outcome"]) == (by_hand, True, "stopped")
    assert (minute_of(second), second["byHand"]) == (boundary // MINUTE_S, False)
    assert second["outcome"] == "running" or (later and second["outcome"] == "stopped")


def test_it_is_run_by_hand_and_tells_how_it_ended(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(1)
    cron(shared, "echo no; exit 3", "0 0 29 2 *")
    made = shared.any().ask("POST", "/jobs/nightly/run")
    assert (made["kind"], made["runOf"]) == ("batch", "nightly")
    (run,) = ended(shared, 1)
    assert (run["job"], run["outcome"], run["exitCode"], run["byHand"]) == (made["name"], "failed", 3, True)
    assert "exit code 3" in run["reason"]
    code, out, error = orion(shared.any(), "cron", "runs", "nightly")
    assert code == 0, error
    assert "failed" in out
    assert job(shared, "nightly")["nextAt"].endswith("-02-29T00:00:00.000Z")
    assert [task["id"] for task in shared.any().ask("GET", "/tasks")] == [f"{made['name']}/0"]
    code, _, error = orion(shared.any(), "rm", "nightly", timeout_s=60)
    assert code == 0, error
    shared.wait(lambda: not shared.any().ask("GET", "/jobs") or None, "the runs to go with it")


def test_a_completed_batch_never_runs_again_though_its_nodes_die(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(3)
    batch = {"kind": "batch", "count": 3, "command": ["sh", "-c", "echo done"]}
    put(shared, "migrate", **batch)

    def complete() -> list[dict] | None:
        found = tasks(shared, "migrate")
        return found if [task["state"] for task in found] == ["completed"] * 3 else None

    before = shared.wait(complete, "three tasks to complete")
    put(shared, "migrate", **batch)
    victim = shared.node(before[0]["nodeId"])
    victim.kill()
    shared.wait(
        lambda: any(node["status"] == "dead" for node in shared.any().ask("GET", "/nodes")) or None,
        "the node to be called dead",
    )
    assert put(shared, "migrate", **batch)["version"] == 0
    after = tasks(shared, "migrate")
    assert [[a["id"] for a in t["allocations"]] for t in after] == [
        [a["id"] for a in t["allocations"]] for t in before
    ]
    put(shared, "migrate", **(batch | {"env": {"ROUND": "2"}}))
    shared.wait(
        lambda: all(len(task["allocations"]) == 2 for task in tasks(shared, "migrate")) and complete(),
        "all to run again with another spec",
        deadline_s=300,
    )


def test_a_system_job_has_one_task_on_each_node_that_matches(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(2)
    put(shared, "agent", kind="system", command=SLEEP, restartPolicy="always")

    def on(*nodes: str) -> list[str] | None:
        running = sorted(task["nodeId"] for task in tasks(shared, "agent") if task["state"] == "running")
        return running if running == sorted(nodes) else None

    names = [node.name for node in shared.nodes]
    shared.wait(lambda: on(*names), "one on each node")
    shared.grow_to(3)
    third = shared.nodes[-1].name
    shared.wait(lambda: on(*names, third), "one on the node that joined")
    slots = {task["nodeId"]: task["id"] for task in tasks(shared, "agent")}
    shared.any().ask("POST", f"/nodes/{names[1]}/drain")
    shared.wait(lambda: on(names[0], third), "none on the node that is drained")
    shared.any().ask("POST", f"/nodes/{names[1]}/ready")
    shared.wait(lambda: on(*names, third), "one on it again")
    shared.node(third).kill()
    shared.wait(lambda: on(*names), "none on the node that died")
    shared.node(third).start()
    shared.wait(lambda: on(*names, third), "one on it again")
    running = {task["nodeId"]: task["id"] for task in tasks(shared, "agent") if task["state"] == "running"}
    assert running == slots
