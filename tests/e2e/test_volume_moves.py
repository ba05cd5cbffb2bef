"""Volumes that go to another node: real processes, a real engine, rows that are counted."""

from pathlib import Path

import pytest

from e2e.test_volumes import database, directories, grown, reason, rows
from support.command import orion
from support.nodes import Cluster, Problem

pytestmark = pytest.mark.engine


def volume(cluster: Cluster, name: str = "data") -> dict:
    found: dict = cluster.any().ask("GET", f"/volumes/{name}")
    return found


def runs_elsewhere(cluster: Cluster, former: str, task: str = "db") -> str | None:
    shown = cluster.task(task)
    return shown["nodeId"] if shown["state"] == "running" and shown["nodeId"] != former else None


def test_a_volume_goes_to_another_node_with_every_row(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(3)
    home = shared.node(database(shared)["nodeId"])
    before = grown(shared, home)
    (place,) = directories(home)
    (place / "data" / "large").write_bytes(b"x" * 20_000_000)
    target = next(node for node in shared.nodes if node is not home)
    code, out, err = orion(shared.any(), "volume", "move", "data", target.name)
    assert (code, out) == (0, f"data is on {target.name}\n"), err
    shared.wait(lambda: runs_elsewhere(shared, home.name), "db to run again")
    assert shared.task("db")["nodeId"] == target.name
    grown(shared, target, before)
    (place,) = directories(target)
    assert (place / "data" / "large").stat().st_size == 20_000_000
    assert not (place / "data" / "rivals").exists()
    shared.wait(lambda: not directories(home), "the former copy to be gone")
    shown = volume(shared)
    assert (shown["nodeId"], shown["state"], shown["usedBy"], shown["inUse"]) == (
        target.name,
        "ready",
        ["db"],
        True,
    )
    assert shown["size"]["bytes"] >= 20_000_000


def test_a_drain_takes_volumes_along_when_asked(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(3)
    home = shared.node(database(shared, volumes=BOTH)["nodeId"])
    before = grown(shared, home)
    other = next(node for node in shared.nodes if node is not home)
    code, out, err = orion(other, "drain", "--move-volumes", "--wait", home.name)
    assert code == 0, f"{out}\n{err}"
    name = shared.wait(lambda: runs_elsewhere(shared, home.name), "db to run elsewhere")
    target = shared.node(name)
    grown(shared, target, before)
    assert volume(shared, "logs")["nodeId"] == target.name


def test_a_move_whose_source_has_no_data_ends_and_says_so(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(2)
    home = shared.node(database(shared)["nodeId"])
    grown(shared, home)
    other = next(node for node in shared.nodes if node is not home)
    (place,) = directories(home)
    aside = place.with_name("aside")
    place.rename(aside)
    code, out, err = orion(other, "volume", "move", "data", other.name)
    assert (code, out) == (1, "")
    why = f"the data of volume {place.name} is not on {home.name}"
    assert f"volume data stays as it is, on {home.name}: {why}" in err
    assert why in orion(other, "events", "data")[1]
    shared.wait(lambda: f"the data of volume data is missing on {home.name}" in reason(shared), "the reason")
    aside.rename(place)
    before = len(rows(home))
    assert orion(other, "volume", "move", "data", other.name)[0] == 0
    shared.wait(lambda: runs_elsewhere(shared, home.name), "db to run again")
    grown(shared, other, before)


BOTH = [{"name": "data", "target": "/data"}, {"name": "logs", "target": "/logs"}]


def test_the_next_leader_goes_on_with_a_move(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(3)
    home = shared.node(database(shared)["nodeId"])
    before = grown(shared, home)
    (place,) = directories(home)
    (place / "data" / "large").write_bytes(b"x" * 100_000_000)
    others = [node for node in shared.nodes if node is not home]
    leader = shared.wait(shared.leader, "a leader")
    if leader is home:
        leader = shared.lead(others[0].name)
    target = next(node for node in others if node is not leader)
    target.ask("POST", "/volumes/data/move", {"to": target.name})
    leader.kill()
    shared.wait(lambda: volume(shared)["nodeId"] == target.name, "data to be there", deadline_s=300)
    shared.wait(lambda: runs_elsewhere(shared, home.name), "db to run again")
    grown(shared, target, before)


def test_what_can_not_be_is_said_and_changes_nothing(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(2)
    home = shared.node(database(shared)["nodeId"])
    grown(shared, home)
    other = next(node for node in shared.nodes if node is not home)
    with pytest.raises(Problem, match="there is no node named node9"):
        shared.any().ask("POST", "/volumes/data/move", {"to": "node9"})
    with pytest.raises(Problem, match="volume data is used by db"):
        shared.any().ask("DELETE", "/volumes/data")
    shared.any().ask("DELETE", "/jobs/db")
    shared.wait(lambda: not volume(shared)["usedBy"], "nobody to use it")
    held = len(rows(home))
    assert volume(shared)["size"]["files"] >= 1
    code, out, _ = orion(other, "volume", "ls")
    assert code == 0
    assert out.splitlines()[1].split()[:4] == ["data", "local", home.name, "ready"]
    assert len(rows(home)) == held
    code, out, _ = orion(other, "volume", "rm", "data")
    assert (code, out) == (0, "data\n")
    assert directories(home) == []


def test_a_volume_is_saved_and_restored_with_every_row(shared: Cluster, busybox_image: str, tmp_path: Path) -> None:
    shared.grow_to(2)
    home = shared.node(database(shared)["nodeId"])
    grown(shared, home)
    other = next(node for node in shared.nodes if node is not home)
    file = tmp_path / "data.tar"
    code, _, err = orion(other, "volume", "backup", "data", str(file))
    assert code == 1
    assert "volume data is in use: stop db first" in err
    shared.any().ask("POST", "/jobs/db/stop")
    shared.wait_task("db", "stopped")
    saved = rows(home)
    assert orion(other, "volume", "backup", "data", str(file)) == (0, f"data is in {file}\n", "")
    shared.any().ask("POST", "/jobs/db/start")
    shared.wait(lambda: len(rows(home)) > len(saved) + 5, "more rows")
    code, _, err = orion(other, "volume", "restore", "data", str(file))
    assert code == 1
    assert "is in use by db/0" in err
    shared.any().ask("POST", "/jobs/db/stop")
    shared.wait_task("db", "stopped")
    assert orion(home, "volume", "restore", "data", str(file), "--node", other.name)[0] == 0
    assert rows(other) == saved
    assert directories(home) == []
    damaged = bytearray(file.read_bytes())
    damaged[damaged.index(b"\n1\n2\n") if b"\n1\n2\n" in damaged else damaged.index(b"1\n2\n")] ^= 1
    file.write_bytes(damaged)
    code, _, err = orion(home, "volume", "restore", "data", str(file))
    assert code == 1
    assert "its digest is another" in err
    assert rows(other) == saved
    assert orion(home, "volume", "restore", "copy", str(file))[0] == 1
    shared.any().ask("POST", "/jobs/db/start")
    shared.wait(lambda: runs_elsewhere(shared, home.name), "db to run again")
    grown(shared, other, len(saved))
