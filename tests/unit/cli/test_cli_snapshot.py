"""`orion snapshot` against a real API, on files, and with a real log."""

import asyncio
import json
import os
import stat
import subprocess
import sys

import pytest

from orion.adapters.lmdb_log import LmdbLog
from orion.model.errors import Corrupt, NoMajority
from orion.ports.log import LogFailed
from orion.process import offline
from orion.process.offline import inspect
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
    assert err == f"orion: {tmp_path}/nowhere/x can't be written: No such file or directory\n"


def test_a_symlink_goes_on_leading_where_it_did(orion, api, parts, tmp_path):
    (tmp_path / "a").mkdir()
    link, target = tmp_path / "link", tmp_path / "a" / "state"
    link.symlink_to(target)
    api.service.backup_items = parts
    for _ in ("there is nothing yet", "it is there"):
        assert orion("snapshot", "save", str(link))[0] == 0
        assert link.is_symlink()
        assert target.read_bytes() == b"".join(parts)
        assert list(target.parent.iterdir()) == [target]
        target.write_bytes(b"the former one")


def test_what_is_no_regular_file_stays_what_it_is(orion, api, parts, tmp_path):
    fifo, link, loop = tmp_path / "fifo", tmp_path / "link", tmp_path / "loop"
    os.mkfifo(fifo)
    link.symlink_to(fifo)
    loop.symlink_to(loop)
    api.service.backup_items = parts
    for path in (fifo, link):
        code, _, err = orion("snapshot", "save", str(path))
        assert (code, err) == (1, f"orion: {path} is no regular file: name one, or - for standard output\n")
    code, _, err = orion("snapshot", "save", str(loop))
    assert code == 1
    assert "can't be written: Symlink loop" in err
    assert fifo.is_fifo()
    assert set(tmp_path.iterdir()) == {fifo, link, loop}
    assert not api.service.reads


def test_two_that_save_to_one_file(orion, api, parts, tmp_path, monkeypatch):
    path, mine = tmp_path / "state", tmp_path / "state.partial"
    mine.write_bytes(b"mine")
    api.service.backup_items = parts
    seen = []

    def look(partial):
        """While one is about to put its file in place, the other does all of it."""
        seen.append((partial, stat.S_IMODE(partial.stat().st_mode)))
        if len(seen) == 1:
            assert orion("snapshot", "save", str(path))[0] == 0
        return inspect(partial)

    monkeypatch.setattr("orion.process.offline.inspect", look)
    assert orion("snapshot", "save", str(path))[0] == 0
    assert seen[0][0] != seen[1][0]
    assert [mode for _, mode in seen] == [0o600, 0o600]
    assert path.read_bytes() == b"".join(parts)
    assert mine.read_bytes() == b"mine"
    assert set(tmp_path.iterdir()) == {path, mine}


def test_a_long_name(orion, api, parts, tmp_path):
    api.service.backup_items = parts
    assert orion("snapshot", "save", str(tmp_path / ("\N{SNOWMAN}" * 85)))[0] == 0


def save_to_output(api):
    command = [sys.executable, "-m", "orion", "snapshot", "save", "-", "--port", str(api.port)]
    done = subprocess.run(command, capture_output=True, timeout=300, check=False)
    return done.returncode, done.stdout, done.stderr.decode()


def test_save_to_standard_output(api, parts):
    api.service.backup_items = parts
    code, out, err = save_to_output(api)
    assert (code, out) == (0, b"".join(parts))
    told = f"standard output: 2 jobs, 4 tasks, 2 nodes, 1 config at index 7, {len(out)} B, checksum good\n"
    assert err == told


def test_what_is_not_whole_on_standard_output_is_told(api, parts):
    api.service.backup_items = parts[:-1]
    code, out, err = save_to_output(api)
    assert (code, out) == (1, b"".join(parts[:-1]))
    assert "cut short at byte" in err


def test_a_full_disk_under_a_restore_is_one_line(orion, saved, tmp_path, monkeypatch):
    async def fail(*args, **kwargs):
        raise LogFailed("writing /x failed: No space left on device")

    monkeypatch.setattr(LmdbLog, "save_snapshot", fail)
    data_dir = tmp_path / "data"
    told = orion("snapshot", "restore", str(saved), "--data-dir", str(data_dir), "--id", "x")
    assert told == (1, "", "orion: writing /x failed: No space left on device\n")
    assert not data_dir.exists()


def test_a_directory_that_was_taken_meanwhile_is_left_as_it_is(orion, saved, tmp_path, monkeypatch):
    """While the backup was read, somebody started a node there, or restored another."""
    data_dir, read, opened = tmp_path / "data", offline._read, []

    def slowly(path):
        with asyncio.Runner() as runner:
            opened.append(runner.run(LmdbLog.open(data_dir)))
        return read(path)

    monkeypatch.setattr(offline, "_read", slowly)
    code, _, err = orion("snapshot", "restore", str(saved), "--data-dir", str(data_dir), "--id", "x")
    assert code == 1
    assert "is in use by" in err
    assert (data_dir / "log" / "data.mdb").exists()
    asyncio.run(opened[0].close())


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
    assert persistent.snapshot.conf.voters == (identity.raft_id,)
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
