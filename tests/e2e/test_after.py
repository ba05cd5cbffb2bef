"""Jobs start after others, on deploy and after an outage of all nodes: real processes, a real engine."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from support import api, images
from support.cleanup import containers
from support.command import command, orion
from support.nodes import Cluster

pytestmark = pytest.mark.engine

# Each run is well once it is let, and a run of before leaves nothing behind.
HELD = "rm -f /up /go; until [ -e /go ]; do sleep 0.1; done; touch /up; exec sleep 1000"
DB = f"""
name = "db"
image = "{images.BUSYBOX}"
command = ["sh", "-c", "{HELD}"]
stopGraceSeconds = 0
update.monitorSeconds = 0.5
[healthCheck]
exec.command = ["test", "-e", "/up"]
intervalSeconds = 0.5
retries = 2
timeoutSeconds = 20
startPeriodSeconds = 600
"""
WEB = f"""
name = "web"
image = "{images.BUSYBOX}"
command = ["sleep", "1000"]
stopGraceSeconds = 0
after = [{{job = "db", condition = "healthy"}}]
update.monitorSeconds = 0.5
"""
BATCH = """
name = "migrate"
kind = "batch"
image = "{image}"
command = ["sh", "-c", "{script}"]
restartPolicy = "no"
"""
APP = f"""
name = "app"
image = "{images.BUSYBOX}"
command = ["sleep", "1000"]
stopGraceSeconds = 0
after = [{{job = "migrate", condition = "completed"}}]
update.monitorSeconds = 0.5
"""


def file(tmp_path: Path, name: str, text: str) -> str:
    path = tmp_path / f"{name}.toml"
    path.write_text(text)
    return str(path)


def run_of(cluster: Cluster, name: str) -> dict[str, Any]:
    """The newest one, or one that is nowhere yet."""
    runs = cluster.task(name)["allocations"]
    return dict(runs[-1]) if runs else {"state": "pending", "startedAt": None, "readySince": None}


def in_order(cluster: Cluster) -> bool:
    """Returns whether both run, web since db is ready."""
    db, web = run_of(cluster, "db"), run_of(cluster, "web")
    if web["state"] != "running" or not db["readySince"]:
        return False
    assert web["startedAt"] >= db["readySince"], (db, web)
    return True


def let_db_be_well(cluster: Cluster, host: str) -> None:
    if (run := run_of(cluster, "db"))["state"] == "running":
        api.run_inside(host, run["containerId"], "touch", "/go")


def waits(cluster: Cluster) -> bool:
    """Returns whether db runs and web waits for it."""
    return (
        run_of(cluster, "db")["state"] == "running"
        and "waits for db to be healthy" in cluster.task("web")["reason"]
    )


def said(cluster: Cluster, task: str, *words: str) -> bool:
    """Returns whether `orion ps` says all of this of the task."""
    code, out, _ = orion(cluster.any(), "ps")
    line = next((line for line in out.splitlines() if line.startswith(task)), "")
    return code == 0 and all(word in line for word in words)


def test_jobs_start_in_their_order_on_deploy_and_after_an_outage_of_all(
    shared: Cluster, docker_host: str, busybox_image: str, tmp_path: Path
) -> None:
    shared.grow_to(3)
    node, web = shared.nodes[0], file(tmp_path, "web", WEB)
    assert orion(node, "deploy", "--no-wait", web)[0] == 0
    words = ("waiting", "waits for db to be healthy", "there is no job of that name", "since ")
    shared.wait(lambda: said(shared, "web", *words), "web to say what it waits for")
    deploy = command(node, "deploy", web, file(tmp_path, "db", DB))
    with subprocess.Popen(deploy, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as deploying:
        try:
            shared.wait(lambda: waits(shared), "web to wait for db")
            shared.wait(lambda: let_db_be_well(shared, docker_host) or in_order(shared), "web after db")
            out, err = deploying.communicate(timeout=180)
        finally:
            deploying.kill()
    assert (deploying.returncode, out) == (0, "db is as asked: version 0\nweb is as asked: version 0\n"), err
    before = [run_of(shared, name)["startedAt"] for name in ("db", "web")]

    for each in shared.nodes:
        each.kill()
    for container in containers(docker_host, f"dev.orion.cluster={shared.id}"):
        if container["State"] == "running":
            api.ask(docker_host, "POST", f"/containers/{container['Id']}/kill")
    for each in shared.nodes:
        each.start(*shared.joining(each))
    shared.wait(
        lambda: run_of(shared, "db")["startedAt"] not in (None, *before) and waits(shared), "web to wait again", 300
    )

    def both_again() -> bool:
        let_db_be_well(shared, docker_host)
        return all(run_of(shared, n)["startedAt"] not in (None, *before) for n in ("db", "web"))

    shared.wait(both_again, "both")
    shared.wait(lambda: in_order(shared), "web after db again", 300)


def test_a_job_starts_once_a_batch_has_completed_and_says_when_it_has_failed(
    one: Cluster, busybox_image: str, tmp_path: Path
) -> None:
    node, app = one.nodes[0], file(tmp_path, "app", APP)
    fails = BATCH.format(image=images.BUSYBOX, script="sleep 1; exit 1")
    assert orion(node, "deploy", "--no-wait", app, file(tmp_path, "fails", fails))[0] == 0
    one.wait(lambda: said(one, "app", "waiting", "waits for migrate to be completed (it has failed)"), "the reason")
    works = BATCH.format(image=images.BUSYBOX, script="sleep 1; exit 0")
    code, out, err = orion(node, "deploy", app, file(tmp_path, "works", works))
    assert code == 0, err
    assert "migrate is as asked" in out
    assert run_of(one, "app")["startedAt"] >= run_of(one, "migrate")["finishedAt"]


def test_a_circle_is_refused_with_its_names(one: Cluster, tmp_path: Path) -> None:
    node = one.nodes[0]
    assert orion(node, "deploy", "--no-wait", file(tmp_path, "web", WEB))[0] == 0
    code, _, err = orion(node, "deploy", file(tmp_path, "db", 'after = [{job = "web"}]' + DB))
    assert code == 1
    assert "db -> web -> db" in err
