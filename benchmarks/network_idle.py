"""The cluster's network beside none: memory of idle nodes, and the time from exec to the first committed write.

    script/bench network_idle [--runs 10] [--idle 15] [--quick]

In network namespaces, each host with an engine of its own. First one node, in turn without and with the network,
from nothing each time: exec to its first committed write, and until its part of the network is there. Then three
nodes without tasks: resident memory, of which the figure in brackets is what no other process shares.
"""

import argparse
import contextlib
import http.client
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from support.engine import engine_in_namespace
from support.lab import Lab
from support.lab_containers import wait_for_bridges
from support.lab_nodes import lab_hosts

RANGE = "10.200.0.0/16"
OFF, ON = "off", RANGE
PORT = 8000
DEADLINE_S = 60
WRITE = {"name": "first", "image": "nginx", "memory": 10**15}


def ask(address: str, method: str, path: str, body: bytes) -> int:
    """The answer's status."""
    connection = http.client.HTTPConnection(address, PORT, timeout=5)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


def until_s(began: float, look: Callable[[], bool], what: str) -> float:
    """Seconds since `began`, once `look` is true."""
    while time.perf_counter() - began < DEADLINE_S:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if look():
                return time.perf_counter() - began
        time.sleep(0.002)
    raise SystemExit(f"not within {DEADLINE_S} s: {what}")


@contextlib.contextmanager
def one_host() -> Iterator[tuple[list[str], str, str]]:
    """The words that enter it, its address, and its engine."""
    lab = Lab(secrets.token_hex(2), 1)
    with contextlib.ExitStack() as stack:
        stack.callback(lab.down)
        lab.up()
        engine = stack.enter_context(engine_in_namespace(lab.name(1)))
        stack.callback(lab.leave, lab.enter())
        yield ["nsenter", f"--net=/var/run/netns/{lab.name(1)}"], lab.address(1), engine.host


def links(enter: list[str]) -> str:
    return subprocess.run([*enter, "ip", "-o", "link"], check=True, capture_output=True, text=True).stdout


def start(enter: list[str], address: str, engine: str, network: str, root: Path) -> tuple[float, float]:
    """Seconds to the first committed write, and until the network is there (0.0 without it)."""
    command = [
        *enter, sys.executable, "-m", "orion", "--id", "node1", "--insecure",
        "--bind", address, "--port", str(PORT),
        "--data-dir", str(root / "data"), "--docker-host", engine, "--bootstrap", "--network", network,
    ]  # fmt: skip
    body = json.dumps(WRITE).encode()
    with (root / "log").open("wb") as log:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        wrote_s = until_s(began, lambda: ask(address, "POST", "/tasks", body) < 300, "a committed write")
        if network == OFF:
            return wrote_s, 0.0
        there_s = until_s(began, lambda: "orion0" in links(enter), "the network")
        until_s(began, lambda: ask(address, "PUT", "/configs/orion%2Fnetwork", b"off") < 300, "it to be off")
        until_s(began, lambda: "orion" not in links(enter), "no devices of the network any more")
        return wrote_s, there_s
    finally:
        process.kill()
        process.wait()


def memory_mb(pid: int) -> tuple[float, float]:
    """Resident, and of it what is this process' alone."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kb = {line.split()[0]: int(line.split()[1]) for line in lines}
    return kb["Rss:"] / 1024, (kb["Private_Clean:"] + kb["Private_Dirty:"]) / 1024


def idle(network: str, idle_s: float) -> None:
    with lab_hosts(3, lambda _: None, network=network) as lab:
        if network != OFF:
            wait_for_bridges(lab)
        time.sleep(idle_s)
        found = [memory_mb(lab.pid(host)) for host in (1, 2, 3)]
    shown = ", ".join(f"{all_mb:.1f} ({own_mb:.1f})" for all_mb, own_mb in found)
    print(f"resident MB (its own), network {network:14} {shown}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--idle", type=float, default=15, help="seconds until the memory is looked at")
    parser.add_argument("--quick", action="store_true", help="three runs")
    asked: Any = parser.parse_args()
    if os.getuid() != 0:
        raise SystemExit("this needs root: network namespaces, and engines in them")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program's modules are kept as compiled
    took: dict[str, list[tuple[float, float]]] = {OFF: [], ON: []}
    with one_host() as host:
        with tempfile.TemporaryDirectory(prefix="orion-") as root:
            start(*host, ON, Path(root))  # compiles them
        for _ in range(3 if asked.quick else asked.runs):
            for network, found in took.items():
                with tempfile.TemporaryDirectory(prefix="orion-") as root:
                    found.append(start(*host, network, Path(root)))
    print(f"{'seconds':42} {'median':>8} {'worst':>8}")
    for network, found in took.items():
        wrote = [each[0] for each in found]
        print(f"{f'exec to first committed write, {network}':46} {statistics.median(wrote):8.3f} {max(wrote):8.3f}")
    there = [each[1] for each in took[ON]]
    print(f"{'exec to its part of the network':46} {statistics.median(there):8.3f} {max(there):8.3f}")
    slower = [(on[0] - off[0]) * 1e3 for off, on in zip(*took.values(), strict=True)]
    print(
        f"slower with it, by pairs: median {statistics.median(slower):.1f} ms, worst {max(slower):.1f}", flush=True
    )
    for network in (OFF, ON):
        idle(network, 3 if asked.quick else asked.idle)


if __name__ == "__main__":
    main()
