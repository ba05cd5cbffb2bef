"""`orion run` and what goes with it, as those who know Docker expect it: real processes, a real engine."""

import signal
import subprocess
from pathlib import Path

import pytest

from support import api, images
from support.cleanup import containers
from support.command import command, orion
from support.nodes import Cluster, free_ports

pytestmark = pytest.mark.engine


def test_words_after_the_image_reach_the_program(shared: Cluster, busybox_image: str) -> None:
    """Orion's own options among it: they end at IMAGE."""
    shared.grow_to(1)
    node = shared.nodes[0]
    asked = {
        "port": ("echo", "redis-server", "--port", "6380"),
        "shell": ("sh", "-c", "echo hello"),
        "publish": ("echo", "-p", "9000", "--wait", "--name=x", "--help", "--", "-h"),
    }
    for name, words in asked.items():
        assert orion(node, "run", "--restart", "no", "--name", name, images.BUSYBOX, *words) == (
            0,
            f"{name}/0\n",
            "",
        )
    for name, words in asked.items():
        assert shared.wait_task(name, "completed")["command"] == list(words)
    assert orion(node, "logs", "port") == (0, "redis-server --port 6380\n", "")
    assert orion(node, "logs", "shell") == (0, "hello\n", "")
    assert orion(node, "logs", "publish") == (0, "-p 9000 --wait --name=x --help -- -h\n", "")


SLOW = ("sh", "-c", "echo begun; trap 'sleep 1; exit 0' TERM; while :; do sleep 0.05; done")
# Ends when the test wants it to, whatever it is told meanwhile: as the first process it hears no signal.
HELD = {
    "image": images.BUSYBOX,
    "command": ["sh", "-c", "while [ ! -e /end ]; do sleep 0.1; done"],
    "stopGraceSeconds": 3600,
}


def let_end(docker_host: str, former: dict) -> None:
    api.run_inside(docker_host, former["containerId"], "touch", "/end")


def running(shared: Cluster, docker_host: str) -> list[str]:
    """The images of this cluster's containers that run."""
    found = containers(docker_host, f"dev.orion.cluster={shared.id}")
    return [container["Image"] for container in found if container["State"] == "running"]


def test_a_stopped_task_is_kept_and_comes_back(shared: Cluster, docker_host: str, busybox_image: str) -> None:
    """Whoever leads, and whatever dies meanwhile."""
    shared.grow_to(3)
    first = shared.nodes[0]
    assert orion(first, "run", "--name", "web", "--wait", "-e", "A=b", images.BUSYBOX, *SLOW)[0] == 0
    assert orion(first, "stop", "--wait", "web") == (0, "web/0\n", "")
    assert running(shared, docker_host) == []
    task = shared.task("web")
    assert (task["state"], task["stopped"], task["env"]) == ("stopped", True, {"A": "b"})
    assert "stopped" in orion(first, "ps")[1]
    assert orion(first, "logs", "web") == (0, "begun\n", "")
    code, _, err = orion(first, "run", "--name", "web", images.BUSYBOX)
    assert (code, err.count("orion start web")) == (1, 1)

    leader = shared.wait(shared.leader, "a leader")
    leader.kill()
    shared.wait(shared.leader, "another leader")
    living = shared.any()
    assert shared.task("web")["state"] == "stopped"
    assert orion(living, "start", "web") == (0, "web/0\n", "")
    assert shared.wait_task("web", "running")["env"] == {"A": "b"}
    assert orion(living, "rm", "web")[0] == 0
    shared.wait(lambda: not containers(docker_host, f"dev.orion.cluster={shared.id}"), "nothing to be left of it")


def test_a_task_that_is_started_while_it_stops_runs_once(
    shared: Cluster, docker_host: str, busybox_image: str
) -> None:
    shared.grow_to(1)
    node = shared.nodes[0]
    former = shared.run("web", **HELD)["allocations"][-1]
    assert orion(node, "stop", "web") == (0, "web/0\n", "")
    assert orion(node, "start", "web") == (0, "web/0\n", "")
    task = shared.task("web")
    assert (task["state"], task["reason"]) == ("pending", "waits until the former web has ended on node1")
    let_end(docker_host, former)
    task = shared.wait_task("web", "running")
    assert [run["state"] for run in task["allocations"]] == ["stopped", "running"]
    assert task["allocations"][0]["id"] == former["id"]
    assert task["allocations"][1]["startedAt"] > task["allocations"][0]["finishedAt"]
    assert len(running(shared, docker_host)) == 1


def test_rm_waits_and_the_name_is_free_at_once(shared: Cluster, docker_host: str, busybox_image: str) -> None:
    shared.grow_to(1)
    node = shared.nodes[0]
    assert orion(node, "run", "--name", "web", "--wait", images.BUSYBOX, *SLOW)[0] == 0
    assert orion(node, "rm", "web") == (0, "web/0\n", "")
    assert containers(docker_host, f"dev.orion.cluster={shared.id}") == []
    assert orion(node, "ps", "-q") == (0, "", "")
    assert orion(node, "rm", "web")[0] == 1

    former = shared.run("web", **HELD)
    node.ask("DELETE", "/tasks/web")
    assert orion(node, "run", "--name", "web", images.BUSYBOX, "sleep", "1000") == (0, "web/0\n", "")
    waiting = shared.task("web")
    assert (waiting["state"], waiting["reason"]) == ("pending", "waits until the former web has ended on node1")
    assert waiting["createdIndex"] > former["createdIndex"]
    let_end(docker_host, former["allocations"][-1])
    task = shared.wait_task("web", "running")
    assert (task["command"], len(task["allocations"])) == (["sleep", "1000"], 1)
    assert len(containers(docker_host, f"dev.orion.cluster={shared.id}")) == 1


def test_a_static_port_goes_from_a_removed_task_to_its_namesake(shared: Cluster, web_image: str) -> None:
    shared.grow_to(1)
    node = shared.nodes[0]
    port = str(free_ports()[0])
    for _ in range(3):
        assert orion(node, "run", "--name", "web", "-p", f"{port}:80", "--wait", web_image)[0] == 0
        node.ask("DELETE", "/tasks/web")


@pytest.mark.parametrize("script", ["true", "exit 3"])
def test_the_name_of_a_one_shot_that_has_ended_is_free(shared: Cluster, busybox_image: str, script: str) -> None:
    shared.grow_to(1)
    node = shared.nodes[0]
    command = ("run", "--name", "migrate", "--restart", "no", images.BUSYBOX, "sh", "-c")
    assert orion(node, *command, script)[0] == 0
    shared.wait_task("migrate", "failed" if "3" in script else "completed")
    assert orion(node, *command, "echo again") == (0, "migrate/0\n", "")
    assert shared.wait_task("migrate", "completed")["command"][-1] == "echo again"
    assert orion(node, "logs", "migrate")[1] == "again\n"


def test_a_one_shot_that_has_ended_runs_again_when_it_is_started(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(1)
    node = shared.nodes[0]
    assert orion(node, "run", "--name", "once", "--restart", "no", images.BUSYBOX, "echo", "hello")[0] == 0
    shared.wait_task("once", "completed")
    assert orion(node, "start", "once") == (0, "once/0\n", "")
    shared.wait(lambda: len(shared.task("once")["allocations"]) == 2, "a second run")
    shared.wait_task("once", "completed")


# --- exit codes --------------------------------------------------------------------------------------------


def test_waiting_for_a_one_shot_is_waiting_for_its_end(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(1)
    node = shared.nodes[0]
    once = ("run", "--restart", "no", "--wait", "--name")
    code, out, err = orion(node, *once, "bad", images.BUSYBOX, "sh", "-c", "sleep 3; echo no database; exit 5")
    assert (code, out) == (1, "bad/0\n")
    assert err.endswith("orion: bad/0 failed: exit code 5: no database\n  no database\n")
    assert orion(node, *once, "good", images.BUSYBOX, "sleep", "2")[0] == 0
    assert shared.task("good")["state"] == "completed"
    code, _, err = orion(node, *once, "long", "--wait-timeout", "15", images.BUSYBOX, "sleep", "1000")
    assert (code, err.splitlines()[-1]) == (
        4,
        "orion: long/0 is still running after 15 s; it goes on, see 'orion ps'",
    )


def connected(process: subprocess.Popen[str]) -> bool:
    """Returns whether it has a socket: a command makes none before it asks."""
    return any(str(each.readlink()).startswith("socket:") for each in Path(f"/proc/{process.pid}/fd").iterdir())


def test_wait_gives_the_programs_own_exit_code(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(1)
    node = shared.nodes[0]
    for name, script in (("seven", "sleep 1; exit 7"), ("well", "true"), ("stays", "sleep 1000")):
        assert orion(node, "run", "--restart", "no", "--name", name, images.BUSYBOX, "sh", "-c", script)[0] == 0
    assert orion(node, "wait", "seven") == (7, "7\n", "")
    assert orion(node, "wait", "well", "seven", "well") == (7, "0\n7\n0\n", "")
    shared.wait_task("stays", "running")
    assert orion(node, "wait", "--timeout", "0.5", "stays") == (
        4,
        "",
        "orion: stays/0 is still running after 0.5 s\n",
    )
    assert orion(node, "wait", "nobody")[0] == 1
    orion(node, "run", "--name", "ghost", "--restart", "no", images.BUSYBOX, "/no/such/program")
    code, _, err = orion(node, "wait", "ghost")
    assert code != 0
    assert "/no/such/program" in err
    with subprocess.Popen(command(node, "wait", "stays"), stderr=subprocess.PIPE, text=True) as waiting:
        shared.wait(lambda: connected(waiting), "it to ask")
        assert orion(node, "rm", "stays")[0] == 0
        assert waiting.wait(120) == 1
        assert waiting.stderr is not None
        assert waiting.stderr.read() == "orion: stays/0 was removed\n"


def test_a_program_in_the_foreground_gives_its_output_and_exit_code_and_is_removed(
    shared: Cluster, docker_host: str, busybox_image: str
) -> None:
    """Its two outputs, its exit code, and nothing left of it."""
    shared.grow_to(3)
    node = shared.nodes[0]
    script = "echo one; echo two >&2; sleep 2; printf three; exit 3"
    found = orion(node, "run", "--rm", "--name", "mine", images.BUSYBOX, "sh", "-c", script)
    assert found == (3, "one\nthree", "two\n")
    assert orion(node, "run", "--rm", images.BUSYBOX, "echo", "-n", "hello") == (0, "hello", "")
    assert orion(node, "run", "--rm", images.BUSYBOX, "cat", "/proc/self/cmdline") == (
        0,
        "cat\0/proc/self/cmdline\0",
        "",
    )
    assert orion(node, "ps", "-q") == (0, "", "")
    assert containers(docker_host, f"dev.orion.cluster={shared.id}") == []
    code, out, err = orion(node, "run", "--rm", images.BUSYBOX, "/no/such/program")
    assert (code != 0, out) == (True, "")
    assert "/no/such/program" in err
    assert orion(node, "run", "--rm", "-o", "json", images.BUSYBOX)[0] == 2
    assert orion(node, "ps", "-q") == (0, "", "")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_leaving_the_foreground_removes_what_ran_there(
    shared: Cluster, docker_host: str, busybox_image: str, number: signal.Signals, code: int
) -> None:
    shared.grow_to(1)
    node = shared.nodes[0]
    words = command(node, "run", "--rm", "--name", "mine", images.BUSYBOX, *SLOW)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, text=True, preexec_fn=_heed_ctrl_c, **pipes) as process:  # noqa: PLW1509 -- resets a signal
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (code, "orion: mine/0 is being removed\n")
    assert containers(docker_host, f"dev.orion.cluster={shared.id}") == []
    assert orion(node, "ps", "-q") == (0, "", "")


def _heed_ctrl_c() -> None:
    """A test run in the background of a shell ignores SIGINT, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_the_foreground_goes_on_when_its_node_dies_which_is_also_the_one_that_is_asked(
    shared: Cluster, busybox_image: str
) -> None:
    shared.grow_to(3)
    for other in ("node1", "node3"):
        assert orion(shared.nodes[1], "drain", other)[0] == 0
    script = "echo from $ORION_NODE; [ $ORION_NODE != node2 ] || exec sleep 1000; sleep 1; exit 5"
    addresses = ",".join(f"127.0.0.1:{node.port}" for node in (shared.nodes[1], shared.nodes[0], shared.nodes[2]))
    words = command(None, "run", "--addr", addresses, "--rm", images.BUSYBOX, "sh", "-c", script)
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "from node2\n"
        for other in ("node1", "node3"):
            assert orion(shared.nodes[1], "ready", other)[0] == 0
        shared.nodes[1].kill()
        out, err = process.communicate(timeout=180)
    assert process.returncode == 5, err
    assert out in {"from node1\n", "from node3\n"}
    assert orion(shared.any(), "ps", "-q") == (0, "", "")
