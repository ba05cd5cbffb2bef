"""Real Orion nodes as processes on loopback, for end-to-end tests, benchmarks and script/demo.

Each node has its own data directory, ports that were free a moment ago and a log file; all end by their recorded
process id. Waiting is for a state, with a deadline; what the cluster looked like is shown when it passes.
"""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from support import api, cleanup

T = TypeVar("T")

DEADLINE_S = 180.0
POLL_S = 0.02
NO_ENGINE = "unix:///nonexistent/docker.sock"  # for clusters in which nothing is to run


class Problem(Exception):
    """An answer with a problem document."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(f"{status}: {body.get('detail', body)}")
        self.status = status
        self.body = body


class NodeProcess:
    def __init__(
        self, name: str, root: Path, docker_host: str, ports: tuple[int, int, int], extra: list[str]
    ) -> None:
        self.name = name
        self.port, self.gossip_port, self.raft_port = ports
        self.data_dir = root / name
        self.log_file = root / f"{name}.log"
        self._docker_host = docker_host
        self._extra = extra
        self.program = [sys.executable, "-m", "orion"]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def gossip(self) -> str:
        return f"127.0.0.1:{self.gossip_port}"

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self, *flags: str) -> None:
        assert not self.alive, f"{self.name} runs already"
        command = [*self.program, "--id", self.name, "--port", str(self.port)]
        command += ["--gossip-port", str(self.gossip_port), "--raft-port", str(self.raft_port)]
        command += ["--data-dir", str(self.data_dir), "--docker-host", self._docker_host]
        with self.log_file.open("ab") as output:
            self.process = subprocess.Popen(
                [*command, *self._extra, *flags],
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                env=_environment(),
            )

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """kill -9, and wait until the kernel has buried it."""
        self.signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait(DEADLINE_S)

    def stop(self) -> int:
        """A planned stop; the exit code."""
        self.signal(signal.SIGTERM)
        assert self.process is not None
        return self.process.wait(DEADLINE_S)

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: dict[str, str] | None = None,
        timeout_s: float = 15,
    ) -> Any:
        """The decoded JSON answer. Raises Problem, or OSError when nobody listens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, headers or {})
            response = connection.getresponse()
            text = response.read()
            if response.status >= 400:
                raise Problem(response.status, json.loads(text))
            is_json = "json" in (response.getheader("Content-Type") or "")
            return json.loads(text) if is_json and text else text.decode()
        finally:
            connection.close()

    def log_tail(self, lines: int = 40) -> str:
        if not self.log_file.exists():
            return "(no log)"
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])


def _environment() -> dict[str, str]:
    """As an installed program has it: compiled modules are kept, no flag of ours leaks in."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE" and not k.startswith("ORION_")}
    return kept | {"PYTHONUNBUFFERED": "1"}


class Cluster:
    """Nodes node1, node2, ...; node1 is the one that bootstraps."""

    def __init__(self, root: Path, docker_hosts: str | list[str], extra: list[str] | None = None) -> None:
        self._root = root
        self._docker_hosts = docker_hosts
        self._extra = extra or []
        self.nodes: list[NodeProcess] = []
        self.program: Callable[[str], list[str]] | None = None  # what runs as the node of that name, if not orion
        self.id = ""  # as in the containers' labels, once there is a leader

    def add(self, *flags: str) -> NodeProcess:
        """Make and start the next node."""
        number = len(self.nodes)
        hosts = self._docker_hosts
        host = hosts if isinstance(hosts, str) else hosts[number]
        node = NodeProcess(f"node{number + 1}", self._root, host, free_ports(), self._extra)
        if self.program is not None:
            node.program = self.program(node.name)
        self.nodes.append(node)
        node.start(*(flags or self.joining(node)))
        return node

    def joining(self, node: NodeProcess) -> tuple[str, ...]:
        """The flags that bring a node into the cluster, the first time or any other."""
        others = [n.gossip for n in self.nodes if n is not node][:3]
        if node is self.nodes[0] and not node.data_dir.exists():
            return ("--bootstrap",)
        return tuple(flag for other in others for flag in ("--join", other))

    def grow_to(self, count: int, *, engines: bool = True) -> None:
        """Start nodes until there are so many, and wait until all are registered and the voters settled."""
        while len(self.nodes) < count:
            self.add()
            if len(self.nodes) == 1:
                self.wait(self.leader, "a leader")
                self.id = self.wait(lambda: self.any().ask("GET", "/raft")["cluster"], "a cluster id")
        self.wait_settled(count, engines=engines)

    def wait_settled(self, count: int, deadline_s: float | None = None, *, engines: bool = True) -> None:
        """The more there are, the longer it may take: they start at once, on one machine."""
        voters = min(5, count if count % 2 else max(1, count - 1))

        def settled() -> bool:
            raft = self.any().ask("GET", "/raft")
            alive = [n for n in self.any().ask("GET", "/nodes") if n["status"] == "alive"]
            ready = [n for n in alive if not engines or not n["reason"]]
            learners = min(2, count - voters)
            whole = len(raft["voters"]) == voters and len(raft["learners"]) == learners and len(ready) == count
            return whole and not raft["next"] and self._all_know(raft["commitIndex"])

        self.wait(
            settled,
            f"{count} nodes with {voters} voters",
            DEADLINE_S + 20 * count if deadline_s is None else deadline_s,
        )

    def _all_know(self, index: int) -> bool:
        """While a change of voters is not known to be over, those of before are needed: none may be killed."""
        return all(node.ask("GET", "/raft")["appliedIndex"] >= index for node in self.nodes if node.alive)

    def any(self) -> NodeProcess:
        return next(n for n in self.nodes if n.alive)

    def node(self, name: str) -> NodeProcess:
        return next(n for n in self.nodes if n.name == name)

    def leader(self) -> NodeProcess | None:
        """Who the living agree on."""
        told = {n.ask("GET", "/raft")["leader"] for n in self.nodes if n.alive}
        name = told.pop() if len(told) == 1 else None
        leader = self.node(name) if name else None
        return leader if leader is not None and leader.alive else None

    def lead(self, name: str) -> NodeProcess:
        """Makes it the leader: asked for again while another one is, who may have been elected meanwhile."""

        def leads() -> NodeProcess | None:
            leader = self.leader()
            if leader is not None and leader.name != name:
                self.any().ask("POST", "/raft/transfer", {"to": name})
            return leader if leader is not None and leader.name == name else None

        return self.wait(leads, f"{name} to lead")

    def run(self, name: str, **request: Any) -> dict[str, Any]:
        """POST /tasks, and wait until it runs. The task."""
        created = self.any().ask("POST", "/tasks", {"name": name, **request})
        return self.wait_task(created["id"], "running")

    def task(self, task: str) -> dict[str, Any]:
        found: dict[str, Any] = self.any().ask("GET", f"/tasks/{task}")
        return found

    def wait_task(self, task: str, state: str, deadline_s: float = DEADLINE_S) -> dict[str, Any]:
        def reached() -> dict[str, Any] | None:
            found = self.task(task)
            return found if found["state"] == state else None

        return self.wait(reached, f"{task} to be {state}", deadline_s)

    def wait(self, look: Callable[[], T | None], what: str, deadline_s: float = DEADLINE_S) -> T:
        """What `look` returns once it is true. Asking may fail meanwhile: nodes start and die here, and containers
        that were listed a moment ago are gone.
        """
        deadline = time.monotonic() + deadline_s
        last: Exception | None = None
        while time.monotonic() < deadline:
            try:
                if found := look():
                    return found
                last = None
            except (OSError, Problem, api.Refused, StopIteration, http.client.HTTPException) as error:
                last = error
            time.sleep(POLL_S)
        raise AssertionError(f"waited {deadline_s:g} s for {what}; last error: {last}\n{self.report()}")

    def report(self) -> str:
        parts = []
        for path in ("/raft", "/nodes", "/tasks?stale=1"):
            try:
                parts.append(f"{path}: {json.dumps(self.any().ask('GET', path, timeout_s=5))}")
            except (OSError, Problem, StopIteration, http.client.HTTPException) as error:
                parts.append(f"{path}: {error}")
        parts += [f"--- {n.name} (alive: {n.alive})\n{n.log_tail()}" for n in self.nodes]
        return "\n".join(parts)

    def stop(self) -> None:
        """End every process, whatever its state."""
        for node in self.nodes:
            if node.alive:
                node.signal(signal.SIGKILL)
        for node in self.nodes:
            if node.process is not None:
                node.process.wait(DEADLINE_S)


@contextlib.contextmanager
def cluster(docker_hosts: str | list[str], *extra: str) -> Iterator[Cluster]:
    """A cluster whose processes, data and containers are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="orion-") as root:
        made = Cluster(Path(root), docker_hosts, list(extra))
        try:
            yield made
        finally:
            made.stop()
            hosts = [docker_hosts] if isinstance(docker_hosts, str) else docker_hosts
            for host in set(hosts) - {NO_ENGINE} if made.id else ():
                cleanup.remove_containers(host, made.id)


_given: set[int] = set()


def free_ports() -> tuple[int, int, int]:
    """API, gossip and peer port. Gossip needs UDP and TCP alike. None is given twice: a node may not have started
    yet, and its peers would talk to another one.
    """
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        while len(found) < 3:
            tcp = stack.enter_context(socket.socket())
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            udp = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            with contextlib.suppress(OSError):
                udp.bind(("127.0.0.1", port))
                if port not in _given:
                    found.append(port)
    _given.update(found)
    return found[0], found[1], found[2]
