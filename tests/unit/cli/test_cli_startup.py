"""What each command loads, and how it behaves as a process. No timing: modules are what costs."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from unit.api.fake_service import task_view

SERVER = {"orion.api", "orion.node", "orion.raft", "orion.state", "orion.adapters", "orion.process.daemon"}
FILES = {"orion.jobfile", "yaml"}  # job files, for the commands that read them
HEAVY = {*SERVER, *FILES, "asyncio", "uvloop", "lmdb", "kinship", "httptools", "rich", "textual", "orion.tui"}


def loaded(*args, **env):
    """The modules that the command has loaded when it ends."""
    program = (
        "import sys; from orion.cli.app import run; code = run(sys.argv[1:]);"
        "print(*sorted(sys.modules), file=sys.stderr); sys.exit(code)"
    )
    command = [sys.executable, "-c", program, *args]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={**os.environ, **env}, check=True
    )
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "args",
    [["version"], ["--version"], ["ps", "--help"], ["nodes", "--help"], ["top", "--help"], ["completion", "zsh"]],
)
def test_what_asks_nobody_loads_next_to_nothing(args):
    assert not loaded(*args) & {*HEAVY, "msgspec", "http.client", "orion.client"}


@pytest.mark.parametrize("file", ["web.toml", "web.json", "web.yaml"])
def test_job_files_are_checked_without_server_and_client(file, tmp_path):
    (tmp_path / file).write_text(
        'name = "web"\nimage = "nginx"' if file == "web.toml" else '{"name":"web","image":"nginx"}'
    )
    modules = loaded("job", "check", str(tmp_path / file))
    assert "orion.jobfile" in modules
    assert ("yaml" in modules) == (file == "web.yaml")
    assert not modules & ({*HEAVY, "http.client", "orion.client"} - FILES)


def test_help_of_all_loads_no_server(api):
    assert not loaded("--help") & {*HEAVY, "http.client", "orion.client"}


@pytest.mark.parametrize(
    "args", [["ps"], ["ps", "-o", "json"], ["nodes"], ["raft"], ["logs", "web"], ["run", "nginx"]]
)
def test_what_asks_a_node_loads_the_client_and_no_server(api, args):
    api.service.tasks_by_id["web/0"] = task_view("web")
    modules = loaded(*args[:1], "--port", str(api.port), *args[1:])
    assert "http.client" in modules
    assert not modules & HEAVY


# What a library brought once, or a node needs now and then. Together they are megabytes and tens of milliseconds.
NOT_FOR_A_NODE = {"aiohttp", "uvicorn", "starlette", "anyio", "email", "http.client", "tarfile", "logging.config"}
NOT_FOR_A_NODE |= {"multiprocessing", "rich", "urllib.request", "unittest", "xml", "sqlite3", *FILES}
NOT_FOR_A_NODE |= {"orion.wire.backups", "orion.adapters.docker.sessions", "orion.api.http.session"}
NOT_FOR_A_NODE |= {"google.protobuf", "grpclib", "h2", "multidict", "orion.wire.csi.csi_pb2", "orion.csi_dir"}
NOT_FOR_A_NODE |= {"json", "shutil", "bz2", "lzma", "calendar", "statistics", "fractions", "lmdb.verify", "ctypes"}


def test_a_node_loads_no_more_than_it_needs():
    program = "import sys, orion.cli.app, orion.process.daemon, uvloop; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    assert not set(done.stdout.split()) & NOT_FOR_A_NODE


def test_the_collector_runs_once_a_node_has_started():
    program = "import gc; gc.disable(); from orion.process import daemon; daemon._spare_the_collector()"
    done = subprocess.run(
        [sys.executable, "-c", f"{program}; print(gc.isenabled(), gc.get_freeze_count() > 10_000)"],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stdout == "True True\n"


def test_importing_the_client_loads_no_server():
    program = "import sys, orion.client; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    assert not set(done.stdout.split()) & {*HEAVY, "click"}


@contextlib.contextmanager
def start(api, *args):
    command = [sys.executable, "-m", "orion", *args[:1], "--port", str(api.port), *args[1:]]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # A test run in the background of a shell ignores SIGINT, and so would its children.
    with subprocess.Popen(command, preexec_fn=_heed_ctrl_c, **pipes) as process:  # noqa: PLW1509 -- resets a signal
        try:
            yield process
        finally:
            process.kill()


def _heed_ctrl_c():
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_leaving_with_ctrl_c(api):
    api.service.tasks_by_id["web/0"] = task_view("web")
    with start(api, "run", "--name", "slow", "--wait", "nginx") as process:
        assert process.stdout.readline() == "slow/0\n"
        api.wait_until(lambda: any(read.after_index for read in api.service.reads))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=180)
    assert process.returncode == 130
    assert "slow/0 goes on without you" in err
    assert "Traceback" not in err
    assert "slow/0" in api.service.tasks_by_id


def test_leaving_logs_with_ctrl_c_is_quiet(api):
    api.service.tasks_by_id["web/0"] = task_view("web")
    api.service.logs_go_on = True
    with start(api, "logs", "-f", "web") as process:
        assert process.stdout.readline() == "one\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=180)
    assert "Traceback" not in err
    assert err.strip() == ""


def test_a_reader_that_has_enough(api):
    api.service.tasks_by_id = {f"t{i}/0": task_view(f"t{i}", reason="x" * 1000) for i in range(2000)}
    with start(api, "ps") as process:
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        process.wait(timeout=180)
    assert "Traceback" not in err
    assert "BrokenPipe" not in err


@pytest.mark.parametrize("command", [["config", "get", "a"], ["config", "ls"], ["help", "ps"], ["config"]])
def test_a_full_disk_under_the_output_is_one_line(api, command):
    api.ask("PUT", "/configs/a", b"x")
    env = {**os.environ, "ORION_ADDR": f"127.0.0.1:{api.port}"}
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "orion", *command],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=300,
            env=env,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == b"orion: reading or writing failed: No space left on device\n"


@pytest.mark.parametrize("command", ["config put a - <&-", "config get a >&-", "version >&-"])
def test_a_closed_stream_is_one_line(api, command):
    api.ask("PUT", "/configs/a", b"x")
    env = {**os.environ, "ORION_ADDR": f"127.0.0.1:{api.port}"}
    line = f"{sys.executable} -m orion {command}"
    done = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=300, env=env, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "orion: reading or writing failed: Bad file descriptor\n"
    assert api.ask("GET", "/configs/a").body == b"x"


# --- completion --------------------------------------------------------------------------------------------


# `python -m orion`, which does not go on without a node that had no processor for a second.
PATIENT = """
import runpy
import orion.cli.shared.options
orion.cli.shared.options.COMPLETION_S = 120.0
runpy.run_module("orion", run_name="__main__", alter_sys=True)
"""


def complete(*words, patient=False, **env):
    typed = {
        "COMP_WORDS": " ".join(["orion", *words]),
        "COMP_CWORD": str(len(words)),
        "_ORION_COMPLETE": "bash_complete",
    }
    command = [sys.executable, *(("-c", PATIENT) if patient else ("-m", "orion"))]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={**os.environ, **typed, **env}, check=True
    )
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_commands_are_completed():
    assert {"ps", "run", "nodes"} <= set(complete(""))
    assert complete("insp") == ["inspect"]


def test_flags_are_completed():
    assert "--stale" in complete("ps", "--")


def test_ids_are_completed(api):
    api.service.tasks_by_id = {f"{name}/0": task_view(name) for name in ("web", "db")}
    env = {"ORION_ADDR": f"127.0.0.1:{api.port}"}
    assert complete("inspect", "w", patient=True, **env) == ["web/0"]
    assert complete("stop", "web/0", "", patient=True, **env) == ["db/0", "web/0"]
    assert complete("drain", "", patient=True, **env) == ["node1", "node2"]
    assert complete("logs", "", ORION_ADDR="127.0.0.1:1") == [""]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell):
    command = [sys.executable, "-m", "orion", "completion", shell]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert "_ORION_COMPLETE" in done.stdout


def test_help_begins_with_what_it_is_for(capsys):
    from orion.cli.app import COMMANDS, found, run

    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    assert "Run containers on a few servers as if they were one machine." in out
    texts = {name: text for name, (_, text) in COMMANDS.items()}
    texts |= {name: out.partition(f"  {name} ")[2].partition("\n")[0].strip() for name in found()}
    for name, text in texts.items():
        assert name in out
        assert run([name, "--help"]) == 0
        # The table's line is the command's own first line, so that the two never differ.
        assert text.partition(";")[0].rstrip(".") in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("flag", ["--id", "--gossip-port", "--bootstrap", "--insecure"])
def test_help_shows_the_nodes_flags(capsys, flag):
    from orion.cli.app import run

    run(["--help"])
    assert flag in capsys.readouterr().out
