"""Nodes on hosts of their own (support/lab.py): with one engine for all, for tests that cut hosts off, or with an
engine on each, for tests of what hosts have of networks.
"""

import contextlib
import http.client
import json
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from support import cleanup
from support.dockerd import Dockerd
from support.engine import engine_in_namespace
from support.lab import NETWORK, Lab

T = TypeVar("T")

PORT, GOSSIP_PORT, RAFT_PORT = 8000, 6000, 7000
DEADLINE_S = 180.0
POLL_S = 0.05


class LabNodes:
    """`node1` to `node<count>` on hosts 1 to `count`, and further hosts behind them. They share an engine, or each
    has its own.
    """

    def __init__(
        self,
        lab: Lab,
        root: Path,
        engines: Sequence[str],
        count: int,
        network: str = "off",
        flags: Callable[[int], list[str]] = lambda _: [],
    ) -> None:
        """`flags`: more of them for the node on a host."""
        self.lab = lab
        self.network = network
        self._root = root
        self._flags = flags
        self.engines = engines
        self.daemons: list[Dockerd] = []  # where each host has one
        self._count = count
        self._commands: list[list[str]] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self._cut: dict[int, dict[int, list[str]]] = {}
        self.cluster = ""

    def address(self, host: int) -> str:
        return f"{self.lab.address(host)}:{PORT}"

    def enter(self, host: int) -> list[str]:
        """The words that run a command on this host."""
        return ["nsenter", f"--net=/var/run/netns/{self.lab.name(host)}"]

    def run(self, host: int, *words: str) -> str:
        """A command on this host. Its output."""
        done = subprocess.run([*self.enter(host), *words], check=False, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, f"{words} on host {host}: {done.stderr or done.stdout}"
        return done.stdout

    def start(self) -> None:
        for host in range(1, self._count + 1):
            address = self.lab.address(host)
            first = (
                ["--bootstrap", "--network", self.network]
                if host == 1
                else ["--join", f"{self.lab.address(1)}:{GOSSIP_PORT}"]
            )
            command = [
                *self.enter(host), sys.executable, "-m", "orion", "--id", f"node{host}", "--insecure",
                "--bind", address, "--port", str(PORT), "--gossip-port", str(GOSSIP_PORT),
                "--raft-port", str(RAFT_PORT), "--data-dir", str(self._root / str(host)),
                "--docker-host", self.engines[(host - 1) % len(self.engines)], *first, *self._flags(host),
            ]  # fmt: skip
            self._commands.append(command)
            self._processes.append(self._popen(host))
            if host == 1:
                self.cluster = self.wait(lambda: self.ask(1, "GET", "/raft")["cluster"], "a cluster")

        def settled() -> bool:
            nodes = self.ask(1, "GET", "/nodes")
            voters = self.ask(1, "GET", "/raft")["voters"]
            ready = [node for node in nodes if node["status"] == "alive" and not node["reason"]]
            return len(ready) == len(voters) == self._count

        self.wait(settled, f"{self._count} nodes that vote")

    def _popen(self, host: int) -> subprocess.Popen[bytes]:
        with (self._root / f"node{host}.log").open("ab") as log:
            return subprocess.Popen(self._commands[host - 1], stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def pid(self, host: int) -> int:
        """The node's own process: what enters its host becomes it."""
        return self._processes[host - 1].pid

    def stop_node(self, host: int) -> None:
        """A planned stop: its containers run on."""
        self._processes[host - 1].terminate()
        self._processes[host - 1].wait(30)

    def kill_node(self, host: int) -> None:
        """The node's process alone: its containers and its mounts stay."""
        self._processes[host - 1].kill()
        self._processes[host - 1].wait(30)

    def lives(self, host: int) -> bool:
        return self._processes[host - 1].poll() is None

    def start_again(self, host: int) -> None:
        self._processes[host - 1] = self._popen(host)

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait(30)
        if self.cluster:
            for engine in self.engines:
                cleanup.remove_containers(engine, self.cluster)

    def ask(self, host: int, method: str, path: str, body: object = None, *, timeout_s: float = 15) -> Any:
        connection = http.client.HTTPConnection(self.lab.address(host), PORT, timeout=timeout_s)
        try:
            connection.request(method, path, body if body is None or isinstance(body, bytes) else json.dumps(body))
            response = connection.getresponse()
            text = response.read()
            if response.status >= 400:
                raise OSError(f"{response.status}: {text.decode()}")
            return json.loads(text) if text else None
        finally:
            connection.close()

    def wait(self, look: Callable[[], T | None], what: str, deadline_s: float = DEADLINE_S) -> T:
        deadline, last = time.monotonic() + deadline_s, None
        while time.monotonic() < deadline:
            try:
                if found := look():
                    return found
            except (OSError, http.client.HTTPException) as error:
                last = error
            time.sleep(POLL_S)
        logs = "\n".join(
            f"--- {path.name}\n{path.read_text()[-3000:]}" for path in sorted(self._root.glob("*.log"))
        )
        raise AssertionError(f"waited {deadline_s:g} s for {what}; last error: {last}\n{logs}")

    def vanish(self, host: int) -> None:
        """Nothing comes or goes any more; nobody is told."""
        others = [other for other in self.lab.hosts if other != host]
        rules = {other: [f"ip saddr {self.lab.address(host)} drop"] for other in others}
        rules[host] = [f"ip saddr {NETWORK}.0/24 drop"]
        self._cut[host] = rules
        for each, words in rules.items():
            self.lab.add_rules(each, words)

    def come_back(self, host: int) -> None:
        for each, words in self._cut.pop(host).items():
            self.lab.remove_rules(each, words)


@contextlib.contextmanager
def lab_nodes(docker_host: str, count: int, *, others: int) -> Iterator[LabNodes]:
    """`count` nodes, and so many hosts besides. The calling thread talks from within the lab meanwhile."""
    lab = Lab(secrets.token_hex(2), count + others)
    with tempfile.TemporaryDirectory(prefix="orion-") as root, contextlib.ExitStack() as stack:
        stack.callback(lab.down)
        lab.up()
        stack.callback(lab.leave, lab.enter())
        made = LabNodes(lab, Path(root), [docker_host], count)
        stack.callback(made.stop)
        made.start()
        yield made


@contextlib.contextmanager
def lab_hosts(
    count: int,
    prepare: Callable[[str], object],
    *,
    others: int = 0,
    network: str = "off",
    flags: Callable[[int], list[str]] = lambda _: [],
    **settings: object,
) -> Iterator[LabNodes]:
    """`count` nodes, each with an engine of its own on its host, where nothing is forwarded but what somebody
    allows, and so many hosts besides. `prepare` is given each engine before its node starts. `network` is what the
    cluster begins with, `settings` are those of the engines.
    """
    lab = Lab(secrets.token_hex(2), count + others)
    with tempfile.TemporaryDirectory(prefix="orion-") as root, contextlib.ExitStack() as stack:
        stack.callback(lab.down)
        lab.up()
        nodes = lab.hosts[:count]
        kept = {"live-restore": True, **settings}  # as whoever restarts an engine under running containers has it
        engines = [stack.enter_context(engine_in_namespace(lab.name(host), **kept)) for host in nodes]
        made = LabNodes(lab, Path(root), [engine.host for engine in engines], count, network, flags)
        made.daemons = engines
        for host, engine in zip(nodes, engines, strict=True):
            made.run(host, "iptables", "-P", "FORWARD", "DROP")
            prepare(engine.host)
        stack.callback(lab.leave, lab.enter())
        stack.callback(made.stop)
        made.start()
        yield made
