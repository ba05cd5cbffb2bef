"""Configs through the whole of Orion: real processes, a real engine."""

import hashlib
import http.client
import io
import json
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest

from support import images
from support.deployments import done
from support.nodes import Cluster, NodeProcess

pytestmark = pytest.mark.engine


def ask(node: NodeProcess, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes, int]:
    """(status, body, index), raw."""
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=40)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.read(), int(response.getheader("X-Orion-Index") or 0)
    finally:
        connection.close()


def orion(node: NodeProcess, *args: str, given: bytes = b"") -> bytes:
    command = [sys.executable, "-m", "orion", *args, "--port", str(node.port)]
    return subprocess.run(command, input=given, capture_output=True, timeout=60, check=True).stdout


def test_a_task_gets_one_as_a_variable_and_one_as_a_file(shared: Cluster, busybox_image: str) -> None:
    """Before they exist it waits, and says for what; a later change leaves it alone."""
    shared.grow_to(3)
    one, other = shared.nodes[0], shared.nodes[2]
    orion(other, "config", "put", "app/greeting", "hello")
    shell = ["sh", "-c", 'echo "$GREETING"; cat /etc/app/app.conf; stat -c %a /etc/app/app.conf; exec sleep 1000']
    wanted = [
        {"key": "app/greeting", "env": "GREETING"},
        {"key": "app/conf", "path": "/etc/app/app.conf", "mode": "0640"},
    ]
    one.ask("POST", "/tasks", {"name": "web", "image": images.BUSYBOX, "command": shell, "configs": wanted})
    shared.wait(lambda: "config app/conf does not exist" in shared.task("web")["reason"], "the reason")
    orion(other, "config", "put", "app/conf", "-", given=b"from a file\n")
    task = shared.wait_task("web", "running")
    assert task["configs"] == wanted
    words = "hello\nfrom a file\n640\n"
    shared.wait(lambda: one.ask("GET", "/tasks/web/logs") == words, "its words")
    assert orion(one, "config", "get", "app/conf") == b"from a file\n"

    version = int(orion(one, "config", "put", "app/greeting", "good evening"))
    assert ask(other, "PUT", "/configs/app/greeting?version=1", b"x")[0] == 409
    assert ask(other, "DELETE", f"/configs/app/greeting?version={version}")[0] == 200
    assert one.ask("GET", "/tasks/web/logs") == words
    assert shared.task("web")["startedAt"] == task["startedAt"]


def test_large_files_and_their_owners(shared: Cluster, busybox_image: str) -> None:
    """More than one answer between nodes has room for, put at one node and asked for at another."""
    shared.grow_to(3)
    one, other = shared.nodes[0], shared.nodes[2]
    large = [bytes([number]) * 1024 * 1024 for number in range(6)]
    for number, value in enumerate(large):
        assert ask(other, "PUT", f"/configs/large/{number}", value)[0] == 200
    status, body, _ = ask(other, "PUT", "/configs/large/more", large[0] + b"x")
    assert (status, b"1048576 bytes" in body) == (413, True)
    script = "cat /large/* | sha256sum; stat -c '%a %u %g' /large/0 /large/1; exec sleep 1000"
    owners = {0: "600:101:102", 1: ":7"}
    files = [f"large/{number}=/large/{number}:{owners.get(number, '')}" for number in range(len(large))]
    uses = [word for file in files for word in ("-c", file)]
    orion(one, "run", "--name", "large", *uses, images.BUSYBOX, "sh", "-c", script)
    shared.wait_task("large", "running")
    words = f"{hashlib.sha256(b''.join(large)).hexdigest()}  -\n600 101 102\n644 7 0\n"
    shared.wait(lambda: one.ask("GET", "/tasks/large/logs") == words, "its words")
    variable = [{"key": "large/0", "env": "LARGE"}]
    body = {"image": images.BUSYBOX, "command": ["true"], "configs": variable}
    status, answer, _ = ask(one, "PUT", "/jobs/variable", json.dumps(body).encode())
    assert (status, b"more than Linux allows in variable LARGE" in answer) == (400, True), answer


def test_a_folder_of_this_machine_in_a_container(shared: Cluster, busybox_image: str, tmp_path: Path) -> None:
    """Put at one node, given at another; the former one after a rollback; a hostile one is not taken."""
    shared.grow_to(3)
    one, other = shared.nodes[0], shared.nodes[2]
    site = tmp_path / "site"
    (site / "css").mkdir(parents=True)
    (site / "css" / "a.css").write_text("one\n")
    (site / "css" / "a.css").chmod(0o640)
    (site / "latest").symlink_to("css/a.css")
    version = orion(other, "config", "put", "site", f"@{site}")
    script = "cat /srv/www/latest; stat -c '%a %u %g' /srv/www/css/a.css; exec sleep 1000"
    body = {
        "image": images.BUSYBOX,
        "command": ["sh", "-c", script],
        "stopGraceSeconds": 0,
        "update": {"monitorSeconds": 0.5},
        "configs": [{"key": "site", "path": "/srv/www", "uid": 101, "gid": 102}],
    }

    def until_done(view: dict, words: str) -> None:
        done(shared, view)
        shared.wait(lambda: one.ask("GET", "/tasks/www/logs") == words, "its words")

    until_done(dict(one.ask("PUT", "/jobs/www", body)), "one\n640 101 102\n")
    (site / "css" / "a.css").write_text("two\n")
    assert orion(one, "config", "put", "site", f"@{site}") != version
    until_done(dict(one.ask("PUT", "/jobs/www", body)), "two\n640 101 102\n")
    until_done(dict(one.ask("POST", "/jobs/www/rollback", None)), "one\n640 101 102\n")

    orion(other, "config", "get", "site", "--to", str(tmp_path / "back"))
    assert (tmp_path / "back" / "latest").read_text() == "two\n"
    hostile = io.BytesIO()
    with tarfile.open(fileobj=hostile, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("../../etc/passwd"))
    status, answer, _ = ask(one, "PUT", "/configs/site?folder=1", hostile.getvalue())
    assert (status, b"leads out of the folder" in answer) == (400, True)


def test_a_job_changes_with_its_config_when_it_is_deployed_and_a_rollback_has_the_former(
    shared: Cluster, busybox_image: str
) -> None:
    shared.grow_to(1)
    node = shared.nodes[0]
    shell = ["sh", "-c", "trap 'exit 0' TERM; cat /etc/app.conf; while :; do sleep 0.1; done"]
    body = {
        "image": images.BUSYBOX,
        "command": shell,
        "stopGraceSeconds": 1,
        "update": {"monitorSeconds": 0.5},
        "configs": [{"key": "app/conf", "path": "/etc/app.conf"}],
    }

    def deployed(method: str, path: str, words: str, given: dict | None = None) -> dict:
        view = dict(node.ask(method, path, given))
        done(shared, view)
        shared.wait(lambda: node.ask("GET", "/tasks/web/logs") == words, "its words")
        return view

    orion(node, "config", "put", "app/conf", "-", given=b"one\n")
    first = deployed("PUT", "/jobs/web", "one\n", body)
    orion(node, "config", "put", "app/conf", "-", given=b"two\n")
    plan = node.ask("POST", "/jobs/web/plan", body)
    assert [change["field"] for change in plan["changes"]] == ["configs"]
    second = deployed("PUT", "/jobs/web", "two\n", body)
    assert (first["version"], second["version"]) == (0, 1)
    assert deployed("PUT", "/jobs/web", "two\n", body)["version"] == 1
    assert ask(node, "DELETE", "/configs/app/conf")[0] == 200
    assert deployed("POST", "/jobs/web/rollback", "one\n")["configs"] == first["configs"]


def test_watchers_on_every_node_see_a_change_and_a_deletion(shared: Cluster) -> None:
    """The last node is a worker: it holds no state of its own. Versions go on through the death of the leader."""
    shared.grow_to(3)
    for node in shared.nodes:
        status, _, index = ask(node, "GET", "/configs/lock")
        assert status == 404
        answers: list[tuple[int, bytes, int]] = []
        path = f"/configs/lock?index={index}&wait=30"
        watcher = threading.Thread(target=lambda node=node, path=path, a=answers: a.append(ask(node, "GET", path)))
        watcher.start()
        status, _, put_at = ask(shared.nodes[0], "PUT", "/configs/lock?version=0", node.name.encode())
        assert status == 200
        watcher.join(40)
        # Any change wakes a watcher: it looks, and waits again.
        while answers[-1][0] == 404:
            answers.append(ask(node, "GET", f"/configs/lock?index={answers[-1][2]}&wait=30"))
        assert answers[-1][1] == node.name.encode()
        assert ask(node, "DELETE", "/configs/lock")[0] == 200
        status, _, gone_at = ask(node, "GET", f"/configs/lock?index={put_at}&wait=30")
        assert status == 404
        assert gone_at > put_at

    version = ask(shared.nodes[0], "PUT", "/configs/lock", b"mine")[2]
    leader = shared.wait(shared.leader, "a leader")
    leader.kill()
    living = shared.any()
    assert ask(living, "GET", "/configs/lock")[1] == b"mine"
    assert ask(living, "PUT", f"/configs/lock?version={version}", b"still mine")[0] == 200
