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
import statistics
import sys
import tempfile
import time
from pathlib import Path

from database import Client, Database, postgres
from support import api, images
from support.storage_lab import HOSTS, StorageLab, storage_lab

SLACK_S = 5.0
BEATS = 'while :; do echo "$ORION_ALLOCATION" >>/data/beats; sleep 0.1; done &'


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
            lab.rows = Database([lab.lab.lab.address(host) for host in HOSTS])
        lab.begin(stopAfterDisconnectSeconds=asked.stop_after, **(postgres(BEATS) if asked.tar else {}))
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
