"""PostgreSQL as a task, and a client that remembers each row that was acknowledged."""

import itertools
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

PASSWORD = "secret"
PG_PORT = 5432


def postgres(before: str = "") -> dict[str, Any]:
    """A task's fields, with its data below /data. `before`: what its shell does first."""
    return {
        "image": "postgres:16",
        "command": ["bash", "-c", f"{before} exec docker-entrypoint.sh postgres"],
        "env": {"POSTGRES_PASSWORD": PASSWORD, "PGDATA": "/data/pg"},
        "portBindings": {str(PG_PORT): str(PG_PORT)},
    }


class Database:
    """By psql, on whichever of these addresses it answers. `told`: the rows that were acknowledged."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses
        self.told: list[str] = []
        self._sent = 0

    def sql(self, words: str) -> str | None:
        """Its answer; None when none of the addresses gives one."""
        for address in self._addresses:
            command = ["psql", "-h", address, "-U", "postgres", "-tAqc", words]
            environment = {"PGPASSWORD": PASSWORD, "PGCONNECT_TIMEOUT": "2", "PATH": "/usr/bin:/bin"}
            try:
                done = subprocess.run(
                    command, env=environment, capture_output=True, text=True, timeout=5, check=False
                )
            except subprocess.TimeoutExpired:
                continue
            if done.returncode == 0:
                return done.stdout
        return None

    def make(self) -> bool:
        return self.sql("CREATE TABLE IF NOT EXISTS rows (row text PRIMARY KEY)") is not None

    def add(self) -> bool:
        self._sent += 1
        row = f"row{self._sent}"
        if self.sql(f"INSERT INTO rows VALUES ('{row}')") is None:
            return False
        self.told.append(row)
        return True

    def lost(self, _: Path | None = None) -> list[str]:
        found = self.sql("SELECT row FROM rows")
        there = set((found or "").split())
        return [row for row in self.told if row not in there]


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
