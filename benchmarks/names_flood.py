"""A node while one of its containers floods its name server: its API, writes, other containers' names.

    script/bench names_flood [--rate 10000] [--seconds 10] [--quick]

Three nodes in network namespaces of their own, each with an engine of its own. A container asks its node's name
server as often as it is told: names that are there and that are not, names of others, pieces of questions. Before,
meanwhile and afterwards, in turn and every 10 ms: a job at this node's API, a write there, and the job's name for a
container beside the one that floods and for one on another node. A name without an answer within 0.5 s is lost.
"""

import argparse
import contextlib
import json
import os
import select
import socket
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support import dns, dns_flood, images
from support.lab_containers import Container, deployed, wait_for_bridges
from support.lab_nodes import LabNodes, lab_hosts
from support.packets import socket_in

HOSTS = (1, 2, 3)
NAME = "web.orion.internal"
LOST_S = 0.5
EACH_S = 0.01
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
JOB = {
    "image": images.BUSYBOX,
    "command": ["sleep", "36000"],
    "count": 6,
    "stopGraceSeconds": 0,
    "update": {"monitorSeconds": 0.5},
}


def server_of(container: Container) -> str:
    return container.address.rpartition(".")[0] + ".1"


def asking(container: Container) -> socket.socket:
    made = socket_in(container.namespace, socket.AF_INET, socket.SOCK_DGRAM)
    made.connect((server_of(container), 53))
    return made


def answered(sock: socket.socket, ident: int) -> bool:
    sock.send(dns.query(NAME, ident=ident))
    until = time.monotonic() + LOST_S
    while select.select([sock], [], [], max(0.0, until - time.monotonic()))[0]:
        if dns.parse(sock.recv(2_000)).ident == ident:
            return True
    return False


def cpu_s(lab: LabNodes, host: int) -> float:
    words = Path(f"/proc/{lab.pid(host)}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / TICKS_PER_S


def look(lab: LabNodes, looks: dict[str, Callable[[int], bool]], host: int, goes_on: Callable[[], bool]) -> str:
    """The lines that say how long each of `looks` took and how many had no answer, while it goes on."""
    took: dict[str, list[float]] = {name: [] for name in looks}
    lost = dict.fromkeys(looks, 0)
    used, began, number = cpu_s(lab, host), time.monotonic(), 0
    dead: set[str] = set()
    while goes_on():
        number += 1
        for name, ask in looks.items():
            asked_at = time.monotonic()
            if ask(number):
                took[name].append((time.monotonic() - asked_at) * 1e3)
            else:
                lost[name] += 1
        if number % 50 == 0:
            dead |= {node["id"] for node in lab.ask(1, "GET", "/nodes") if node["status"] != "alive"}
        time.sleep(EACH_S)
    share = (cpu_s(lab, host) - used) / (time.monotonic() - began)
    lines = [
        f"  {name:20} {statistics.median(found):8.2f} {max(found):8.2f} {len(found):8} {lost[name]:6}"
        for name, found in took.items()
    ]
    return "\n".join(
        [*lines, f"  the node takes {share:.0%} of a processor; called dead: {sorted(dead) or 'nobody'}"]
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--quick", action="store_true", help="three seconds of each")
    asked: Any = parser.parse_args()
    seconds = 3.0 if asked.quick else asked.seconds
    if os.getuid() != 0:
        raise SystemExit("this needs root: network namespaces, and engines in them")
    with lab_hosts(len(HOSTS), images.busybox, network="10.200.0.0/16") as lab, contextlib.ExitStack() as stack:
        wait_for_bridges(lab)
        web = deployed(lab, "web", JOB)
        # Not on the leader's node, which may have more to do than others.
        leader = int(lab.ask(1, "GET", "/raft")["leader"].removeprefix("node"))
        flooder = next(each for each in web if each.host != leader)
        host = flooder.host
        near = stack.enter_context(asking(next(one for one in web if one.host == host and one is not flooder)))
        far = stack.enter_context(asking(next(one for one in web if one.host != host)))
        looks: dict[str, Callable[[int], bool]] = {
            "a job at its API": lambda _: bool(lab.ask(host, "GET", "/jobs/web")),
            "a write at its API": lambda n: bool(lab.ask(host, "PUT", "/configs/n", str(n).encode())) or True,
            "a name beside it": lambda n: answered(near, n & 0xFFFF),
            "a name elsewhere": lambda n: answered(far, n & 0xFFFF),
        }

        def for_a_while(wait_s: float) -> Callable[[], bool]:
            until = time.monotonic() + wait_s
            return lambda: time.monotonic() < until

        print(f"{'':22} {'ms: median':>8} {'worst':>6} {'looks':>8} {'lost':>6}")
        print("before", look(lab, looks, host, for_a_while(seconds)), sep="\n", flush=True)
        words = dns_flood.command(server_of(flooder), asked.rate, seconds)
        process = subprocess.Popen([*flooder.enter(), *words], stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            process.stdout.readline()
            print("meanwhile", look(lab, looks, host, lambda: process.poll() is None), sep="\n", flush=True)
            said = json.loads(process.stdout.read())
        finally:
            process.kill()
            process.wait()
        rate = said["sent"] / said["seconds"]
        print(f"  {rate:,.0f} questions/s for {said['seconds']:.1f} s, {said['answered']:,} answers to them")
        print("afterwards", look(lab, looks, host, for_a_while(seconds)), sep="\n", flush=True)
        told = lab.run(1, "curl", "-s", f"http://{lab.lab.address(1)}:8000/events?after=0.0&follow=0")
        print(f"nodes that went down, by the log: {told.count('NodeWentDown')}")


if __name__ == "__main__":
    main()
