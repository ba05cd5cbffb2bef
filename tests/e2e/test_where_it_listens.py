"""Commands find the node of their machine, whatever address it listens on: real processes in their own network."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.nodes import DEADLINE_S, NO_ENGINE, POLL_S

pytestmark = pytest.mark.root

UP_S = 180.0  # for several nodes on a busy machine

ADDRESS, OTHER = "10.0.0.1", "10.0.0.2"


class Host:
    """A network namespace: what runs in it sees nothing of this machine's own network."""

    def __init__(self, name: str, root: Path) -> None:
        self._enter = ("nsenter", f"--net=/var/run/netns/{name}", sys.executable, "-m", "orion")
        self._root = root
        self._nodes: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, *flags: str) -> subprocess.Popen[bytes]:
        command = [*self._enter, "--id", name, "--data-dir", str(self._root / name), "--docker-host", NO_ENGINE]
        with (self._root / f"{name}.log").open("ab") as log:
            node = subprocess.Popen([*command, *flags], stdout=log, stderr=log, env=_environment())
        self._nodes.append(node)
        return node

    def orion(self, *args: str) -> tuple[int, str, str]:
        command = [*self._enter, *args]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env=_environment(),
            stdin=subprocess.DEVNULL,
        )
        return done.returncode, done.stdout, done.stderr

    def until_up(self, *args: str) -> None:
        answers: list[tuple[int, str, str]] = []

        def is_up() -> bool:
            answers[:] = [self.orion(*args)]
            return answers[0][0] == 0

        self.until(is_up, answers)

    def until(self, look: Callable[[], bool], what: object) -> None:
        """`what` is shown when it does not come to pass."""
        deadline = time.monotonic() + UP_S
        while not look():
            logs = [path.read_text() for path in self._root.glob("*.log")]
            assert time.monotonic() < deadline, f"{what}\n{logs}"
            time.sleep(POLL_S)

    def stop(self) -> None:
        for node in self._nodes:
            node.kill()
            node.wait(DEADLINE_S)


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("ORION_")}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    name = f"orion-listens-{os.getpid()}"
    with contextlib.ExitStack() as stack:
        _ip("netns", "add", name)
        stack.callback(_ip, "netns", "delete", name)
        _ip("-n", name, "link", "set", "lo", "up")
        for address in (ADDRESS, OTHER):
            _ip("-n", name, "addr", "add", f"{address}/32", "dev", "lo")
        made = Host(name, tmp_path)
        stack.callback(made.stop)
        yield made


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=30)


def test_a_node_that_does_not_listen_on_loopback_is_found(host: Host) -> None:
    node = host.start("node1", "--bind", ADDRESS, "--insecure", "--bootstrap", "--port", "8007")
    host.until_up("ps")
    code, out, err = host.orion("members")
    assert (code, err) == (0, "")
    assert f"{ADDRESS}:8007" in out
    assert host.orion("nodes", "--port", "8007")[0] == 0
    assert host.orion("config", "put", "a", "b")[0] == 0
    assert host.orion("config", "get", "a") == (0, "b", "")
    node.kill()
    node.wait(DEADLINE_S)
    code, _, err = host.orion("ps")
    assert code == 1
    assert "no Orion node answers at localhost:8000" in err, "what a killed node left behind is not believed"


def three_vote(host: Host, *addresses: str) -> bool:
    """Returns whether all of these know it, and that no change of who votes is under way."""
    answers = [host.orion("raft", "--output", "json", "--addr", address) for address in addresses]
    views = [json.loads(out) for code, out, _ in answers if code == 0]
    return len(views) == len(answers) and all(len(each["voters"]) == 3 and not each["next"] for each in views)


def test_of_several_nodes_none_is_guessed_at(host: Host) -> None:
    first = host.start("node1", "--bind", ADDRESS, "--insecure", "--bootstrap")
    host.until_up("ps")
    host.start(
        *("node2", "--bind", ADDRESS, "--insecure", "--join", f"{ADDRESS}:6000"),
        *("--port", "8001", "--gossip-port", "6001", "--raft-port", "7001"),
    )
    host.until_up("ps", "--port", "8001")
    assert host.orion("ps")[0] == 0, "one has the default port"
    host.start(
        *("node3", "--bind", OTHER, "--insecure", "--join", f"{ADDRESS}:6000"),
        *("--port", "8001", "--gossip-port", "6001", "--raft-port", "7001"),
    )
    host.until_up("ps", "--addr", f"{OTHER}:8001")
    code, _, err = host.orion("ps", "--port", "8001")
    assert code == 2
    assert f"--addr {ADDRESS}:8001 (node2) or --addr {OTHER}:8001 (node3)" in err
    addresses = (f"{ADDRESS}:8000", f"{ADDRESS}:8001", f"{OTHER}:8001")
    host.until(lambda: three_vote(host, *addresses), "three to vote")
    first.terminate()
    first.wait(DEADLINE_S)
    assert host.orion("ps")[0] == 0, "the others are of one cluster: any of them answers for it"
    host.start(
        *("other", "--bind", ADDRESS, "--insecure", "--bootstrap"),
        *("--port", "8003", "--gossip-port", "6003", "--raft-port", "7003"),
    )
    host.until_up("ps", "--port", "8003")
    code, _, err = host.orion("ps")
    assert code == 2
    assert err.startswith("orion: 3 nodes run on this machine: say which, as in --")


@pytest.mark.parametrize("bind", ["127.0.0.1", "::1", "localhost"])
def test_localhost_is_whichever_loopback_address_a_node_listens_on(host: Host, bind: str) -> None:
    host.start("node1", "--bind", bind, "--bootstrap")
    host.until_up("ps", "--addr", "localhost:8000")
    ports = ("--port", "8001", "--gossip-port", "6001", "--raft-port", "7001")
    host.start("node2", "--bind", bind, "--join", "localhost:6000", *ports)
    host.until_up("nodes", "inspect", "node2", "--addr", "localhost:8000")
    if bind == "localhost":
        for address in ("127.0.0.1:8000", "[::1]:8000"):
            assert host.orion("ps", "--addr", address)[0] == 0
