"""Three nodes with an engine and a storage plugin each, which share a directory; a task that alone writes there."""

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from support import images
from support.csi import PluginProcess, mounts_below, unmount_all
from support.lab_nodes import LabNodes, lab_hosts

DIR = "dir.csi.orion.dev"
PORT = 9000
HOSTS = (1, 2, 3)
# A row is said to be there once it is on the disk. Two at a time would write beats among each other's.
PROGRAM = f"""
while :; do echo "$ORION_ALLOCATION" >>/data/beats; sleep 0.1; done &
exec nc -ll -p {PORT} -e sh -c 'read -r row && echo "$row" >>/data/rows && sync && echo "has $row"'
"""


class Rows:
    """A client that writes one row after the other, and remembers those that it was told are there."""

    def __init__(self, lab: LabNodes) -> None:
        self.lab = lab
        self.told: list[str] = []
        self._sent = 0

    def add(self) -> bool:
        self._sent += 1
        row = f"row{self._sent}"
        for host in HOSTS:
            try:
                with socket.create_connection((self.lab.lab.address(host), PORT), 0.5) as connection:
                    connection.settimeout(2)
                    connection.sendall(f"{row}\n".encode())
                    if connection.recv(64) == f"has {row}\n".encode():
                        self.told.append(row)
                        return True
            except OSError:
                continue
        return False

    def lost(self, place: Path) -> list[str]:
        there = set((place / "rows").read_text().split())
        return [row for row in self.told if row not in there]


class StorageLab:
    """`node<N>` is on host N, and its plugin knows it as `host<N>`. The task is db/0, its volume data."""

    def __init__(self, lab: LabNodes, folder: Path, plugins: dict[int, PluginProcess]) -> None:
        self.lab = lab
        self.folder = folder
        self.plugins = plugins
        self.rows = Rows(lab)
        self.silent: set[int] = set()  # hosts that are not to be asked

    def ask(self, method: str, path: str, body: object = None) -> Any:
        host = next(host for host in HOSTS if self.lab.lives(host) and host not in self.silent)
        return self.lab.ask(host, method, path, body)

    def orion(self, *words: str) -> tuple[int, str, str]:
        """(exit code, output, error output) of a command."""
        environment = {**os.environ, "ORION_ADDR": ",".join(map(self.lab.address, HOSTS))}
        command = [sys.executable, "-m", "orion", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90, check=False)
        return done.returncode, done.stdout, done.stderr

    def begin(self, **more: object) -> None:
        """A task runs that alone writes to a volume."""
        self.ask("POST", "/volumes", {"name": "data", "driver": DIR})
        self.lab.wait(lambda: self.ask("GET", "/volumes/data")["state"] == "ready", "the volume")
        self.ask("POST", "/tasks", self.task_of(**more))
        self.its_home()

    def task_of(self, **more: object) -> dict[str, object]:
        return {
            "name": "db",
            "image": images.BUSYBOX,
            "command": ["sh", "-c", PROGRAM],
            "portBindings": {str(PORT): str(PORT)},
            "volumes": [{"name": "data", "target": "/data"}],
            "stopAfterDisconnectSeconds": 3,
            "stopGraceSeconds": 1,
            **more,
        }

    def task(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", "/tasks/db%2F0")
        return found

    def home(self) -> int:
        """The host on which the task runs; 0 while on none."""
        task = self.task()
        node = task["allocations"][-1]["nodeId"] if task["allocations"] else ""
        return int(node.removeprefix("node")) if task["state"] == "running" else 0

    def its_home(self) -> int:
        """The host on which the task runs, once it does: also one that nobody has touched may have ended, where its
        node was held up.
        """
        return self.lab.wait(self.home, "the task to run")

    def leader(self) -> int:
        leader: str = self.lab.wait(lambda: self.ask("GET", "/raft")["leader"], "a leader")
        return int(leader.removeprefix("node"))

    def claims(self) -> dict[int, str]:
        """Host -> phase."""
        claims = self.ask("GET", "/volumes/data")["storage"]["claims"]
        return {int(each["nodeId"].removeprefix("node")): each["phase"] for each in claims}

    def elsewhere(self, former: int) -> int:
        return self.lab.wait(
            lambda: (home := self.home()) not in (0, former) and home,
            f"the task to run elsewhere than on node{former}",
        )

    def row(self) -> None:
        self.lab.wait(self.rows.add, "a row to be there")

    def until_clean(self, host: int) -> None:
        self.lab.wait(lambda: self.mounts(host) == [], f"what node{host} had mounted to be away")

    def mounts(self, host: int) -> list[str]:
        return mounts_below(self.folder / "nodes" / str(host))

    def everything_mounted(self) -> list[str]:
        return mounts_below(self.folder)

    @property
    def place(self) -> Path:
        """The data of the one volume that there is."""
        (volume,) = (self.folder / "root" / "volumes").iterdir()
        return volume / "data"

    def writers(self) -> list[str]:
        """The allocations that had the volume, in their order: each once, if never two had it at a time."""
        return [each for each, _ in itertools.groupby((self.place / "beats").read_text().split())]

    def check_rows(self) -> None:
        assert self.rows.lost(self.place) == []
        writers = self.writers()
        assert len(writers) == len(set(writers)), "two wrote at a time"

    def end(self) -> None:
        """Nothing is left of the task, and of the volume."""
        self.ask("DELETE", "/tasks/db%2F0")
        self.lab.wait(lambda: mounts_below(self.folder) == [], "all mounts to be away")
        self.lab.wait(lambda: self.claims() == {}, "all claims to be over")
        self.ask("DELETE", "/volumes/data")
        self.lab.wait(lambda: self.ask("GET", "/volumes") == [], "the volume to be gone")
        assert list((self.folder / "root" / "volumes").iterdir()) == []
        self.rows = Rows(self.lab)

    def keepers(self) -> list[int]:
        """The processes that nodes leave behind, as they are meant to."""
        return [pid for host in HOSTS for pid in self.keepers_of(host)]

    def keepers_of(self, host: int) -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and (entry / "cwd").readlink().is_relative_to(
                    self.folder / "nodes" / str(host)
                ):
                    found.append(int(entry.name))
        return found


@contextlib.contextmanager
def storage_lab(
    folder: Path, prepare: Callable[[str], object] = images.busybox, through: Sequence[str] = ()
) -> Iterator[StorageLab]:
    plugins = {host: PluginProcess(folder, node=f"host{host}", through=through) for host in HOSTS}

    def flags(host: int) -> list[str]:
        return ["--csi-socket", str(plugins[host].socket), "--data-dir", str(folder / "nodes" / str(host))]

    with contextlib.ExitStack() as stack:
        stack.callback(unmount_all, folder)
        for each in plugins.values():
            stack.enter_context(each)
        lab = stack.enter_context(lab_hosts(3, prepare, flags=flags))
        made = StorageLab(lab, folder, plugins)
        stack.callback(lambda: [os.kill(pid, signal.SIGKILL) for pid in made.keepers()])
        lab.wait(lambda: len(_plugged(made)) == 3, "the plugin on each node")
        yield made


def _plugged(made: StorageLab) -> list[str]:
    return [each["name"] for each in made.ask("GET", "/nodes") if f"csi.{DIR}" in each["labels"]]
