"""A cluster's state saved, and another cluster begun with it."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.nodes import NO_ENGINE, Cluster, NodeProcess, cluster, free_ports


def orion(*args: str, code: int = 0) -> str:
    """What it said: its output, or its last words where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "orion", *args], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == code, (done.stdout, done.stderr)
    return done.stderr if code else done.stdout


def test_a_saved_state_is_restored_into_a_new_cluster(tmp_path: Path) -> None:
    file = tmp_path / "state"
    with cluster(NO_ENGINE) as old:
        old.grow_to(2, engines=False)
        roles = {node["name"]: node["role"] for node in old.any().ask("GET", "/nodes")}
        old.any().ask("POST", "/tasks", {"name": "web", "image": "nginx"})
        old.any().ask("PUT", "/configs/app/a", "one")
        standby = next(n for n in old.nodes if roles[n.name] == "learner")
        told = orion("snapshot", "save", str(file), "--port", str(standby.port))
        assert "1 job, 1 task, 2 nodes, 1 config at index" in told
        assert "checksum good" in told
    data = file.read_bytes()
    (tmp_path / "damaged").write_bytes(data[:300] + bytes([data[300] ^ 1]) + data[301:])
    data_dir = tmp_path / "new" / "node1"
    words = orion(
        "snapshot", "restore", str(tmp_path / "damaged"), "--data-dir", str(data_dir), "--id", "node1", code=1
    )
    assert "damaged in the record at byte" in words
    assert old.id in orion("snapshot", "inspect", str(file))
    with cluster(NO_ENGINE) as new:
        first = NodeProcess("node1", new._root, NO_ENGINE, free_ports(), [])
        orion("snapshot", "restore", str(file), "--data-dir", str(first.data_dir), "--id", "node1")
        new.nodes.append(first)
        first.start()
        new.wait(new.leader, "a leader")
        new.grow_to(3, engines=False)
        _holds_what_was_saved(new, old.id)


@pytest.mark.engine
def test_tasks_of_a_restored_backup_run_again(docker_host: str, web_image: str, tmp_path: Path) -> None:
    file = tmp_path / "state"
    with cluster(docker_host) as old:
        old.grow_to(1)
        before = old.run("web", image=web_image, portBindings={"80/tcp": ""})
        orion("snapshot", "save", str(file), "--port", str(old.any().port))
        old.run("later", image=web_image)
    with cluster(docker_host) as new:
        first = NodeProcess("fresh", new._root, docker_host, free_ports(), [])
        orion("snapshot", "restore", str(file), "--data-dir", str(first.data_dir), "--id", "fresh")
        new.nodes.append(first)
        first.start()
        new.wait(new.leader, "a leader")
        new.id = first.ask("GET", "/raft")["cluster"]
        after = new.wait_task("web/0", "running")
        assert [task["id"] for task in first.ask("GET", "/tasks")] == ["web/0"]
        lost, runs = after["allocations"]
        assert (lost["id"], lost["state"]) == (before["allocations"][0]["id"], "lost")
        assert lost["reason"] == "the cluster was restored from a backup"
        assert runs["nodeId"] == "fresh"


def _holds_what_was_saved(new: Cluster, former: str) -> None:
    for node in new.nodes:
        assert node.ask("GET", "/tasks/web/0")["state"] == "pending"
        assert node.ask("GET", "/configs/app/a") == '"one"'
    raft = new.any().ask("GET", "/raft")
    assert raft["cluster"] not in ("", former)
    assert len(raft["voters"]) == 3
    assert [node["name"] for node in new.any().ask("GET", "/nodes")] == ["node1", "node2", "node3"]
    new.any().ask("PUT", "/configs/app/b", "two")
