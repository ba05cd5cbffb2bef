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
# Runs dockerd apart from whoever started it and says its process id.
_DETACHED = 'log=$1; shift; setsid "$@" </dev/null >>"$log" 2>&1 & echo $!'


class EngineProblem(RuntimeError):
    pass


@dataclass(frozen=True)
class Dockerd:
    """All of it lives under `home`, whose path must be short (a socket path has at most 107 bytes).

    `namespace` is the name of a network namespace, "" for this process' own.
    """

    home: Path
    namespace: str = ""

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
        (self.home / "daemon.json").write_text(json.dumps(_config(self.home)))
        enter = ["nsenter", f"--net=/var/run/netns/{self.namespace}"] if self.namespace else []
        # containerd namespaces of its own, in case it finds the system's containerd and uses that.
        name = self.home.name
        command = [
            *enter, "dockerd", "--host", self.host, "--data-root", f"{self.home}/data",
            "--exec-root", f"{self.home}/exec", "--pidfile", f"{self.home}/dockerd.pid",
            "--containerd-namespace", name, "--containerd-plugins-namespace", f"{name}-plugins",
            "--shutdown-timeout", "2", "--config-file", f"{self.home}/daemon.json",
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

    def stop(self) -> None:
        """With its containers, as a machine that is switched off in order. Its data stays."""
        for pid in self._processes():
            if "dockerd" in _command(pid)[:1][0]:
                _end(pid, STOP_S)
        for pid in self._processes():  # what a dockerd that had to be killed left behind
            _end(pid, 3.0)
        (self.home / "docker.sock").unlink(missing_ok=True)

    def kill(self) -> None:
        """As a machine that loses power: nothing is told anything."""
        for pid in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.stop()

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
        """dockerd first, then its containerd and shims: all whose command line names a path under `home`."""
        mark = f"{self.home}/"
        pids = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit()]
        mine = [p for p in pids if any(mark in word for word in _command(p)[1:]) and _is_engine(p)]
        return sorted(mine)


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


def _config(home: Path) -> dict[str, str]:
    """Instead of the machine's daemon.json. An engine's id of its own: before version 24 it came from one file for
    all engines of a machine.
    """
    shown = subprocess.run(["dockerd", "--version"], check=True, capture_output=True, text=True, timeout=10)
    major = int(shown.stdout.removeprefix("Docker version ").partition(".")[0])
    return {"deprecated-key-path": f"{home}/key.json"} if major < 24 else {}


def _is_engine(pid: int) -> bool:
    return Path(_command(pid)[0]).name in {"dockerd", "containerd", "containerd-shim-runc-v2", "docker-proxy"}


def _command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return [""]


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _end(pid: int, patience_s: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + patience_s
        while _runs(pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        if _runs(pid):
            os.kill(pid, signal.SIGKILL)
        while _runs(pid) and time.monotonic() < deadline + 5.0:
            time.sleep(0.02)


def _mounts_below(home: Path) -> list[str]:
    """Innermost first."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return sorted((p for p in points if p.startswith(f"{home}/")), key=len, reverse=True)
