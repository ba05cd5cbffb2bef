"""Volumes of a storage plugin that grow, are copied and removed while tasks use them: real mounts, real sizes."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.storage_lab import DIR, StorageLab, storage_lab

pytestmark = [pytest.mark.engine, pytest.mark.root]

MIB = 1 << 20
# A plugin that may not grow an ext4 that is mounted.
NO_RESOURCE = ("setpriv", "--bounding-set", "-sys_resource")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageLab]:
    with storage_lab(tmp_path_factory.mktemp("shared"), through=NO_RESOURCE) as made:
        yield made


def made(world: StorageLab, name: str = "data", **terms: object) -> None:
    world.ask("POST", "/volumes", {"name": name, "driver": DIR, **terms})
    world.lab.wait(lambda: world.ask("GET", f"/volumes/{name}")["state"] == "ready", f"volume {name}")


def room(world: StorageLab) -> int:
    """Bytes of the file system that the task has."""
    found = [os.statvfs(point) for point in world.everything_mounted()]
    return min((each.f_blocks * each.f_frsize for each in found), default=0)


def test_a_volume_grows_below_a_task_and_its_secrets_go_with_it(world: StorageLab) -> None:
    terms = {"fsType": "xfs", "parameters": {"quota": "loop"}, "secrets": {"key": "hidden-value"}}
    made(world, sizeBytes=300 * MIB, **terms)
    world.ask("POST", "/tasks", world.task_of())
    world.lab.wait(world.home, "the task to run")
    world.row()
    assert 0 < room(world) <= 300 * MIB
    world.ask("POST", "/volumes/data/expand", {"sizeBytes": 500 * MIB})
    world.lab.wait(lambda: room(world) > 400 * MIB, "the task to have more room")
    assert world.ask("GET", "/volumes/data")["storage"]["hasBytes"] == 500 * MIB
    world.row()
    records = list((world.folder / "nodes").rglob("record.json"))
    assert records
    assert not [each for each in records if b"hidden-value" in each.read_bytes()]
    with pytest.raises(OSError, match="volume data is used by db"):
        world.ask("DELETE", "/volumes/data")
    world.ask("POST", "/volume-snapshots", {"volume": "data", "name": "kept"})
    world.lab.wait(lambda: world.ask("GET", "/volume-snapshots/kept")["state"] == "ready", "the snapshot")
    world.ask("DELETE", "/jobs/db")
    world.lab.wait(lambda: not world.ask("GET", "/volumes/data")["usedBy"], "nobody to use it")
    world.ask("DELETE", "/volumes/data")
    world.lab.wait(lambda: world.ask("GET", "/volumes") == [], "it to be gone")
    assert world.everything_mounted() == []
    made(world, source="snapshot:kept", **terms)
    world.ask("POST", "/tasks", world.task_of())
    home = world.lab.wait(world.home, "the task to run on what was kept")
    told = world.rows.told
    world.row()
    (point,) = [each for each in world.mounts(home) if Path(each, "rows").exists()][:1]
    assert set(told) <= set(Path(point, "rows").read_text().split())
    world.ask("DELETE", "/volume-snapshots/kept")
    world.end()


def test_a_node_that_can_not_grow_a_volume_is_told_of_until_its_task_starts_anew(world: StorageLab) -> None:
    made(world, sizeBytes=20 * MIB, fsType="ext4", parameters={"quota": "loop"})
    world.ask("POST", "/tasks", world.task_of())
    world.lab.wait(world.home, "the task to run")
    code, _, err = world.orion("volume", "expand", "data", "40m")
    assert code == 1
    assert "volume data has grown in its storage system, and is not as large yet on node" in err
    assert "CAP_SYS_RESOURCE" in err
    (claim,) = world.ask("GET", "/volumes/data")["storage"]["claims"]
    assert (claim["phase"], claim["settled"]) == ("published", False)
    assert "CAP_SYS_RESOURCE" in claim["why"]
    world.ask("DELETE", "/tasks/db%2F0")
    world.lab.wait(lambda: world.claims() == {}, "all claims to be over")
    world.ask("POST", "/tasks", world.task_of())
    world.lab.wait(lambda: _settled(world), "the volume to be as large where it is mounted anew")
    assert room(world) > 30 * MIB
    world.end()


def test_a_second_task_of_a_single_writer_s_volume_is_told_who_has_it(world: StorageLab) -> None:
    made(world, access="single-node-single-writer")
    world.ask("POST", "/tasks", world.task_of())
    world.lab.wait(world.home, "the task to run")
    world.ask("POST", "/tasks", world.task_of(name="other", portBindings={}))
    words = "waits for its volume data: task db/0 has it, and it is single-node-single-writer"
    world.lab.wait(lambda: words in json.dumps(world.ask("GET", "/tasks/other%2F0")), "it to be told")
    world.ask("DELETE", "/tasks/db%2F0")
    world.lab.wait(lambda: world.ask("GET", "/tasks/other%2F0")["state"] == "running", "the other task to run")
    world.ask("DELETE", "/tasks/other%2F0")
    world.lab.wait(lambda: world.claims() == {}, "all claims to be over")
    world.ask("DELETE", "/volumes/data")
    world.lab.wait(lambda: world.ask("GET", "/volumes") == [], "the volume to be gone")


def _settled(world: StorageLab) -> bool:
    claims = world.ask("GET", "/volumes/data")["storage"]["claims"]
    return [(each["settled"], each["why"]) for each in claims] == [(True, "")]
