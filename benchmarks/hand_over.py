"""From kill -9 of the node of a database to its next acknowledged row elsewhere, on a volume of a storage plugin.

    script/bench hand_over [--runs 20] [--tar postgres.tar] [--stop-after 10]

Three nodes with engines of their own, and orion-csi-dir on a directory that they share. Each run kills the node's
process, every other one the leader's too, while a client adds rows as fast as they are acknowledged; the container
lives on, and takes rows, until the keeper ends it. `--tar` is an archive with a postgres:16 image; without it a
shell and nc take the rows. The bare row: the job stopped and started again, which waits for nobody.

Whoever has the volume writes its beat there, ten times a second. Exits with 1 when an acknowledged row is lost, or
two have written at a time.
"""

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from support import api, images
from support.storage_lab import HOSTS, StorageLab, storage_lab

SLACK_S = 5.0
PASSWORD = "secret"
PG_PORT = 5432
BEATS = 'while :; do echo "$ORION_ALLOCATION" >>/data/beats; sleep 0.1; done &'


class Database:
    """PostgreSQL, by psql."""

    def __init__(self, lab: StorageLab) -> None:
        self.lab = lab
        self.told: list[str] = []
        self._sent = 0

    def sql(self, host: int, words: str) -> str | None:
        address = self.lab.lab.lab.address(host)
        command = ["psql", "-h", address, "-U", "postgres", "-tAqc", words]
        environment = {"PGPASSWORD": PASSWORD, "PGCONNECT_TIMEOUT": "2", "PATH": "/usr/bin:/bin"}
        try:
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=5, check=False)
        except subprocess.TimeoutExpired:
            return None
        return done.stdout if done.returncode == 0 else None

    def add(self) -> bool:
        self._sent += 1
        row = f"row{self._sent}"
        for host in HOSTS:
            if self.sql(host, f"INSERT INTO rows VALUES ('{row}')") is not None:
                self.told.append(row)
                return True
        return False

    def make(self) -> bool:
        return any(
            self.sql(host, "CREATE TABLE IF NOT EXISTS rows (row text PRIMARY KEY)") is not None for host in HOSTS
        )

    def lost(self, _: Path) -> list[str]:
        for host in HOSTS:
            if (found := self.sql(host, "SELECT row FROM rows")) is not None:
                there = set(found.split())
                return [row for row in self.told if row not in there]
        return self.told


class Client(threading.Thread):
    """Adds rows for as long as the block lasts. `acknowledged`: when each was."""

    def __init__(self, add: Callable[[], bool]) -> None:
        super().__init__()
        self._add = add
        self._ends = threading.Event()
        self.acknowledged: list[float] = []

    def run(self) -> None:
        while not self._ends.is_set():
            if self._add():
                self.acknowledged.append(time.monotonic())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self.join()

    def has_since(self, moment: float) -> bool:
        return bool(self.acknowledged) and self.acknowledged[-1] > moment

    def gap_s(self, since: float) -> float:
        """The longest time without a row since then."""
        times = [since, *(each for each in self.acknowledged if each >= since)]
        return max(later - earlier for earlier, later in itertools.pairwise(times))


def task(postgres: bool) -> dict[str, Any]:
    if not postgres:
        return {}
    return {
        "image": "postgres:16",
        "command": ["bash", "-c", f"{BEATS} exec docker-entrypoint.sh postgres"],
        "env": {"POSTGRES_PASSWORD": PASSWORD, "PGDATA": "/data/pg"},
        "portBindings": {str(PG_PORT): str(PG_PORT)},
    }


def stopped_and_started_s(lab: StorageLab) -> float:
    lab.row()
    lab.ask("POST", "/jobs/db/stop")
    lab.lab.wait(lambda: lab.task()["state"] == "stopped", "the task to stop")
    began = time.monotonic()
    lab.ask("POST", "/jobs/db/start")
    lab.row()
    return time.monotonic() - began


def killed_s(lab: StorageLab, run: int) -> tuple[float, float]:
    """Returns the time to a row elsewhere, and the longest time without any."""
    lab.lab.wait(lambda: all(map(lab.lab.lives, HOSTS)) and lab.home(), "all to be there")
    lab.row()
    home, leader = lab.home(), lab.leader()
    victims = {home, leader} if run % 2 else {home}
    with Client(lab.rows.add) as client:
        began = time.monotonic()
        for host in victims:
            lab.lab.kill_node(host)
        for host in victims - {home}:
            lab.lab.start_again(host)
        lab.elsewhere(home)
        moment = time.monotonic()
        lab.lab.wait(lambda: client.has_since(moment), "a row to be there")
        took = time.monotonic() - began
    also = ", the leader too" if leader in victims else ""
    print(f"  run {run + 1}: {took:.2f} s, {client.gap_s(began):.2f} s without a row{also}", flush=True)
    lab.lab.start_again(home)
    lab.until_clean(home)
    return took, client.gap_s(began)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--runs", type=int, default=20)
    options.add_argument("--tar", type=Path)
    options.add_argument("--stop-after", type=float, default=10.0)
    asked = options.parse_args()

    def prepare(host: str) -> None:
        images.busybox(host)
        if asked.tar:
            api.ask(host, "POST", "/images/load", asked.tar.read_bytes(), timeout_s=300)

    with tempfile.TemporaryDirectory(prefix="orion-") as folder, storage_lab(Path(folder), prepare) as lab:
        if asked.tar:
            lab.rows = Database(lab)
        lab.begin(stopAfterDisconnectSeconds=asked.stop_after, **task(bool(asked.tar)))
        if isinstance(lab.rows, Database):
            lab.lab.wait(lab.rows.make, "the database")
        bare = [stopped_and_started_s(lab) for _ in range(5)]
        times, gaps = zip(*(killed_s(lab, run) for run in range(asked.runs)), strict=True)
        lost = lab.rows.lost(lab.place)
        rows, writers = len(lab.rows.told), lab.writers()
    print(f"\n{asked.runs} deaths, {rows:,} rows acknowledged, {len(lost)} of them lost")
    two = len(writers) - len(set(writers))
    print(f"{len(set(writers))} tasks wrote to the volume one after the other, {two} times two at a time")
    print(f"after {asked.stop_after:g} s its node ends the task, {SLACK_S:g} s later another may have its volume")
    print(f"{'':32}{'median s':>10}{'worst s':>10}")
    for name, found in (
        ("stopped and started (bare)", bare),
        ("its node killed, a row elsewhere", times),
        ("the longest time without a row", gaps),
    ):
        print(f"{name:32}{statistics.median(found):10.2f}{max(found):10.2f}")
    return 1 if lost or two else 0


if __name__ == "__main__":
    sys.exit(main())
