"""A new node: from exec to its first committed write, and its resident memory when idle.

    script/bench start [--runs 10]

Baselines in the same run: `python -c pass`, and a process that only imports what a node can't do without.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from support.engine import engine
from support.nodes import NodeProcess, Problem, cluster

IDLE_S = 10
DEADLINE_S = 30
LIBRARIES = "import asyncio, uvloop, msgspec, lmdb, kinship, httptools, click"


def run_s(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - began


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def idle_mb(code: str) -> float:
    process = subprocess.Popen([sys.executable, "-c", f"{code}\nprint(flush=True)\ninput()"], stdin=-1, stdout=-1)
    assert process.stdout
    process.stdout.readline()
    found = resident_mb(process.pid)
    process.communicate(b"\n")
    return found


def first_write_s(node: NodeProcess, *flags: str) -> float:
    began = time.perf_counter()
    node.start(*flags)
    while node.alive and time.perf_counter() - began < DEADLINE_S:
        try:
            node.ask("POST", "/tasks", {"name": "first", "image": "nginx", "memory": 10**15})
        except OSError:
            time.sleep(0.002)
        except Problem as problem:
            if problem.status != 503:
                raise
        else:
            return time.perf_counter() - began
    raise SystemExit(f"no write was committed; the node's log ends with:\n{node.log_tail(20)}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--runs", type=int, default=10)
    runs = options.parse_args().runs
    bare = [run_s("pass") for _ in range(runs)]
    imports = [run_s(LIBRARIES) for _ in range(runs)]
    writes = []
    with engine() as docker_host:
        for _ in range(runs):
            with cluster(docker_host) as made:
                made.add()
                made.stop()  # its ports and directory are what we want
                node = made.nodes[0]
                node.data_dir = node.data_dir.with_name("fresh")
                writes.append(first_write_s(node, "--bootstrap"))
        with cluster(docker_host) as made:
            made.grow_to(3)
            time.sleep(IDLE_S)
            memory = [resident_mb(n.process.pid) for n in made.nodes if n.process]
    print(f"{'seconds':42} {'median':>8} {'worst':>8}")
    print(f"{'python -c pass':42} {statistics.median(bare):8.3f} {max(bare):8.3f}")
    print(f"{'import of the libraries alone':42} {statistics.median(imports):8.3f} {max(imports):8.3f}")
    print(f"{'exec to first committed write':42} {statistics.median(writes):8.3f} {max(writes):8.3f}")
    print(f"\nresident MB, bare python: {idle_mb('pass'):.1f}; the libraries: {idle_mb(LIBRARIES):.1f}")
    print(f"resident MB, three idle nodes with Docker: {', '.join(f'{m:.1f}' for m in memory)}")


if __name__ == "__main__":
    main()
