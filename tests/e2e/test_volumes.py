"""Volumes of tasks: real processes, a real engine, rows that are counted."""

import shutil
from pathlib import Path

import pytest

from support import images
from support.nodes import Cluster, NodeProcess

pytestmark = pytest.mark.engine

# Complains when another one begins while it writes; each row is on the disk before the next.
WRITES = """
trap 'exit 0' TERM
echo "$HOSTNAME" > /data/writer
n=$(wc -l < /data/rows 2>/dev/null || echo 0)
while :; do
  read -r writer < /data/writer
  [ "$writer" = "$HOSTNAME" ] || echo "$writer beside $HOSTNAME" >> /data/rivals
  n=$((n+1)); echo $n >> /data/rows; sync; sleep 0.05
done
"""


def database(cluster: Cluster, **more: object) -> dict:
    body = {
        "image": images.BUSYBOX,
        "command": ["sh", "-c", WRITES],
        "volumes": [{"name": "data", "target": "/data"}],
        "stopGraceSeconds": 2,
        **more,
    }
    cluster.any().ask("PUT", "/jobs/db", body)
    return cluster.wait_task("db", "running")


def directories(node: NodeProcess, volume: str = "data") -> list[Path]:
    return sorted((node.data_dir / "volumes").glob(f"{volume}.*"))


def rows(node: NodeProcess, volume: str = "data") -> list[int]:
    (place,) = directories(node, volume)
    text = (place / "data" / "rows").read_text()
    return [int(line) for line in text.split("\n")[:-1]]


def grown(cluster: Cluster, node: NodeProcess, former: int = 0, volume: str = "data") -> int:
    """Once there are more rows, all of them in order: how many."""
    cluster.wait(lambda: len(rows(node, volume)) > former + 5, "rows")
    found = rows(node, volume)
    assert found == list(range(1, len(found) + 1))
    return len(found)


def reason(cluster: Cluster, task: str = "db") -> str:
    return str(cluster.task(task)["reason"])


def test_a_task_waits_for_the_node_of_its_volume_and_finds_every_row(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(3)
    home = shared.node(database(shared)["nodeId"])
    before = grown(shared, home)
    home.kill()
    words = f"its volume data is on {home.name}, which is down since"
    shared.wait(lambda: words in reason(shared), "the reason")
    assert shared.task("db")["state"] == "pending"
    home.start(*shared.joining(home))
    shared.wait(lambda: shared.task("db")["state"] == "running", "db to run again")
    assert shared.task("db")["nodeId"] == home.name
    grown(shared, home, before)
    (place,) = directories(home)
    rivals = place / "data" / "rivals"
    assert not rivals.exists(), f"{rivals.read_text()}\n{shared.task('db')}\n{shared.report()}"


def test_a_volume_that_is_gone_is_no_empty_one(one: Cluster, busybox_image: str) -> None:
    database(one)
    node = one.nodes[0]
    grown(one, node)
    one.any().ask("POST", "/jobs/db/stop")
    one.wait_task("db", "stopped")
    (place,) = directories(node)
    shutil.rmtree(place)
    one.any().ask("POST", "/jobs/db/start")
    one.wait(lambda: "the data of volume data is missing on node1" in reason(one), "the reason")
    assert directories(node) == []


def test_a_volume_begins_with_what_the_image_has(one: Cluster, busybox_image: str) -> None:
    for name, more in (("copied", {}), ("bare", {"nocopy": True})):
        mount = {"name": name, "target": "/bin", **more}
        one.any().ask(
            "POST",
            "/tasks",
            {"name": name, "image": images.BUSYBOX, "command": ["/bin/busybox", "sleep", "60"], "volumes": [mount]},
        )
    one.wait_task("copied", "running")
    (place,) = directories(one.nodes[0], "copied")
    assert (place / "data" / "busybox").exists()
    one.wait(lambda: "busybox" in reason(one, "bare"), "the reason")
    (place,) = directories(one.nodes[0], "bare")
    assert list((place / "data").iterdir()) == []


def test_a_task_has_the_devices_and_the_kernels_files_of_its_node(
    one: Cluster, busybox_image: str, tmp_path: Path
) -> None:
    """As people mount them for what looks after a machine; and a volume among the devices."""
    (tmp_path / "mine").write_text("found")
    words = (
        "grep found /dev/mine && [ -d /sys/class/net ] && [ -c /host/null ] && [ -c /dev/null ] && touch /dev/v/new"
    )
    mounts = [
        {"source": str(tmp_path / "mine"), "target": "/dev/mine", "readOnly": True},
        {"source": "/sys", "target": "/sys", "readOnly": True},
        {"source": "/dev", "target": "/host"},
        {"name": "data", "target": "/dev/v"},
    ]
    body = {"name": "seer", "image": images.BUSYBOX, "command": ["sh", "-c", words], "restartPolicy": "no"}
    one.any().ask("POST", "/tasks", {**body, "volumes": mounts})
    one.wait(lambda: one.task("seer")["state"] in ("completed", "failed"), "its end")
    assert one.task("seer")["state"] == "completed", reason(one, "seer")


def test_a_path_of_a_node_decides_where_a_task_goes(shared: Cluster, busybox_image: str, tmp_path: Path) -> None:
    there = tmp_path / "srv"
    shared.grow_to(1)
    task = {
        "name": "reader",
        "image": images.BUSYBOX,
        "command": ["sh", "-c", "grep found /in/word && ! touch /in/new"],
        "restartPolicy": "no",
        "volumes": [{"source": str(there), "target": "/in", "readOnly": True}],
    }
    shared.any().ask("POST", "/tasks", task)
    shared.wait(lambda: f"node1 has no {there}" in reason(shared, "reader"), "the reason")
    there.mkdir()
    (there / "word").write_text("found")
    shared.wait(lambda: shared.task("reader")["state"] == "completed", "its end")
    assert [each.name for each in there.iterdir()] == ["word"]
