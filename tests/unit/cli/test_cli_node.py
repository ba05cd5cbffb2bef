"""`orion` with no subcommand: flags, environment and file become one Config."""

import os
import sys
import types
from pathlib import Path

import pytest

from orion.model.resources import Resources
from orion.process.config import Config


@pytest.fixture
def node(monkeypatch, capsys):
    """Runs the command line with a daemon that only keeps its Config: (exit code, Config, error output)."""
    from orion.cli.app import run

    started = []
    daemon = types.ModuleType("orion.process.daemon")
    daemon.run = lambda config: started.append(config) or 0
    monkeypatch.setitem(sys.modules, "orion.process.daemon", daemon)
    monkeypatch.setattr("gc.disable", lambda: None)  # else nobody would turn it on again

    def command(*args):
        started.clear()
        code = run(args)
        return code, started[0] if started else None, capsys.readouterr().err

    return command


def config(node, *args) -> Config:
    code, found, err = node(*args)
    assert code == 0, err
    assert found is not None
    return found


def refused(node, *args) -> str:
    code, found, err = node(*args)
    assert (code, found) == (2, None)
    assert err.startswith("orion: ")
    assert err.count("\n") == 1
    return err


def test_the_lines_of_the_readme(node, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    first = config(
        node, *["--id", "node1", "--port", "8000", "--gossip-port", "6000", "--raft-port", "7000", "--bootstrap"]
    )
    assert first == Config(node="node1", data_dir="/var/lib/orion/node1", bootstrap=True)
    second = config(
        node,
        *[
            "--id",
            "node2",
            "--port",
            "8001",
            "--gossip-port",
            "6001",
            "--raft-port",
            "7001",
            "--join",
            "127.0.0.1:6000",
        ],
    )
    assert (second.port, second.gossip_port, second.raft_port) == (8001, 6001, 7001)
    assert (second.join, second.bootstrap) == (("127.0.0.1:6000",), False)


def test_defaults(node, monkeypatch, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    found = config(node)
    assert found.node == os.uname().nodename
    assert found.data_dir == str(tmp_path / ".local/state/orion" / found.node)
    assert (found.bind, found.advertise, found.capacity) == ("127.0.0.1", "127.0.0.1", None)
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert config(node, "--id", "a").data_dir == "/state/orion/a"
    assert config(node, "--id", "a", "--data-dir", "here").data_dir == str(Path.cwd() / "here")


def test_docker_host(node, monkeypatch):
    assert config(node).docker_host == "unix:///var/run/docker.sock"
    monkeypatch.setenv("DOCKER_HOST", "tcp://a:1")
    assert config(node).docker_host == "tcp://a:1"
    assert config(node, "--docker-host", "tcp://b:2").docker_host == "tcp://b:2"


@pytest.mark.parametrize(
    "host", ["foo", "unix://", "unix://relative", "tcp://", "ssh://me@there", "/run/docker.sock"]
)
def test_what_is_no_docker_host(node, monkeypatch, host):
    err = refused(node, "--docker-host", host)
    assert (
        f"orion: {host!r} (--docker-host) is no address of a Docker Engine: write unix:///path/to/docker.sock"
        in err
    )
    monkeypatch.setenv("DOCKER_HOST", host)
    assert f"orion: {host!r} (DOCKER_HOST) is no address" in refused(node)


def test_all_flags(node):
    found = config(
        node,
        *("--id", "n", "--bind", "::1", "--advertise", "localhost", "--join", "a:1", "--join", "[::1]:2"),
        *("--label", "zone=b", "--label", "disk=ssd", "--memory", "4g", "--cpus", "1.5", "--disk", "100GB"),
    )
    assert (found.bind, found.advertise) == ("::1", "localhost")
    assert found.join == ("a:1", "[::1]:2")
    assert found.labels == (("disk", "ssd"), ("zone", "b"))
    assert found.capacity == Resources(1500, 4 * 1024**3, 100 * 10**9)


def test_what_is_not_given_of_the_capacity_is_left_to_be_detected(node):
    assert config(node, "--memory", "4g").capacity == Resources(0, 4 * 1024**3, 0)


def test_the_environment(node, monkeypatch):
    for name, value in {
        "ORION_ID": "env",
        "ORION_PORT": "8100",
        "ORION_JOIN": "a:1 b:2",
        "ORION_LABEL": "zone=a disk=ssd",
        "ORION_GOSSIP_PORT": "6100",
        "ORION_DATA_DIR": "/data",
        "ORION_DOCKER_HOST": "tcp://c:3",
        "ORION_MEMORY": "1g",
    }.items():
        monkeypatch.setenv(name, value)
    found = config(node)
    assert (found.node, found.port, found.join, found.bootstrap) == ("env", 8100, ("a:1", "b:2"), False)
    assert (found.labels, found.gossip_port, found.data_dir) == ((("disk", "ssd"), ("zone", "a")), 6100, "/data")
    assert (found.docker_host, found.capacity) == ("tcp://c:3", Resources(0, 1024**3, 0))
    assert config(node, "--id", "flag", "--port", "9000").port == 9000


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "orion.toml"
        path.write_text(text)
        return str(path)

    return write


def test_the_file(node, file):
    path = file(
        'id = "toml"\nport = 8200\ngossip-port = 6200\nraft_port = 7200\njoin = ["a:1"]\n'
        'memory = "2g"\ncpus = 2\ndisk = 1000\n[label]\nzone = "c"\n'
    )
    found = config(node, "--config", path)
    assert (found.node, found.port, found.gossip_port, found.raft_port) == ("toml", 8200, 6200, 7200)
    assert (found.join, found.bootstrap, found.labels) == (("a:1",), False, (("zone", "c"),))
    assert found.capacity == Resources(2000, 2 * 1024**3, 1000)
    assert config(node, "--config", file('label = ["a=b"]')).labels == (("a", "b"),)


def test_the_command_line_wins_over_the_environment_which_wins_over_the_file(node, file, monkeypatch):
    path = file('id = "file"\nbind = "127.0.0.3"\nadvertise = "127.0.0.3"\nport = 1\nlabel = ["from=file"]\n')
    monkeypatch.setenv("ORION_CONFIG", path)
    monkeypatch.setenv("ORION_ID", "env")
    monkeypatch.setenv("ORION_BIND", "127.0.0.2")
    found = config(node, "--id", "flag", "--label", "from=flag")
    assert (found.node, found.bind, found.advertise, found.port) == ("flag", "127.0.0.2", "127.0.0.3", 1)
    assert found.labels == (("from", "flag"),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot = 1", "'prot' is not a setting: did you mean port?"),
        ("zzzzzz = 1", "'zzzzzz' is not a setting; known are id, bind"),
        ("config = 'x'", "'config' is not a setting"),
        ("rest = 'x'", "'rest' is not a setting"),
        ("port = 'x'", "port: 'x' is not a port"),
        ("port = true", "port can't be true"),
        ("port = [1]", "port must be one value"),
        ("id = 'a b'", "id: 'a b' is not a node's name"),
        ("bootstrap = 'yes'", "bootstrap must be true or false"),
        ("join = 'a:1'", "join must be a list"),
        ("join = ['a']", "join: 'a' is not an address"),
        ("[id]\na = 1", "id must be one value"),
        ("[label]\na = 'b c'", "label: 'b c' is not a label's value"),
        ("memory = 'big'", "memory: 'big' is not a size"),
        ("port = ", "is not TOML"),
    ],
)
def test_a_wrong_file_names_the_key(node, file, text, words):
    path = file(text)
    err = refused(node, "--config", path)
    assert words in err
    assert path in err


def test_a_file_that_is_not_there(node):
    assert "/nowhere.toml: No such file or directory" in refused(node, "--config", "/nowhere.toml")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--id", "a/b"], "'a/b' is not a node's name"),
        (["--id", "a" * 65], "is not a node's name"),
        (["--port", "0"], "ports go from 1 to 65535"),
        (["--port", "65536"], "ports go from 1 to 65535"),
        (["--gossip-port", "x"], "'x' is not a port"),
        (["--port", "7000"], "must be three different ports"),
        (["--join", "node1"], "write host:port"),
        (["--join", "http://10.0.0.1:6000"], "write host:port with a port from 1 to 65535, without http://"),
        (["--join", "a:1,b:2"], "one at a time"),
        (["--pids-limit", "-1"], "--pids-limit"),
        (["--join", "a b:1"], "'a b:1' is not an address"),
        (["--join=-x:1"], "'-x:1' is not an address"),
        (["--join", "a..b:1"], "is not an address"),
        (["--join", "\u00e9:1"], "is not an address"),
        (["--join", "a:\u0663"], "is not an address"),
        (["--join", "[::1:5"], "is not an address"),
        (["--join", "::1:5"], "is not an address"),
        (["--join", "a" * 300 + ":1"], "is not an address"),
        (["--join", "a:" + "1" * 5_001], "is not an address"),
        (["--bind", "http://10.0.0.1"], "without a port"),
        (["--bind", "a..b"], "'a..b' is not an address"),
        (["--bind", "10.0.0.1:80"], "without a port"),
        (["--advertise", "a" * 300], "is not an address"),
        (["--advertise", "a b"], "is not an address"),
        (["--docker-host", "tcp://a b"], "no address of a Docker Engine"),
        (["--docker-host", "tcp://1.2.3.4:99999"], "no address of a Docker Engine"),
        (["--label", "zone"], "'zone' is not name=value"),
        (["--label", "a=b", "--label", "a=c"], "--label a is given twice"),
        (["--memory", "0"], "--memory must be more than 0"),
        (["--cpus", "-1"], "--cpus must be more than 0"),
        (["--cpus", "nan"], "--cpus must be more than 0"),
        (["--disk", "1x"], "'1x' is not a size"),
        (["--nope"], "no such option"),
        (["--port", "8000", "ps"], "a command comes first, as in: orion ps --port 8000"),
    ],
)
def test_wrong_flags(node, args, words):
    assert words in refused(node, *args)


@pytest.mark.parametrize(
    "args",
    [
        ["--bind", "0.0.0.0", "--advertise", "10.0.0.1"],
        ["--bind", "10.0.0.1"],
        ["--advertise", "10.0.0.1"],
        ["--advertise", "node1.example"],
        ["--bind", "::", "--advertise", "127.0.0.1"],
    ],
)
def test_beyond_this_machine_only_when_it_is_said(node, args):
    err = refused(node, *args)
    assert "unencrypted and open to whoever reaches the ports: add --insecure" in err
    code, found, err = node(*args, "--insecure")
    assert code == 0
    assert found.insecure
    assert err.startswith("orion: warning: ")
    assert "unencrypted and open to whoever reaches the ports" in err


@pytest.mark.parametrize("args", [["--bind", "0.0.0.0"], ["--advertise", "::", "--bind", "127.0.0.1"]])
def test_what_nobody_can_dial(node, args):
    assert "with --advertise" in refused(node, *args, "--insecure")


def test_insecure_on_loopback_says_nothing(node):
    assert node("--insecure")[2] == ""


def test_the_daemons_exit_code_is_the_commands(node, monkeypatch):
    monkeypatch.setattr(sys.modules["orion.process.daemon"], "run", lambda config: 1)
    assert node("--id", "a")[0] == 1


@pytest.mark.parametrize("from_environment", [True, False])
def test_to_begin_a_cluster_and_to_join_one_is_refused(node, file, monkeypatch, from_environment):
    flags = ["--join", "10.0.0.1:6000"]
    if from_environment:
        monkeypatch.setenv("ORION_BOOTSTRAP", "1")
    else:
        flags += ["--config", file("bootstrap = true")]
    words = refused(node, *flags)
    assert "--bootstrap begins a new cluster, and --join 10.0.0.1:6000 enters one that exists" in words


@pytest.mark.parametrize(
    ("words", "network"),
    [
        (("--bootstrap",), ""),
        (("--bootstrap", "--network", "10.64.0.0/16"), "10.64.0.0/16"),
        (("--bootstrap", "--bind", "192.0.2.7", "--insecure", "--network", "off"), ""),
        (("--join", "127.0.0.1:6001", "--network", "10.64.0.0/16"), ""),
    ],
)
def test_a_new_cluster_has_the_network_that_is_asked_for(node, words, network):
    assert config(node, *words).network == network


def test_a_new_cluster_that_others_reach_has_a_network(node, monkeypatch):
    monkeypatch.setattr("orion.process.network_range.free_range", lambda advertise: f"free beside {advertise}")
    assert config(node, "--bootstrap", "--bind", "192.0.2.7", "--insecure").network == "free beside 192.0.2.7"
