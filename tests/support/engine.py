"""A real Docker Engine for tests, benchmarks and script/demo.

Whoever needs one uses what answers at DOCKER_HOST or the default socket. Where none does, all share one private
engine on this machine: the first starts it, the last one out stops it and removes every trace. In Python that is
`with engine() as docker_host`; in the shell, script/lib/common.sh calls this file:

    python3 -m support.engine start PID   start or join for the process PID; prints the DOCKER_HOST to use
    python3 -m support.engine stop PID    PID needs it no more; the last one stops it
    python3 -m support.engine answers     does one answer without that?
"""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from support import api, lanes
from support.dockerd import Dockerd, EngineProblem, check_can_start
from support.firewall import Network


def _shared() -> Path:
    """pytest's workers have one each."""
    return Path(f"/var/lib/orion-test-engine{lanes.name()}")


def _home() -> Path:
    return _shared() / "engine"


def _users() -> Path:
    return _shared() / "users"


def _network() -> Path:
    return _shared() / "network.json"


@contextlib.contextmanager
def engine() -> Iterator[str]:
    """The DOCKER_HOST of an engine that answers. Others may use the same one: touch only what you made."""
    found = answering()
    if found is not None:
        yield found
        return
    name = join(os.getpid())
    try:
        yield Dockerd(_home()).host
    finally:
        leave(name)


@contextlib.contextmanager
def engine_in_namespace(namespace: str, **settings: object) -> Iterator[Dockerd]:
    """A further engine whose network is that namespace; nobody else uses it, so it may be stopped or killed."""
    home = Path(f"/var/lib/orion-test-engine-{secrets.token_hex(3)}")
    dockerd = Dockerd(home, namespace, tuple(settings.items()))
    try:
        dockerd.start()
        yield dockerd
    finally:
        dockerd.destroy()


@contextlib.contextmanager
def network_namespace(name: str) -> Iterator[str]:
    """A network namespace with nothing but its loopback, up."""
    check_can_start()
    _run("ip", "netns", "add", name)
    try:
        _run("ip", "-n", name, "link", "set", "lo", "up")
        yield name
    finally:
        _run("ip", "netns", "delete", name)


def answering() -> str | None:
    """The engine the user has, if any; an explicit DOCKER_HOST that does not answer is an error."""
    asked = os.environ.get("DOCKER_HOST")
    if asked and not api.answers(asked):
        raise EngineProblem(f"no Docker Engine answers at DOCKER_HOST={asked}")
    host = asked or api.DEFAULT_HOST
    return host if api.answers(host) else None


def join(pid: int) -> str:
    """Count the process `pid` among the shared engine's users and start it if need be. Give the name to `leave`."""
    check_can_start()
    with _one_at_a_time():
        dockerd = Dockerd(_home())
        if not api.answers(dockerd.host):
            dockerd.destroy()  # what a crash left
            if not _network().exists():
                _network().write_text(json.dumps(Network.now().as_dict()))
            dockerd.start()
        taken = {path.name for path in _users().iterdir()}
        name = next(n for n in (f"{pid}-{i}" for i in range(10_000)) if n not in taken)
        (_users() / name).write_text(_started(pid))
        return name


def leave(name: str) -> None:
    """`name` needs the shared engine no more. The last one out stops it; users that died don't count."""
    with _one_at_a_time():
        (_users() / name).unlink(missing_ok=True)
        for user in _users().iterdir():
            if user.read_text() != _started(int(user.name.partition("-")[0])):
                user.unlink()
        if any(_users().iterdir()):
            return
        Dockerd(_home()).destroy()
        if _network().exists():
            Network(**json.loads(_network().read_text())).restore()
        shutil.rmtree(_shared())


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    with Path(f"/run/lock/{_shared().name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _users().mkdir(parents=True, exist_ok=True)
        yield


def _started(pid: int) -> str:
    """When the process began, so that a later one with its number is not taken for it; "" when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=10)


def main(arguments: list[str]) -> int:
    try:
        match arguments:
            case ["start", pid]:
                found = answering()
                if found is None:
                    join(int(pid))
                    found = Dockerd(_home()).host
                print(found)
            case ["stop", pid]:
                if _shared().exists():
                    leave(f"{int(pid)}-0")
            case ["answers"]:
                return 0 if answering() else 1
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except EngineProblem as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
