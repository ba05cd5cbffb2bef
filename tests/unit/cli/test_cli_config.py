"""`orion config` against a real API on a service that answers from memory."""

import io
import json
import os
import subprocess

import pytest

from orion.client import ConfigRefRequest
from orion.model.configs import MAX_VALUE_BYTES
from orion.model.errors import Unavailable
from orion.model.folders import read_folder
from orion.state.tables.configs import Configs
from unit.api.fake_service import task_view


@pytest.fixture
def configs(api):
    return api.service.configs.state.of(Configs).rows


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


def test_put_says_that_the_name_of_a_file_is_a_text(orion, configs, tmp_path):
    (tmp_path / "f").write_bytes(b"one")
    code, _, err = orion("config", "put", "a", f"{tmp_path}/f")
    assert (code, configs["a"].value) == (0, f"{tmp_path}/f".encode())
    assert f"'@{tmp_path}/f' takes what is in that file" in err
    assert orion("config", "put", "a", "x" * 5_000)[2] == ""


def test_put_takes_standard_input(orion, configs, monkeypatch):
    type_in(monkeypatch, b"piped\xff\n")
    assert orion("config", "put", "a", "-")[0] == 0
    assert configs["a"].value == b"piped\xff\n"


def test_put_takes_the_largest_value_and_not_a_byte_more(orion, configs, monkeypatch, tmp_path):
    file = tmp_path / "f"
    file.write_bytes(bytes(MAX_VALUE_BYTES))
    assert orion("config", "put", "a", f"@{file}")[0] == 0
    file.write_bytes(bytes(MAX_VALUE_BYTES + 1))
    words = "holds more than 1,048,576 bytes, the most that a config has\n"
    assert orion("config", "put", "a", f"@{file}") == (1, "", f"orion: {file} {words}")
    type_in(monkeypatch, bytes(MAX_VALUE_BYTES + 1))
    assert orion("config", "put", "a", "-") == (1, "", f"orion: standard input {words}")
    assert configs["a"].stat.version == 8


def test_put_reads_what_has_no_end_no_further_than_it_must(orion):
    assert "more than 1,048,576 bytes" in orion("config", "put", "a", "@/dev/zero")[2]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("", "the key is empty: name a config, as in app/database/url"),
        ("a\n", r"'a\n' is not a key: write parts of letters, digits, '.', '_' and '-' with '/' between them"),
        ("a/", "'a/' is not a key: write parts of letters, digits, '.', '_' and '-' with '/' between them"),
    ],
)
def test_what_is_no_key(orion, configs, key, words):
    orion("config", "put", "a", "x")
    for command in (["put", key, "v"], ["get", key], ["rm", key]):
        assert orion("config", *command) == (1, "", f"orion: {words}\n")
    assert configs["a"].value == b"x"


@pytest.mark.parametrize("terminal", [True, False])
def test_put_without_a_value_reads_nothing_that_was_not_named(orion, configs, monkeypatch, terminal):
    """Neither a person's typing nor, under cron or ssh -n, nothing at all."""
    configs.clear()
    type_in(monkeypatch, b"")
    monkeypatch.setattr("sys.stdin.isatty", lambda: terminal, raising=False)
    code, _, err = orion("config", "put", "a")
    assert code == 2
    assert "give a value, @FILE, or -" in err
    assert not configs


def test_get_writes_the_very_bytes(orion):
    orion("config", "put", "a", "no newline \N{SNOWMAN}")
    assert orion("config", "get", "a") == (0, "no newline \N{SNOWMAN}", "")


def test_get_for_programs(orion, api):
    orion("config", "put", "a", "caf\N{LATIN SMALL LETTER E WITH ACUTE}")
    when = "2023-11-14T22:13:20.000Z"
    about = {"key": "a", "version": 8, "size": 5, "createdAt": when, "changedAt": when, "folder": False}
    found = json.loads(orion("config", "get", "a", "-o", "json", "--stale")[1])
    assert found == {**about, "encoding": "utf-8", "value": "caf\N{LATIN SMALL LETTER E WITH ACUTE}"}
    assert [read.stale for read in api.service.reads] == [True]
    orion("config", "put", "a", os.fsdecode(b"\xff"))
    found = json.loads(orion("config", "get", "a", "-o", "json")[1])
    assert (found["version"], found["size"], found["encoding"], found["value"]) == (9, 1, "base64", "/w==")


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


def test_rm_goes_on_after_one_that_is_not_there(orion, configs):
    for key in ("a", "b"):
        orion("config", "put", key, "x")
    code, out, err = orion("config", "rm", "a", "none", "b")
    assert (code, out) == (1, "a\nb\n")
    assert err == "orion: there is no config none; orion config ls lists them\n"
    assert not configs


def use(api, **keys):
    """Tasks by name, each with the config that it uses."""
    tasks = [task_view(name, configs=[ConfigRefRequest(key, env="A")]) for name, key in keys.items()]
    api.service.tasks_by_id = {task.id: task for task in tasks}


def test_rm_of_what_is_in_use_deletes_nothing_where_nobody_can_be_asked(orion, api, configs):
    mounts = [ConfigRefRequest("a", env="A"), ConfigRefRequest("a", path="/a")]
    tasks = [task_view(f"web{n}", configs=mounts) for n in range(7)]
    tasks += [
        task_view("done", configs=mounts, state="completed"),
        task_view("other", configs=[ConfigRefRequest("c")], state="stopped", stopped=True),
    ]
    api.service.tasks_by_id = {task.id: task for task in tasks}
    for key in ("a", "b", "c"):
        orion("config", "put", key, "x")
    users = "web0, web1, web2, web3, web4 and 2 more"
    code, out, err = orion("config", "rm", "a", "b", "c")
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        f"orion: a is still used by {users}: their tasks can't start again without it",
        "orion: c is still used by other: its tasks can't start again without it",
        "orion: nothing was deleted; --force deletes what is in use, too",
    ]
    assert set(configs) == {"a", "b", "c"}


@pytest.mark.parametrize(("answer", "code", "left"), [("y", 0, set()), ("n", 1, {"a"}), ("", 1, {"a"})])
def test_rm_of_what_is_in_use_asks_at_a_terminal(orion, api, configs, monkeypatch, answer, code, left):
    use(api, web="a")
    orion("config", "put", "a", "x")
    terminal = io.StringIO(f"{answer}\n")
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stdin", terminal)
    found, _, err = orion("config", "rm", "a")
    assert (found, set(configs)) == (code, left)
    assert "Delete all the same? [y/N]" in err


def test_rm_by_force_asks_nobody(orion, api, configs, monkeypatch):
    use(api, web="a")
    orion("config", "put", "a", "x")
    assert orion("config", "rm", "--force", "a") == (0, "a\n", "")
    assert not configs


def test_rm_deletes_nothing_where_it_can_t_be_told_who_uses_it(orion, monkeypatch, configs):
    def fail(*args, **kwargs):
        raise Unavailable("no leader")

    monkeypatch.setattr("orion.client.Client.tasks", fail)
    orion("config", "put", "a", "x")
    assert orion("config", "rm", "a") == (1, "", "orion: no leader\n")
    assert set(configs) == {"a"}


def test_run_gives_them_to_a_task(orion, api):
    assert orion("run", "-c", "a=URL", "-c", "b/c=/etc/x.conf", "-c", "d=/y:600", "nginx")[0] == 0
    assert api.service.creates[-1]["request"].configs == [
        ConfigRefRequest("a", env="URL"),
        ConfigRefRequest("b/c", path="/etc/x.conf"),
        ConfigRefRequest("d", path="/y", mode="600"),
    ]
    assert orion("run", "-c", "a", "nginx")[0] == 2


@pytest.mark.parametrize(
    ("use", "mode", "uid", "gid"),
    [("/y:600:101:102", "600", 101, 102), ("/y::101", "", 101, 0), ("/y:", "", 0, 0), ("/y:600:0:5", "600", 0, 5)],
)
def test_run_gives_a_file_an_owner(orion, api, use, mode, uid, gid):
    assert orion("run", "-c", f"d={use}", "nginx")[0] == 0
    wanted = [ConfigRefRequest("d", path="/y", mode=mode, uid=uid, gid=gid)]
    assert api.service.creates[-1]["request"].configs == wanted


@pytest.mark.parametrize("owner", ["nginx", "1:2:3", "-1", "\N{ARABIC-INDIC DIGIT ONE}", ":1", "9" * 5000])
def test_run_says_what_is_no_owner(orion, owner):
    code, _, err = orion("run", "-c", f"d=/y:600:{owner}", "nginx")
    assert code == 2
    assert "write :UID:GID" in err


# --- folders -----------------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "site"
    (folder / "css").mkdir(parents=True)
    (folder / "css" / "a.css").write_bytes(b"body {}")
    (folder / "run").write_bytes(b"#!")
    (folder / "run").chmod(0o750)
    (folder / "latest").symlink_to("css/a.css")
    return folder


def test_a_folder_there_and_back(orion, configs, site, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert orion("config", "put", "site", "./site/") == (0, "8\n", "")
    assert configs["site"].stat.folder
    first = configs["site"].value
    os.utime(site / "run", (1, 1))
    assert orion("config", "put", "site", f"@{site}")[0] == 0
    assert configs["site"].value == first, "the same folder is the same value"
    assert orion("config", "get", "site", "--to", "back") == (0, "", "")
    back = tmp_path / "back"
    assert sorted(str(each.relative_to(back)) for each in back.rglob("*")) == ["css", "css/a.css", "latest", "run"]
    assert (back / "latest").read_bytes() == b"body {}"
    assert (back / "run").stat().st_mode & 0o777 == 0o750
    code, _, err = orion("config", "get", "site", "--to", "back")
    assert (code, err) == (1, "orion: back is not empty: name a new folder\n")
    assert json.loads(orion("config", "get", "site", "-o", "json")[1])["folder"] is True


def test_a_tar_is_a_folder_if_that_is_said(orion, configs, site, monkeypatch):
    tar = subprocess.run(["tar", "c", "-C", str(site), "."], capture_output=True, check=True).stdout
    type_in(monkeypatch, tar)
    assert orion("config", "put", "--folder", "site", "-")[0] == 0
    assert [entry.path for entry in read_folder(configs["site"].value)] == ["css", "css/a.css", "latest", "run"]
    type_in(monkeypatch, b"no tar")
    code, _, err = orion("config", "put", "--folder", "site", "-")
    assert (code, err) == (1, "orion: the folder is not taken: this is no tar\n")
    assert configs["site"].stat.version == 8


def test_what_can_not_travel_is_named(orion, configs, site):
    os.mkfifo(site / "pipe")
    code, _, err = orion("config", "put", "site", f"@{site}")
    assert (code, "pipe is neither a file nor a folder nor a link" in err) == (1, True)
    (site / "pipe").unlink()
    (site / "out").symlink_to("/etc/passwd")
    assert (
        "'out' is a link to '/etc/passwd', which leads out of the folder"
        in orion("config", "put", "s", f"@{site}")[2]
    )
    (site / "out").unlink()
    with (site / "large").open("wb") as file:
        file.truncate(2**40)
    assert (
        "larger than 1,048,576 bytes as a tar, the most that a config has"
        in orion("config", "put", "s", f"@{site}")[2]
    )
    assert not configs


def test_a_value_that_looks_like_a_path_stays_one(orion, configs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for value in (str(tmp_path), f"{tmp_path}/", ".", "./none"):
        assert orion("config", "put", "a", value)[0] == 0
        assert configs["a"].value == value.encode()
        assert not configs["a"].stat.folder
    assert "there is no folder ./none/" in orion("config", "put", "a", "./none/")[2]
    assert "a is no folder" in orion("config", "get", "a", "--to", "x")[2]
