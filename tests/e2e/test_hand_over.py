"""A volume of one writer, from node to node: three nodes with an engine and a plugin each, which share a directory."""

import contextlib
import itertools
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import images
from support.csi import PluginProcess, mounts_below, unmount_all
from support.lab_nodes import LabNodes, lab_hosts

pytestmark = [pytest.mark.engine, pytest.mark.root]

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


class World:
    def __init__(self, lab: LabNodes, folder: Path, plugins: dict[int, PluginProcess]) -> None:
        self.lab = lab
        self.folder = folder
        self.plugins = plugins
        self.rows = Rows(lab)

    def asked(self, *, but: int = 0) -> int:
        return next(host for host in HOSTS if host != but and self.lab.lives(host))

    def ask(self, method: str, path: str, body: object = None) -> Any:
        return self.lab.ask(self.asked(), method, path, body)

    def task(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", "/tasks/db%2F0")
        return found

    def home(self) -> int:
        """The host on which the task runs; 0 while on none."""
        task = self.task()
        node = task["allocations"][-1]["nodeId"] if task["allocations"] else ""
        return int(node.removeprefix("node")) if task["state"] == "running" else 0

    def leader(self) -> int:
        return int(self.ask("GET", "/raft")["leader"].removeprefix("node"))

    @property
    def place(self) -> Path:
        (volume,) = (self.folder / "root" / "volumes").iterdir()
        return volume / "data"

    def csi_mounts(self, host: int) -> list[str]:
        return mounts_below(self.folder / "nodes" / str(host))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("shared")
    plugins = {host: PluginProcess(folder, node=f"host{host}") for host in HOSTS}

    def flags(host: int) -> list[str]:
        return ["--csi-socket", str(plugins[host].socket), "--data-dir", str(folder / "nodes" / str(host))]

    for each in plugins.values():
        each.start()
    try:
        with lab_hosts(3, images.busybox, flags=flags) as lab:
            made = World(lab, folder, plugins)
            lab.wait(lambda: len(plugged(made)) == 3, "the plugin on each node")
            yield made
    finally:
        for each in plugins.values():
            each.end(signal.SIGKILL)
        for pid in keepers(folder):
            os.kill(pid, signal.SIGKILL)
        unmount_all(folder)


def keepers(folder: Path) -> list[int]:
    """The processes that nodes have left behind, as they are meant to."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "cwd").readlink().is_relative_to(folder / "nodes"):
                found.append(int(entry.name))
    return found


def plugged(world: World) -> list[str]:
    nodes = world.ask("GET", "/nodes")
    return [each["name"] for each in nodes if f"csi.{DIR}" in each["labels"]]


def test_rows_survive_the_death_of_their_node_and_of_the_leader(world: World) -> None:
    world.ask("POST", "/volumes", {"name": "data", "driver": DIR})
    world.lab.wait(lambda: world.ask("GET", "/volumes/data")["state"] == "ready", "the volume")
    task = {
        "name": "db",
        "image": images.BUSYBOX,
        "command": ["sh", "-c", PROGRAM],
        "portBindings": {str(PORT): str(PORT)},
        "volumes": [{"name": "data", "target": "/data"}],
        "stopAfterDisconnectSeconds": 3,
    }
    world.ask("POST", "/tasks", task)
    world.lab.wait(world.home, "the task to run")
    for with_leader in (False, True):
        home = world.home()
        world.lab.wait(world.rows.add, "a row to be there")
        victims = {home, world.leader()} if with_leader else {home}
        for host in victims:
            world.lab.kill_node(host)
        survivor = world.asked()
        if len(victims) == 1:
            said = world.lab.wait(
                lambda: (now := world.task())["reason"] and "its tasks end there by" in now["reason"] and now,
                "it to say what it waits for, and until when",
            )
            assert f"node{home}" in said["reason"]
        else:
            world.lab.start_again(next(iter(victims - {home})))
        world.lab.wait(lambda: world.home() not in (0, home), "the task to run elsewhere")
        world.lab.wait(world.rows.add, "another row to be there")
        assert survivor
        world.lab.start_again(home)
        world.lab.wait(lambda: world.csi_mounts(home) == [], f"what node{home} had mounted to be away")
    rows = (world.place / "rows").read_text().split()
    assert [row for row in world.rows.told if row not in rows] == []
    writers = [each for each, _ in itertools.groupby((world.place / "beats").read_text().split())]
    assert len(writers) == len(set(writers)) == 3, "never two at a time"
    world.ask("DELETE", "/tasks/db%2F0")
    world.lab.wait(lambda: mounts_below(world.folder) == [], "all mounts to be away")
    world.lab.wait(lambda: world.ask("GET", "/volumes/data")["storage"]["claims"] == [], "all claims to be over")
    world.lab.wait(lambda: keepers(world.folder) == [], "the keepers to end, with nothing to keep")
