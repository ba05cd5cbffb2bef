"""`orion exec` from any node: a terminal, pipes, exit codes, and the death of the node in the middle."""

import hashlib
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fcntl import ioctl
from pathlib import Path

import pytest

from support import images
from support.command import command, orion
from support.nodes import Cluster, NodeProcess

pytestmark = pytest.mark.engine

FOREVER = ["sh", "-c", "trap 'exit 0' TERM; sleep 1000000 & wait"]
DEADLINE_S = 60.0
TEN_MB = 10_000_000
SOON_S = 60.0  # said within seconds: a deadline, not a measurement


class Terminal:
    """A command in a real pty, and what it has written so far."""

    def __init__(self, *words: str) -> None:
        self._main, side = pty.openpty()
        self.resize(90, 30)
        self.process = subprocess.Popen(words, stdin=side, stdout=side, stderr=side, start_new_session=True)
        self._side = side
        self.before = termios.tcgetattr(side)
        self.text = ""

    def resize(self, columns: int, rows: int) -> None:
        ioctl(self._main, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self._main, text.encode())

    def until(self, holds: Callable[[str], object], what: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not holds(self.text):
            left_s = deadline - time.monotonic()
            assert left_s > 0, f"{what} did not come: {self.text!r}"
            if select.select([self._main], [], [], min(left_s, 0.2))[0]:
                with suppress(OSError):
                    self.text += os.read(self._main, 65_536).decode(errors="replace")

    def shows(self, pattern: str) -> None:
        self.until(lambda text: re.search(pattern, text), pattern)

    def ended(self) -> int:
        self.until(lambda _: self.process.poll() is not None, "the end")
        return self.process.returncode

    @property
    def settings(self) -> list[object]:
        return termios.tcgetattr(self._side)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._main)
        os.close(self._side)


@contextmanager
def terminal(node: NodeProcess, *args: str) -> Iterator[Terminal]:
    opened = Terminal(*command(node, *args))
    try:
        yield opened
    finally:
        opened.close()


def placed(cluster: Cluster) -> tuple[NodeProcess, NodeProcess]:
    """A task `web` on one node, and another node to ask: both workers, where there are any."""
    roles = {node["name"]: node["role"] for node in cluster.nodes[0].ask("GET", "/nodes")}
    workers = [cluster.node(name) for name, role in roles.items() if role == "worker"]
    home, asked = (workers * 2)[:2] if len(workers) >= 2 else (cluster.nodes[-1], cluster.nodes[0])
    cluster.run(
        "web", image=images.BUSYBOX, command=FOREVER, nodeSelectors={"id": home.name}, restartPolicy="always"
    )
    cluster.wait_task("web", "running")
    return home, asked


def test_a_terminal_through_three_nodes(shared: Cluster, busybox_image: str) -> None:
    """From a worker, which asks a voter where the task is, to another worker: a full-screen program, the window's
    size, Ctrl-C, the exit code, and this terminal as it was.
    """
    shared.grow_to(9)
    home, asked = placed(shared)
    assert home is not asked
    with terminal(asked, "exec", "-it", "-e", "TERM=vt100", "web", "sh") as term:
        term.shows("/ # ")
        term.type("stty size\r")
        term.shows(r"\r\n30 90\r\n")
        term.resize(111, 44)
        term.process.send_signal(signal.SIGWINCH)
        term.type("until stty size | grep 44; do sleep 0.1; done\r")
        term.shows(r"\r\n44 111\r\n")
        # Said by who sleeps: before it has been given the terminal, a Ctrl-C is the shell's own and ends nothing.
        term.type("sh -c \"echo be''gun; exec sleep 1000\"; echo slept $?\r")
        term.shows(r"\r\nbegun\r\n")
        term.type("\x03")
        term.shows(r"\^C[\s\S]*/ # ")  # the shell is there again
        term.type("vi /tmp/notes\r")
        term.shows(r"/tmp/notes.*1/1|\[New|- /tmp/notes")
        term.type("ihello from vi\x1b")
        term.shows("hello from vi")
        term.type(":wq\r")
        term.type("cat /tmp/notes; exit 42\r")
        term.shows(r"\r\nhello from vi\r\n")
        assert term.ended() == 42
        assert term.settings == term.before
    assert orion(asked, "exec", "web", "cat", "/tmp/notes") == (0, "hello from vi\n", "")


def test_pipes_carry_all_that_they_are_given(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(3)
    home, asked = placed(shared)
    assert home is not asked
    data = os.urandom(1_000_000) * 10
    piped = subprocess.run(
        command(asked, "exec", "-i", "web", "sha256sum"), input=data, capture_output=True, timeout=180, check=True
    )
    assert piped.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()
    echoed = subprocess.run(
        command(asked, "exec", "-i", "web", "cat"), input=data, capture_output=True, timeout=180, check=True
    )
    assert hashlib.sha256(echoed.stdout).digest() == hashlib.sha256(data).digest()
    assert echoed.stderr == b""
    script = f"yes 0123456789 | head -c {TEN_MB}"
    written = subprocess.run(
        command(asked, "exec", "web", "sh", "-c", script), capture_output=True, timeout=180, check=True
    )
    assert written.stdout == (b"0123456789\n" * (TEN_MB // 11 + 1))[:TEN_MB]
    early = subprocess.run(
        command(asked, "exec", "-i", "web", "head", "-c", "5"),
        input=data,
        capture_output=True,
        timeout=180,
        check=True,
    )
    assert early.stdout == data[:5]


def test_exit_codes_streams_users_and_mistakes_are_told(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(3)
    _, asked = placed(shared)
    assert orion(asked, "exec", "web", "sh", "-c", "echo out; echo err >&2; exit 3") == (3, "out\n", "err\n")
    said = orion(
        asked, "exec", "-u", "1000", "-w", "/tmp", "-e", "A=b c", "web", "sh", "-c", "echo $(id -u) $PWD $A"
    )
    assert said == (0, "1000 /tmp b c\n", "")
    code, out, err = orion(asked, "exec", "web", "no-such-program")
    assert code == 127
    assert "executable file not found" in out + err
    assert orion(asked, "exec", "other", "true") == (
        1,
        "",
        "orion: there is no task other/0; 'orion ps' lists them\n",
    )
    code, _, err = orion(asked, "exec", "-t", "-i", "web", "sh")
    assert code == 2
    assert "standard input must be a terminal" in err
    assert orion(asked, "exec", "--all", "web", "sh", "-c", "echo hi; exit 4") == (
        4,
        "web/0 | hi\n",
        "orion: web/0: exit code 4\n",
    )
    asked.ask("POST", "/tasks/web/stop")
    shared.wait_task("web", "stopped")
    code, _, err = orion(asked, "exec", "web", "true")
    assert code == 1
    assert "web/0 does not run now, it is stopped" in err


@pytest.mark.parametrize(("number", "words"), [(signal.SIGKILL, "broke"), (signal.SIGSTOP, "has said nothing for")])
def test_the_task_s_node_that_dies_in_the_middle_is_said_within_seconds(
    shared: Cluster, busybox_image: str, number: int, words: str
) -> None:
    """Killed, and frozen."""
    shared.grow_to(3)
    home, asked = placed(shared)
    with running(asked, "exec", "web", "sh", "-c", "echo begun; sleep 1000") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        home.signal(number)
        _, err = process.communicate(timeout=SOON_S)
        assert process.returncode == 1
        assert words in err, err
    if number == signal.SIGSTOP:
        home.signal(signal.SIGCONT)


def test_the_node_that_is_asked_dies_in_the_middle(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(3)
    _, asked = placed(shared)
    with running(asked, "exec", "-i", "web", "sh", "-c", "echo begun; cat") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        asked.kill()
        _, err = process.communicate(timeout=SOON_S)
        assert process.returncode == 1
        assert f":{asked.port} broke" in err


def test_what_nobody_reads_holds_nothing_up_and_fills_nothing(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(3)
    home, asked = placed(shared)
    before = {node.name: memory_of(node) for node in (home, asked)}
    with running(asked, "exec", "web", "sh", "-c", "echo 0; yes 0123456789 | head -c 300000000") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "0\n"
        assert orion(asked, "exec", "web", "echo", "hello")[:2] == (0, "hello\n")
        for node in (home, asked):
            assert memory_of(node) - before[node.name] < 30_000_000


def memory_of(node: NodeProcess) -> int:
    assert node.process is not None
    status = Path(f"/proc/{node.process.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))


@contextmanager
def running(node: NodeProcess, *args: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        command(node, *args), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()
