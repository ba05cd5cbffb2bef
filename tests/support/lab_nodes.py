"""Nodes on hosts of their own (support/lab.py) that share one engine, for tests that cut hosts off."""

import contextlib
import http.client
import json
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from support import cleanup
from support.lab import NETWORK, Lab

T = TypeVar("T")

PORT, GOSSIP_PORT, RAFT_PORT = 8000, 6000, 7000
DEADLINE_S = 45.0
POLL_S = 0.05


class LabNodes:
    """`node1` to `node<count>` on hosts 1 to `count`, and further hosts behind them."""

    def __init__(self, lab: Lab, root: Path, docker_host: str, count: int) -> None:
        self.lab = lab
        self._root = root
        self._docker_host = docker_host
        self._count = count
        self._processes: list[subprocess.Popen[bytes]] = []
        self._cut: dict[int, dict[int, list[str]]] = {}
        self.cluster = ""

    def address(self, host: int) -> str:
        return f"{self.lab.address(host)}:{PORT}"

    def enter(self, host: int) -> list[str]:
        """The words that run a command on this host."""
        return ["nsenter", f"--net=/var/run/netns/{self.lab.name(host)}"]

    def start(self) -> None:
        for host in range(1, self._count + 1):
            address = self.lab.address(host)
            first = ["--bootstrap"] if host == 1 else ["--join", f"{self.lab.address(1)}:{GOSSIP_PORT}"]
            command = [
                *self.enter(host), sys.executable, "-m", "orion", "--id", f"node{host}", "--insecure",
                "--bind", address, "--port", str(PORT), "--gossip-port", str(GOSSIP_PORT),
                "--raft-port", str(RAFT_PORT), "--data-dir", str(self._root / str(host)),
                "--docker-host", self._docker_host, *first,
            ]  # fmt: skip
            with (self._root / f"node{host}.log").open("ab") as log:
                self._processes.append(subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL))
            if host == 1:
                self.cluster = self.wait(lambda: self.ask(1, "GET", "/raft")["cluster"], "a cluster")

        def settled() -> bool:
            nodes = self.ask(1, "GET", "/nodes")
            voters = self.ask(1, "GET", "/raft")["voters"]
            ready = [node for node in nodes if node["status"] == "alive" and not node["reason"]]
            return len(ready) == len(voters) == self._count

        self.wait(settled, f"{self._count} nodes that vote")

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait(30)
        if self.cluster:
            cleanup.remove_containers(self._docker_host, self.cluster)

    def ask(self, host: int, method: str, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection(self.lab.address(host), PORT, timeout=15)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            text = response.read()
            if response.status >= 400:
                raise OSError(f"{response.status}: {text.decode()}")
            return json.loads(text)
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
        for each, words in rules.items():
            self.lab.add_rules(each, words)


@contextlib.contextmanager
def lab_nodes(docker_host: str, count: int, *, others: int) -> Iterator[LabNodes]:
    """`count` nodes, and so many hosts besides. The calling thread talks from within the lab meanwhile."""
    lab = Lab(secrets.token_hex(2), count + others)
    with tempfile.TemporaryDirectory(prefix="orion-") as root, contextlib.ExitStack() as stack:
        stack.callback(lab.down)
        lab.up()
        stack.callback(lab.leave, lab.enter())
        made = LabNodes(lab, Path(root), docker_host, count)
        stack.callback(made.stop)
        made.start()
        yield made
