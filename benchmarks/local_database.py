"""PostgreSQL on a local volume: its node is killed and comes back, and is drained with its volume.

    script/bench local_database --tar postgres.tar [--runs 5]

Three nodes with engines of their own. A client adds rows all the time and remembers those that were acknowledged.
Each run kills the node with its container and looks whether the task waits with words that name the volume and the
node, starts it again, then drains the node with `--move-volumes`. Exits with 1 when an acknowledged row is lost.
`--tar` is an archive with a postgres:16 image.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from database import Client, Database, postgres
from support import api
from support.lab_nodes import LabNodes, lab_hosts

HOSTS = (1, 2, 3)


class LocalDatabase:
    """`db` on the volume `data`, one of the cluster's nodes being its home."""

    def __init__(self, lab: LabNodes) -> None:
        self.lab = lab
        self.rows = Database([lab.lab.address(host) for host in HOSTS])

    def ask(self, method: str, path: str, body: object = None) -> Any:
        return self.lab.ask(next(filter(self.lab.lives, HOSTS)), method, path, body)

    def task(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", "/tasks/db%2F0")
        return found

    def home(self) -> int:
        task = self.task()
        return int(task["nodeId"].removeprefix("node")) if task["state"] == "running" else 0

    def begin(self) -> None:
        volumes = [{"name": "data", "target": "/data"}]
        self.ask("PUT", "/jobs/db", postgres() | {"volumes": volumes, "stopGraceSeconds": 10})
        self.lab.wait(self.rows.make, "the database")

    def killed_s(self) -> tuple[float, str]:
        """Its machine is gone, and comes back. Returns seconds from then to a row, and what the task said."""
        home = self.lab.wait(self.home, "the task to run")
        with Client(self.rows.add) as client:
            self.lab.wait(lambda: client.has_since(0), "a row")
            self.lab.kill_node(home)
            engine = self.lab.engines[home - 1]
            for container in api.ask_json(engine, "GET", "/containers/json"):
                api.ask(engine, "POST", f"/containers/{container['Id']}/kill")
            words = self.lab.wait(self._waits, "the task to wait")
            began = time.monotonic()
            self.lab.start_again(home)
            self.lab.wait(lambda: client.has_since(began), "a row to be there")
            return time.monotonic() - began, words

    def _waits(self) -> str:
        reason: str = self.task()["reason"]
        return reason if "data" in reason else ""

    def drained_s(self) -> tuple[float, float]:
        """Returns seconds from the request to its end, and the longest time without a row."""
        home = self.lab.wait(self.home, "the task to run")
        with Client(self.rows.add) as client:
            self.lab.wait(lambda: client.has_since(0), "a row")
            began = time.monotonic()
            self._orion("drain", "--move-volumes", "--wait", f"node{home}")
            took, ended = time.monotonic() - began, time.monotonic()
            self.lab.wait(lambda: self.home() not in (0, home) and client.has_since(ended), "a row elsewhere")
            gap = client.gap_s(began)
        self._orion("drain", "--undo", f"node{home}")
        return took, gap

    def _orion(self, *words: str) -> None:
        command = [sys.executable, "-m", "orion", *words]
        where = {"ORION_ADDR": self.lab.address(1)}
        done = subprocess.run(command, env=where, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr or done.stdout


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--tar", type=Path, required=True)
    asked = options.parse_args()

    def prepare(host: str) -> None:
        api.ask(host, "POST", "/images/load", asked.tar.read_bytes(), timeout_s=300)

    returned, drained, gaps = [], [], []
    with lab_hosts(len(HOSTS), prepare) as lab:
        database = LocalDatabase(lab)
        database.begin()
        for run in range(asked.runs):
            took, words = database.killed_s()
            returned.append(took)
            took, gap = database.drained_s()
            drained.append(took)
            gaps.append(gap)
            print(f"  run {run + 1}: back after {returned[-1]:.2f} s, drained in {took:.2f} s: {words}", flush=True)
        lost, told = database.rows.lost(), len(database.rows.told)
    print(f"\n{asked.runs} deaths and {asked.runs} moves, {told:,} rows acknowledged, {len(lost)} of them lost")
    print(f"{'':44}{'median s':>10}{'worst s':>10}")
    for name, found in (
        ("its node started again, to a row", returned),
        ("drained with its volume", drained),
        ("the longest time without a row meanwhile", gaps),
    ):
        print(f"{name:44}{statistics.median(found):10.2f}{max(found):10.2f}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
