"""A node whose disk fails, is full or has changed what was written says so in one line, and ends."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest

from support.nodes import DEADLINE_S, NO_ENGINE, Cluster, NodeProcess, Problem, cluster, free_ports

NEEDLE = "a needle in the log"


@pytest.fixture
def alone() -> Iterator[Cluster]:
    with cluster(NO_ENGINE) as made:
        made.grow_to(1, engines=False)
        for number in range(20):
            made.any().ask("PUT", f"/configs/k{number}", f"value {number}")
        made.any().ask("PUT", "/configs/needle", NEEDLE)
        for number in range(20, 30):
            made.any().ask("PUT", f"/configs/k{number}", f"value {number}")
        made.nodes[0].kill()
        yield made


def last_words(node: NodeProcess) -> str:
    assert node.process is not None
    assert node.process.wait(DEADLINE_S) == 1, node.log_tail()
    words = node.log_tail(1)
    assert words.startswith("orion: ")
    assert "Traceback" not in node.log_tail(200)
    return words


def test_a_bit_that_has_flipped_in_an_entry(alone: Cluster) -> None:
    (node,) = alone.nodes
    file = node.data_dir / "log" / "data.mdb"
    content = file.read_bytes()
    assert NEEDLE.encode() in content
    file.write_bytes(content.replace(NEEDLE.encode(), NEEDLE.replace("a", "A", 1).encode()))
    node.start()
    words = last_words(node)
    assert "log entry " in words
    assert "is damaged: its checksum is wrong" in words
    assert "move that directory away and start the node again with --join" in words
    assert str(node.data_dir) in words


@pytest.mark.parametrize(
    ("table", "key", "named"),
    [
        ("meta", b"hard state", "the vote record is damaged"),
        ("meta", b"snapshot", "the snapshot's record is damaged"),
        ("meta", b"identity", "the node's identity is damaged"),
        ("chunks", None, "chunk 0 of the snapshot at index 1 is damaged"),
    ],
)
def test_whatever_has_changed_is_named(alone: Cluster, table: str, key: bytes | None, named: str) -> None:
    (node,) = alone.nodes
    _flip(node.data_dir, table, key)
    node.start()
    assert named in last_words(node)


def _flip(data_dir: Path, table: str, key: bytes | None) -> None:
    with lmdb.open(str(data_dir / "log"), max_dbs=3, lock=False, map_size=64 * 1024 * 1024) as env:
        db = env.open_db(table.encode())
        with env.begin(write=True, db=db) as txn:
            cursor = txn.cursor()
            assert cursor.set_key(key) if key else cursor.first()
            record = bytearray(cursor.value())
            record[-1] ^= 1
            cursor.put(cursor.key(), bytes(record))


def test_it_comes_back_as_it_was_told(alone: Cluster) -> None:
    """With the directory moved away it joins as a new member, while two others have the log."""
    alone.nodes[0].start()
    alone.wait(alone.leader, "node1 to lead")
    alone.grow_to(3, engines=False)
    node = alone.nodes[2]
    node.kill()
    _flip(node.data_dir, "meta", b"hard state")
    node.start()
    assert "the vote record is damaged" in last_words(node)
    node.data_dir.rename(node.data_dir.with_name("moved away"))
    node.start(*alone.joining(node))
    alone.wait_settled(3, engines=False)
    assert node.ask("GET", "/configs/k7") == '"value 7"'


@pytest.mark.root
def test_a_full_disk(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("needs root to mount a small disk")
    disk = tmp_path / "small"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=True)
    try:
        node = NodeProcess("node1", disk, NO_ENGINE, free_ports(), [])
        node.log_file = tmp_path / "log"
        with cluster(NO_ENGINE) as made:
            made.nodes.append(node)
            node.start("--bootstrap")
            made.wait(made.leader, "a leader")
            written = _fill(node)
            words = last_words(node)
            assert "data.mdb failed" in words
            assert "Its disk is full: make room in" in words
            subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
            node.start()
            made.wait(made.leader, "it to lead again, with more room")
            found = {config["key"] for config in node.ask("GET", "/configs")}
            assert {f"k{number}" for number in range(written)} <= found, "what was acknowledged is there"
            node.kill()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def _fill(node: NodeProcess) -> int:
    """How many writes were acknowledged before the disk was full."""
    for number in range(200):
        try:
            node.ask("PUT", f"/configs/k{number}", "x" * 40_000)
        except (OSError, Problem):
            return number
    raise AssertionError("the disk did not fill")
