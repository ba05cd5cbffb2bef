"""How commands find the nodes of their machine."""

import os
import subprocess
import sys

import pytest

from orion.process import running
from orion.process.running import announced, find


@pytest.fixture(autouse=True)
def directory(monkeypatch, tmp_path):
    monkeypatch.setattr(running, "SYSTEM", tmp_path / "none" / "system")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "orion"


def where():
    return [(node.node, node.host, node.port) for node in find()]


def test_a_node_is_found_while_it_runs(directory):
    with announced("node2", "10.0.0.1", 8001) as why, announced("node1", "0.0.0.0", 8000):
        assert why == ""
        assert where() == [("node1", "127.0.0.1", 8000), ("node2", "10.0.0.1", 8001)]
    assert where() == []
    assert list(directory.iterdir()) == []


def test_what_a_killed_node_left_is_not_believed_and_swept_by_the_next(directory):
    program = (
        "import os, signal, sys, pathlib; from orion.process import running\n"
        "os.geteuid, running.SYSTEM = lambda: 1000, pathlib.Path('/nonexistent/orion')\n"
        "with running.announced('gone', '::', 8000): print(flush=True); signal.pause()"
    )
    user = {**os.environ, "XDG_RUNTIME_DIR": str(directory.parent)}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=user) as process:
        try:
            assert process.stdout.readline() == b"\n"
            assert where() == [("gone", "::1", 8000)]
        finally:
            process.kill()
    assert where() == []
    assert len(list(directory.iterdir())) == 1
    with announced("node1", "127.0.0.1", 8000):
        assert len(list(directory.iterdir())) == 1


def test_one_of_another_network_is_not_found(directory, monkeypatch):
    with announced("node1", "127.0.0.1", 8000):
        monkeypatch.setattr(running, "_network", lambda: 1)
        assert where() == []


def test_what_else_lies_there_is_left_out(directory):
    directory.mkdir()
    (directory / "text.json").write_text("{")
    (directory / "other").mkdir()
    (directory / "folder.json").mkdir()
    with announced("node1", "127.0.0.1", 8000):
        assert where() == [("node1", "127.0.0.1", 8000)]


def test_a_node_runs_on_where_no_directory_takes_its_file(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "file"))
    with announced("node1", "127.0.0.1", 8000) as why:
        assert str(tmp_path / "file" / "orion") in why
        assert where() == []


def test_root_looks_in_no_other_directory_than_its_own(monkeypatch):
    with announced("node1", "127.0.0.1", 8000):
        monkeypatch.setattr("os.geteuid", lambda: 0)
        assert where() == []


def test_everybody_finds_a_node_of_root_s(monkeypatch):
    running.SYSTEM.parent.mkdir()
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with announced("node1", "127.0.0.1", 8000) as why:
        monkeypatch.setattr("os.geteuid", lambda: 1000)
        assert why == ""
        assert where() == [("node1", "127.0.0.1", 8000)]
