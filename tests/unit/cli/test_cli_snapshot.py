"""`orion snapshot` against a real API, on files, and with a real log."""

import asyncio
import json
import stat

import pytest

from orion.adapters.lmdb_log import LmdbLog
from orion.model.errors import Corrupt, NoMajority
from orion.state.snapshot import capture, encode
from orion.wire.backups import FORMAT, About, encode_backup
from unit.state.state_kit import CLUSTER, World

WHEN_MS = 1_700_000_000_000


@pytest.fixture
def parts():
    world = World(nodes=2)
    world.create("web", 3)
    world.create("db", 1)
    world.put("app/a", b"one")
    world.place("web", (0, "node1"), (1, "node2"))
    about = About(FORMAT, CLUSTER, world.index, 4, WHEN_MS, "node1", "0.1.0")
    return list(encode_backup(about, encode(capture(world.state))))


@pytest.fixture
def saved(parts, tmp_path):
    path = tmp_path / "saved"
    path.write_bytes(b"".join(parts))
    return path


def test_save(orion, api, parts, tmp_path):
    path = tmp_path / "state.backup"
    api.service.backup_items = parts
    code, out, err = orion("snapshot", "save", str(path))
    assert (code, err) == (0, "")
    size = path.stat().st_size
    assert out == f"{path}: 2 jobs, 4 tasks, 2 nodes, 1 config at index 7, {size} B, checksum good\n"
    assert path.read_bytes() == b"".join(parts)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    assert not api.service.reads[-1].stale
    assert orion("snapshot", "save", str(path), "--stale")[0] == 0
    assert api.service.reads[-1].stale


@pytest.mark.parametrize("failure", ["breaks off", "cut short", "damaged", "refused"])
def test_a_save_that_fails_leaves_the_former_file(orion, api, parts, tmp_path, failure):
    path = tmp_path / "state.backup"
    path.write_bytes(b"the former one")
    damaged = bytearray(parts[1])
    damaged[len(damaged) // 2] ^= 1
    items, words = {
        "breaks off": ([parts[0], Corrupt("the disk is damaged")], "broke off"),
        "cut short": (parts[:-1], "cut short at byte"),
        "damaged": ([parts[0], bytes(damaged), parts[2]], "damaged in the record at byte"),
        "refused": ([NoMajority("no majority: 2 of 3 voters do not answer")], "no majority"),
    }[failure]
    api.service.backup_items = items
    code, out, err = orion("snapshot", "save", str(path))
    assert (code, out) == (1, "")
    assert words in err
    assert path.read_bytes() == b"the former one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written(orion, api, parts, tmp_path):
    api.service.backup_items = parts
    code, _, err = orion("snapshot", "save", str(tmp_path / "nowhere" / "x"))
    assert code == 1
    assert "x.partial can't be written: No such file or directory" in err


def test_inspect(orion, saved):
    code, out, err = orion("snapshot", "inspect", str(saved))
    assert (code, err) == (0, "")
    told = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert told == {
        "cluster": f"{CLUSTER:016x}",
        "index": "7 of term 4",
        "saved": "2023-11-14 22:13:20 UTC by node1, orion 0.1.0",
        "nodes": "2",
        "jobs": "2",
        "tasks": "4",
        "configs": "1",
        "size": told["size"],
        "checksum": "good",
    }
    assert json.loads(orion("snapshot", "inspect", str(saved), "-o", "json")[1])["allocations"] == 2


def test_inspect_of_what_is_damaged_or_none(orion, saved, tmp_path):
    whole = saved.read_bytes()
    saved.write_bytes(whole[:-1])
    code, out, err = orion("snapshot", "inspect", str(saved))
    assert (code, out) == (1, "")
    assert f"the backup is cut short at byte {len(whole) - 1:,}: its end is missing" in err
    assert "no backup of Orion's" in orion("snapshot", "inspect", "/etc/passwd")[2]
    assert "can't be read: No such file" in orion("snapshot", "inspect", str(tmp_path / "none"))[2]


def test_restore(orion, saved, tmp_path):
    data_dir = tmp_path / "data"
    code, out, err = orion("snapshot", "restore", str(saved), "--data-dir", str(data_dir), "--id", "fresh")
    assert (code, err) == (0, "")
    assert f"orion --id fresh --data-dir {data_dir}" in out
    assert f"dev.orion.cluster={CLUSTER:016x}" in out

    async def look():
        store = await LmdbLog.open(data_dir)
        try:
            return await store.load(), await store.identity()
        finally:
            await store.close()

    persistent, identity = asyncio.run(look())
    assert identity.node == "fresh"
    assert identity.cluster not in (0, CLUSTER)
    assert persistent.snapshot.conf.voters == (identity.raft,)
    assert persistent.snapshot.index > 1_000_000
    assert persistent.hard_state.commit == persistent.snapshot.index
    again = orion("snapshot", "restore", str(saved), "--data-dir", str(data_dir), "--id", "fresh")
    assert again[0] == 1
    assert "is not empty" in again[2]


def test_a_restore_that_is_refused_leaves_nothing(orion, saved, tmp_path):
    whole = saved.read_bytes()
    saved.write_bytes(whole[:200] + b"!" + whole[201:])
    data_dir = tmp_path / "data"
    code, _, err = orion("snapshot", "restore", str(saved), "--data-dir", str(data_dir), "--id", "x")
    assert code == 1
    assert "damaged" in err
    assert not data_dir.exists()
