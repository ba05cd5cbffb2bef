"""The five nodes with their network, disks and engines: made, and every trace removed again, also after a run that
was killed itself.
"""

import contextlib
import http.client
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orion
from chaos.asking import NotSent, Unknown, ask
from chaos.node import SOURCE, ChaosNode
from support import api, images
from support.cleanup import containers
from support.dockerd import Dockerd
from support.lab import Lab

NODES = 5
START_S = 60.0
_ROOT = Path("/var/lib")
_PREFIX = "orion-chaos-"
TESTS = Path(__file__).parents[1]
# Python runs it in each node before anything else.
_PLANTING = """\
import sys
sys.path.append({tests!r})
from sim.planted import bug_named
bug_named({bug!r}).plant()
"""
# Each engine is alone in its network namespace. Its proxies hold the host ports, so one given twice would show.
_ENGINE_SETTINGS = (("iptables", False), ("userland-proxy", True))


class World:
    def __init__(self, run: str, bug: str = "", nodes: int = NODES) -> None:
        self.run = run
        self._bug = bug
        self.home = _ROOT / f"{_PREFIX}{run}"
        self.lab = Lab(f"x{run}", nodes)  # no hexadecimal digit, as in the name of no other lab
        self.engines = [
            Dockerd(_ROOT / f"{_PREFIX}{run}-{host}", self.lab.name(host), _ENGINE_SETTINGS)
            for host in self.lab.hosts
        ]
        self.nodes = [ChaosNode(h, self.lab, self.home, self.engines[h - 1], nodes) for h in self.lab.hosts]

    @property
    def addresses(self) -> list[str]:
        return [node.address for node in self.nodes]

    def make(self) -> None:
        self.home.mkdir(mode=0o700)
        (self.home / "owner").write_text(f"{os.getpid()} {_started(os.getpid())}")
        # Nodes start again and again: they must not pick up what somebody edits meanwhile.
        kept = shutil.ignore_patterns("__pycache__")
        shutil.copytree(Path(orion.__file__).parent, self.home / SOURCE / "orion", ignore=kept)
        if self._bug:
            (self.home / SOURCE / "sitecustomize.py").write_text(_PLANTING.format(tests=str(TESTS), bug=self._bug))
        self.lab.up()
        _all(self._make_host, list(self.lab.hosts))

    def _make_host(self, host: int) -> None:
        engine = self.engines[host - 1]
        engine.start()
        images.busybox(engine.host)
        self.nodes[host - 1].make_disk()

    def remove(self) -> None:
        """Whatever there is of it. Never fails half-way: each step is tried."""
        with contextlib.ExitStack() as last:
            last.callback(shutil.rmtree, self.home, ignore_errors=True)
            last.callback(self.lab.down)
            for node in self.nodes:
                last.callback(node.remove_disk)
                last.callback(node.forget_clock)
            last.callback(_all, Dockerd.destroy, self.engines)
            for node in self.nodes:
                last.callback(node.kill)

    def form(self) -> None:
        """Start all nodes, three or five, and wait until they are one cluster in which all vote."""
        self.nodes[0].start()
        wait(lambda: self.leader() == "n1", "n1 to lead")
        for node in self.nodes[1:]:
            node.start()
        wait(lambda: len(_raft(self.nodes[0]).get("voters", [])) == len(self.nodes), "all to vote")
        wait(lambda: all(_raft(node).get("leader") for node in self.nodes), "all to know a leader")

    def leader(self) -> str:
        """Who the first node that says so says it is; "" when none does."""
        for node in self.nodes:
            if leader := _raft(node).get("leader"):
                return str(leader)
        return ""

    def describe(self) -> None:
        """What engines and nodes say now, into the run's home, for whoever reads the logs."""
        for node in self.nodes:
            lines = []
            for path in ("/raft", "/nodes?stale=1", "/tasks?stale=1"):
                try:
                    lines.append(f"{path} {ask(node.address, 'GET', path).body.decode()}")
                except (NotSent, Unknown) as error:
                    lines.append(f"{path} {error}")
            try:
                lines += [
                    f"{c['Names'][0]} {c['State']} {c['Status']} {c['Ports']} {c['Labels']}"
                    for c in containers(node.engine.host, "dev.orion.cluster")
                ]
            except (OSError, http.client.HTTPException, api.Refused) as error:
                lines.append(f"engine: {error}")
            command = ["nsenter", f"--net=/var/run/netns/{self.lab.name(node.index)}", "ss", "-ltnp"]
            lines.append(subprocess.run(command, check=False, capture_output=True, text=True, timeout=30).stdout)
            (self.home / f"{node.name}.txt").write_text("\n".join(lines))

    def keep_logs(self, seed: str) -> Path:
        kept = Path(os.environ.get("TMPDIR", "/tmp")) / f"orion-chaos-{seed}-{self.run}"
        kept.mkdir(parents=True, exist_ok=True)
        for log in [*self.home.glob("*.log"), *self.home.glob("*.jsonl"), *self.home.glob("*.txt")]:
            shutil.copy(log, kept)
        for engine, node in zip(self.engines, self.nodes, strict=True):
            if engine.log.exists():
                shutil.copy(engine.log, kept / f"{node.name}-dockerd.log")
        return kept


@contextlib.contextmanager
def world(bug: str = "", nodes: int = NODES) -> Iterator[World]:
    """`bug`: one of sim.planted, in all nodes, to see whether it is found."""
    sweep()
    made = World(secrets.token_hex(3), bug, nodes)
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    try:
        made.make()
        before = made.lab.enter()
        try:
            yield made
        finally:
            made.lab.leave(before)
    finally:
        for number in signals:  # once is enough; what is left half-way would stay
            signal.signal(number, signal.SIG_IGN)
        made.remove()


def sweep() -> None:
    """What runs that were killed themselves have left."""
    for home in sorted(_ROOT.glob(f"{_PREFIX}??????")):
        try:
            pid, _, began = (home / "owner").read_text().partition(" ")
        except FileNotFoundError:
            continue  # being made, or being removed, at this moment
        if _started(int(pid)) != began:
            World(home.name.removeprefix(_PREFIX)).remove()


def wait(look: Callable[[], object], what: str, deadline_s: float = START_S) -> None:
    deadline = time.monotonic() + deadline_s
    while not look():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {deadline_s:g} s for {what}")
        time.sleep(0.05)


def _raft(node: ChaosNode) -> dict:
    """Empty when it does not say."""
    try:
        answer = ask(node.address, "GET", "/raft", patience_s=0.5)
    except (NotSent, Unknown):
        return {}
    return answer.json() if answer.status == 200 else {}


def _all(work: Callable, items: list) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(work, items))


def _started(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return ""
