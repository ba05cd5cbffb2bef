"""A node whose disk fails, is full or has changed what was written says so in one line, and ends."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lmdb
import pytest

from orion.raft.messages import Entry, EntryKind, HardState
from orion.wire.records import decode_entry, encode_entry, encode_record
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


def test_a_flipped_bit_in_an_entry_ends_the_node_with_the_way_out(alone: Cluster) -> None:
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
def test_a_flipped_bit_in_any_record_is_named(alone: Cluster, table: str, key: bytes | None, named: str) -> None:
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


NO_COMMAND = b"\x93\x63\x01\x02"


@pytest.mark.parametrize(
    ("kind", "data", "named"),
    [
        (EntryKind.NORMAL, NO_COMMAND, "holds no command that this version knows"),
        (EntryKind.CONF_CHANGE, b"\xc1", "holds no configuration"),
    ],
)
@pytest.mark.parametrize("committed", [True, False])
def test_an_entry_that_nobody_can_read_is_named_with_the_way_out(
    alone: Cluster, kind: EntryKind, data: bytes, named: str, *, committed: bool
) -> None:
    """Another version wrote it, or a peer that lied to an earlier one."""
    (node,) = alone.nodes
    index = _append(node.data_dir, kind, data, committed=committed)
    node.start()
    words = last_words(node)
    assert f"log entry {index} {named}" in words
    assert "If another version of orion ran on it, start that one" in words
    assert f"move {node.data_dir} away and start this node again with --join" in words


def test_a_term_that_no_election_leads_to_is_named_with_the_way_out(alone: Cluster) -> None:
    (node,) = alone.nodes
    with _log_of(node.data_dir) as (env, meta, _), env.begin(write=True) as txn:
        txn.put(b"hard state", encode_record(HardState(2**64 - 1, 0, 1)), db=meta)
    node.start()
    words = last_words(node)
    assert "the vote record is of term 18446744073709551615" in words
    assert f"move {node.data_dir} away" in words


def _append(data_dir: Path, kind: EntryKind, data: bytes, *, committed: bool) -> int:
    with _log_of(data_dir) as (env, meta, entries), env.begin(write=True) as txn:
        cursor = txn.cursor(db=entries)
        assert cursor.last()
        index = int.from_bytes(cursor.key(), "big") + 1
        term = decode_entry(cursor.value(), index - 1).term
        cursor.put(index.to_bytes(8, "big"), encode_entry(Entry(term, index, kind, data)), append=True)
        if committed:
            txn.put(b"hard state", encode_record(HardState(term, 0, index)), db=meta)
    return index


@contextlib.contextmanager
def _log_of(data_dir: Path) -> Iterator[tuple[Any, Any, Any]]:
    with lmdb.open(str(data_dir / "log"), max_dbs=3, lock=False, map_size=64 * 1024 * 1024) as env:
        yield env, env.open_db(b"meta"), env.open_db(b"entries")


def test_an_entry_that_nobody_can_read_is_got_back_from_the_others() -> None:
    with cluster(NO_ENGINE) as made:
        made.grow_to(3, engines=False)
        made.any().ask("PUT", "/configs/before", "kept")
        node = made.nodes[2]
        node.kill()
        _append(node.data_dir, EntryKind.NORMAL, NO_COMMAND, committed=True)
        node.start()
        last_words(node)
        command = [
            sys.executable,
            "-m",
            "orion",
            "raft",
            "recover",
            "--data-dir",
            str(node.data_dir),
            "--yes",
            "--force",
        ]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        assert done.returncode
        assert "holds no command that this version knows" in done.stderr
        assert "recover another survivor" in done.stderr
        node.data_dir.rename(node.data_dir.with_name("away"))
        node.start(*made.joining(node))
        made.wait_settled(3, engines=False)
        assert node.ask("GET", "/configs/before?stale=1") == '"kept"'


def test_a_node_with_a_damaged_log_comes_back_as_it_was_told(alone: Cluster) -> None:
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
def test_a_full_disk_ends_the_node_with_the_way_out(tmp_path: Path) -> None:
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
