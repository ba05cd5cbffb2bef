"""One private Docker Engine: a dockerd with its own data, socket and containerd, started and stopped by its
recorded process id, and every trace of it removed after.
"""

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from support import api

PACKAGES = "docker.io iptables"
READY_S = 60.0
STOP_S = 20.0
_ENGINE = frozenset({"dockerd", "containerd", "containerd-shim-runc-v2"})
# Runs dockerd apart from whoever started it and says its process id.
_DETACHED = 'log=$1; shift; setsid "$@" </dev/null >>"$log" 2>&1 & echo $!'


class EngineProblem(RuntimeError):
    pass


@dataclass(frozen=True)
class Dockerd:
    """All of it lives under `home`, whose path must be short (a socket path has at most 107 bytes).

    `namespace` is the name of a network namespace, "" for this process' own. `settings` are keys of daemon.json,
    and `listens` addresses beside its socket.
    """

    home: Path
    namespace: str = ""
    settings: tuple[tuple[str, object], ...] = ()
    listens: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        return f"unix://{self.home}/docker.sock"

    @property
    def log(self) -> Path:
        return self.home / "dockerd.log"

    def start(self) -> None:
        """Returns once it answers."""
        check_can_start()
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.home / "daemon.json").write_text(json.dumps(_config(self.home) | dict(self.settings)))
        enter = ["nsenter", f"--net=/var/run/netns/{self.namespace}"] if self.namespace else []
        # containerd namespaces of its own, in case it finds the system's containerd and uses that.
        name = self.home.name
        command = [
            *enter, "dockerd", "--host", self.host, *(f"--host={each}" for each in self.listens),
            "--data-root", f"{self.home}/data", "--exec-root", f"{self.home}/exec",
            "--pidfile", f"{self.home}/dockerd.pid", "--shutdown-timeout", "2",
            "--containerd-namespace", name, "--containerd-plugins-namespace", f"{name}-plugins",
            "--config-file", f"{self.home}/daemon.json",
        ]  # fmt: skip
        started = subprocess.run(
            ["sh", "-c", _DETACHED, "sh", str(self.log), *command], check=True, stdout=subprocess.PIPE, timeout=10
        )
        pid = int(started.stdout)
        deadline = time.monotonic() + READY_S
        while not api.answers(self.host):
            if not _runs(pid):
                raise EngineProblem(f"dockerd ended before it was ready; its log says:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                self.stop()
                raise EngineProblem(f"dockerd was not ready after {READY_S:.0f} s; its log:\n{self.log_tail()}")
            time.sleep(0.05)

    def identity(self) -> dict[str, object]:
        """The settings by which another engine says this one's id, where settings do."""
        return {"deprecated-key-path": f"{self.home}/key.json"} if _version() < 24 else {}

    def take_identity(self, original: "Dockerd") -> None:
        """Before the first start: later engines keep their id among their data."""
        source = original.home / "data/engine-id"
        if source.exists():
            (self.home / "data").mkdir(mode=0o710, parents=True)
            shutil.copy(source, self.home / "data/engine-id")

    def stop(self) -> None:
        """With its containers, as a machine that is switched off in order. Its data stays."""
        _end([pid for pid in self._processes() if _program(pid) == "dockerd"], signal.SIGTERM)
        self.kill()  # what a dockerd that had to be killed left behind

    def kill(self) -> None:
        """As a machine that loses power: nothing is told anything."""
        _end(self._processes(), signal.SIGKILL)
        for left in ("docker.sock", "dockerd.pid", "exec/containerd/containerd.pid"):
            (self.home / left).unlink(missing_ok=True)

    def kill_daemon(self) -> None:
        """Docker's own process alone; what it looked after is left to itself."""
        _end([pid for pid in self._processes() if _program(pid) == "dockerd"], signal.SIGKILL)
        for left in ("docker.sock", "dockerd.pid"):
            (self.home / left).unlink(missing_ok=True)

    def remove_containers(self) -> None:
        """So that stopping need not wait for processes that ignore SIGTERM."""
        with contextlib.suppress(OSError, http.client.HTTPException, api.Refused):
            for container in api.ask_json(self.host, "GET", "/containers/json?all=1"):
                api.ask(self.host, "DELETE", f"/containers/{container['Id']}?force=1&v=1")

    def destroy(self) -> None:
        self.remove_containers()
        self.stop()
        for mount in _mounts_below(self.home):
            subprocess.run(["umount", "--lazy", mount], check=False, timeout=10)
        shutil.rmtree(self.home, ignore_errors=True)

    def log_tail(self, lines: int = 30) -> str:
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return "(no log)"

    def _processes(self) -> list[int]:
        """The engine's own, which name a path under `home` on their command line, and all in its containers."""
        mark, known = f"{self.home}/", self.home / "data/containers"
        containers = [path.name for path in known.iterdir()] if known.exists() else []
        return [
            pid
            for pid in sorted(int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
            if (_program(pid) in _ENGINE and any(mark in word for word in _command(pid)[1:]))
            or any(container in _read(pid, "cgroup") for container in containers)
        ]


def check_can_start() -> None:
    """Raises EngineProblem, saying what to do."""
    if shutil.which("dockerd") is None or shutil.which("iptables") is None:
        raise EngineProblem(
            "no Docker Engine answers and none is installed. Debian and Ubuntu have it: "
            f"apt-get install --no-install-recommends {PACKAGES}"
        )
    if os.geteuid() != 0:
        raise EngineProblem(
            "no Docker Engine answers, and only root can start one: start Docker, let this user use it "
            "(group docker) or set DOCKER_HOST, or run this as root"
        )


def _config(home: Path) -> dict[str, object]:
    """Instead of the machine's daemon.json. An engine's id of its own: before version 24 it came from one file for
    all engines of a machine.
    """
    return {"deprecated-key-path": f"{home}/key.json"} if _version() < 24 else {}


def _version() -> int:
    shown = subprocess.run(["dockerd", "--version"], check=True, capture_output=True, text=True, timeout=10)
    return int(shown.stdout.removeprefix("Docker version ").partition(".")[0])


def _read(pid: int, file: str) -> str:
    """Empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/{file}").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _command(pid: int) -> list[str]:
    return _read(pid, "cmdline").split("\0")


def _program(pid: int) -> str:
    return Path(_command(pid)[0]).name


def _runs(pid: int) -> bool:
    state = _read(pid, "stat").rpartition(")")[2].split()
    return bool(state) and state[0] != "Z"


def _end(pids: list[int], how: signal.Signals) -> None:
    """Returns once nothing is left of them, which the parent of a dead process may take a moment for."""
    for number, patience_s in ((how, STOP_S), (signal.SIGKILL, 5.0)):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            pids = [pid for pid in pids if Path(f"/proc/{pid}").exists()]
            if not pids:
                return
            time.sleep(0.02)


def _mounts_below(home: Path) -> list[str]:
    """Innermost first."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return sorted((p for p in points if p.startswith(f"{home}/")), key=len, reverse=True)
