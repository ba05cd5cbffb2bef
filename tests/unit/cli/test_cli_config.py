"""`orion config` against a real API on a service that answers from memory."""

import io
import json

import pytest

from orion.client import ConfigMountRequest


@pytest.fixture
def configs(api):
    return api.service.configs.state.configs


def type_in(monkeypatch, data):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_put_prints_the_version(orion, configs):
    assert orion("config", "put", "app/a", "hello") == (0, "8\n", "")
    assert configs["app/a"].value == b"hello"


def test_put_takes_a_file(orion, configs, tmp_path):
    (tmp_path / "f").write_bytes(b"\x00\xff")
    assert orion("config", "put", "a", f"@{tmp_path}/f")[0] == 0
    assert configs["a"].value == b"\x00\xff"
    code, _, err = orion("config", "put", "a", f"@{tmp_path}/none")
    assert (code, err) == (1, f"orion: {tmp_path}/none can't be read: No such file or directory\n")


@pytest.mark.parametrize("args", [("-",), ()])
def test_put_takes_standard_input(orion, configs, monkeypatch, args):
    type_in(monkeypatch, b"piped\xff\n")
    assert orion("config", "put", "a", *args)[0] == 0
    assert configs["a"].value == b"piped\xff\n"


def test_put_does_not_wait_for_a_person_to_type(orion, monkeypatch):
    type_in(monkeypatch, b"")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    code, _, err = orion("config", "put", "a")
    assert code == 2
    assert "give a value, @FILE, or -" in err


def test_get_writes_the_very_bytes(orion):
    orion("config", "put", "a", "no newline \N{SNOWMAN}")
    assert orion("config", "get", "a") == (0, "no newline \N{SNOWMAN}", "")


def test_get_says_what_is_missing(orion):
    code, out, err = orion("config", "get", "a")
    assert (code, out) == (1, "")
    assert err == "orion: there is no config a; orion config ls lists them\n"


def test_a_compare(orion):
    orion("config", "put", "a", "x", "--if-version", "0")
    code, _, err = orion("config", "put", "a", "y", "--if-version", "0")
    assert (code, err) == (1, "orion: a exists already, at version 8\n")
    assert orion("config", "rm", "a", "--if-version", "5")[0] == 1
    assert orion("config", "rm", "a", "--if-version", "8") == (0, "a\n", "")
    assert orion("config", "rm", "a", "b", "--if-version", "8")[0] == 2


def test_ls(orion):
    for key in ("b", "a/1"):
        orion("config", "put", key, "four")
    _, out, _ = orion("config", "ls")
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ["KEY", "VERSION", "SIZE", "CHANGED"]
    assert [row[:4] for row in rows[1:]] == [["a/1", "9", "4", "B"], ["b", "8", "4", "B"]]
    assert "b" not in [row.split()[0] for row in orion("config", "ls", "a/")[1].splitlines()]
    assert [c["key"] for c in json.loads(orion("config", "ls", "-o", "json")[1])] == ["a/1", "b"]


def test_rm_takes_several(orion, configs):
    for key in ("a", "b"):
        orion("config", "put", key, "x")
    assert orion("config", "rm", "a", "b") == (0, "a\nb\n", "")
    assert not configs


def test_run_gives_them_to_a_task(orion, api):
    assert orion("run", "nginx", "-c", "a=URL", "-c", "b/c=/etc/x.conf", "-c", "d=/y:600")[0] == 0
    assert api.service.creates[-1]["request"].configs == [
        ConfigMountRequest("a", env="URL"),
        ConfigMountRequest("b/c", path="/etc/x.conf"),
        ConfigMountRequest("d", path="/y", mode="600"),
    ]
    assert orion("run", "nginx", "-c", "a")[0] == 2
