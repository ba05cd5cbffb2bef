"""POST /tasks to committed (201) on three nodes, at a steady rate, and the bare cost under it.

    script/bench api [--seconds 20] [--rate 50]

The tasks fit nowhere, so that no container is started: what is timed is HTTP, Raft with its fsyncs on two of three
disks, and apply. The bare baseline in the same run: three LMDB writers that share the disk as the three nodes do,
200 bytes a commit with its fsync, at the same pace.
"""

import argparse
import concurrent.futures
import http.client
import json
import statistics
import tempfile
import time

import lmdb

from support.engine import engine
from support.nodes import cluster

NODES = 3


def bare_commits_ms(seconds: float, rate: float) -> list[float]:
    """Three writers on this disk, as many commits a second each as three nodes make for `rate` tasks a second: one
    for the task, one for the scheduler's answer."""
    with concurrent.futures.ThreadPoolExecutor(NODES) as pool:
        return [ms for took in pool.map(lambda _: one_writer_ms(seconds, 2 * rate), range(NODES)) for ms in took]


def one_writer_ms(seconds: float, rate: float) -> list[float]:
    took = []
    with tempfile.TemporaryDirectory(prefix="orion-bare-") as folder:
        env = lmdb.open(folder, sync=True)
        began = time.perf_counter()
        for number in range(int(seconds * rate)):
            time.sleep(max(0.0, began + number / rate - time.perf_counter()))
            sent = time.perf_counter()
            with env.begin(write=True) as txn:
                txn.put(number.to_bytes(8, "big"), b"x" * 200)
            took.append((time.perf_counter() - sent) * 1000)
        env.close()
    return took


def posts_ms(port: int, seconds: float, rate: float, prefix: str) -> list[float]:
    took = []
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    began = time.perf_counter()
    for number in range(int(seconds * rate)):
        time.sleep(max(0.0, began + number / rate - time.perf_counter()))
        body = json.dumps({"name": f"{prefix}{number}", "image": "nginx", "memory": 10**15})
        sent = time.perf_counter()
        connection.request("POST", "/tasks", body)
        response = connection.getresponse()
        response.read()
        assert response.status == 201, response.status
        took.append((time.perf_counter() - sent) * 1000)
    connection.close()
    return took


def row(name: str, took: list[float], base: float) -> None:
    took = sorted(took)
    median, p99 = statistics.median(took), took[int(len(took) * 0.99)]
    print(f"{name:22} {len(took):6} {median:8.2f} {p99:8.2f} {took[-1]:8.2f} {median / base:8.1f}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=20)
    options.add_argument("--rate", type=float, default=50)
    given = options.parse_args()
    with engine() as docker_host, cluster(docker_host) as made:
        made.grow_to(3)
        bare = bare_commits_ms(given.seconds / 2, given.rate)
        leader = made.leader()
        assert leader is not None
        follower = next(n for n in made.nodes if n is not leader)
        at_leader = posts_ms(leader.port, given.seconds, given.rate, "l")
        at_follower = posts_ms(follower.port, given.seconds, given.rate, "f")
    base = statistics.median(bare)
    print(f"{'milliseconds':22} {'count':>6} {'median':>8} {'p99':>8} {'worst':>8} {'x bare':>8}")
    row("bare LMDB commits", bare, base)
    row("POST at the leader", at_leader, base)
    row("POST at a follower", at_follower, base)


if __name__ == "__main__":
    main()
