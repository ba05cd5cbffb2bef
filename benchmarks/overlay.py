"""The cluster's network on five hosts: who reaches whom, how fast beside a VXLAN made by hand, and what it leaves.

    script/bench overlay [--runs 7] [--seconds 3] [--round-trips 5000] [--quick]

Five nodes in network namespaces of their own, each with an engine of its own and FORWARD set to DROP; a sixth
host is no node. First every container reaches every other (one a host, and a further one beside one of them) by
address and by name, TCP and UDP, and with pings that may not be fragmented: the largest passes, one byte more
does not.

Then throughput (iperf3, one stream) and latency (a TCP connection's round trips of one byte) on five paths in
turn: from host to host; by a VXLAN that was made by hand between the same two hosts, with a bridge and a
namespace at either end, as containers have; from container to container between them; from the sixth host to a
node; and that way through a port of this node, whose only backend is on the other one. All share one machine's
cores, so the ratios say more than the figures.

In the end the job is removed and the network switched off, and all that a host has of links, addresses, routes,
rules, neighbours, forwarding entries, filters and switches is compared with what it had before.
"""

import argparse
import contextlib
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support import dns, images
from support.host_network import differences, network_of_host
from support.lab_containers import Container, deployed, switch_on, wait_for_bridges
from support.lab_nodes import LabNodes, lab_hosts
from support.packets import ping, socket_in

NODES, CLIENT = (1, 2, 3, 4, 5), 6
LARGEST_BYTES = 1_422  # of a ping's payload: 1,500 less 50 of VXLAN, 20 of IP and 8 of ICMP
PAIR_PORT, READY, IPERF, ECHO = 7_000, 80, 5_201, 5_202
OPEN = 100  # further on is the port of every node that leads to one of these
ANSWER_S, TRIES = 1.0, 5
JOB = {
    "image": images.BUSYBOX,
    "command": ["httpd", "-f", "-p", str(READY)],  # a task is ready once its first port accepts
    "stopGraceSeconds": 0,
    "update": {"monitorSeconds": 0.5},
}
ECHO_SERVER = """
import socket, sys
server = socket.create_server(("0.0.0.0", int(sys.argv[1])))
while True:
    sock, _ = server.accept()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        while data := sock.recv(64):
            sock.sendall(data)
    except OSError:
        pass
    sock.close()
"""


# --- who reaches whom --------------------------------------------------------------------------------------


def told_address(asker: Container, name: str) -> str:
    """By the name server in the container's own resolv.conf. "" when there is no answer."""
    lines = (line.split() for line in Path(f"/proc/{asker.pid}/root/etc/resolv.conf").read_text().splitlines())
    server = next(words[1] for words in lines if words[:1] == ["nameserver"])
    with socket_in(asker.namespace, socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(ANSWER_S)
        sock.connect((server, 53))
        for _ in range(TRIES):
            sock.send(dns.query(name))
            with contextlib.suppress(TimeoutError):
                return "".join(map(str, dns.parse(sock.recv(2_000)).values))
    return ""


def by_udp(one: Container, two: Container, address: str) -> bool:
    """There and back, with no address translated on the way."""
    with (
        socket_in(one.namespace, socket.AF_INET, socket.SOCK_DGRAM) as asker,
        socket_in(two.namespace, socket.AF_INET, socket.SOCK_DGRAM) as server,
    ):
        asker.settimeout(ANSWER_S)
        server.settimeout(ANSWER_S)
        server.bind((two.address, PAIR_PORT))
        asker.bind((one.address, PAIR_PORT))
        for _ in range(TRIES):
            asker.sendto(b"ask", (address, PAIR_PORT))
            with contextlib.suppress(TimeoutError):
                said, sender = server.recvfrom(100)
                server.sendto(said, sender)
                back = asker.recvfrom(100)
                return sender == (one.address, PAIR_PORT) and back == (b"ask", (two.address, PAIR_PORT))
    return False


def by_tcp(one: Container, two: Container, address: str) -> bool:
    with (
        socket_in(one.namespace, socket.AF_INET, socket.SOCK_STREAM) as asker,
        socket_in(two.namespace, socket.AF_INET, socket.SOCK_STREAM) as server,
    ):
        asker.settimeout(ANSWER_S * TRIES)
        server.settimeout(ANSWER_S)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((two.address, PAIR_PORT))
        server.listen()
        with contextlib.suppress(OSError):
            asker.connect((address, PAIR_PORT))
            accepted, sender = server.accept()
            with accepted:
                accepted.settimeout(ANSWER_S)
                asker.sendall(b"ask")
                accepted.sendall(accepted.recv(100))
                return asker.recv(100) == b"ask" and sender[0] == one.address
    return False


def reach(found: list[Container]) -> None:
    pairs = list(itertools.permutations(found, 2))
    named = {(one, two): told_address(one, f"{name_of(two)}.orion.internal") for one, two in pairs}
    rows: dict[str, Callable[[Container, Container], bool]] = {
        "TCP by address": lambda one, two: by_tcp(one, two, two.address),
        "UDP by address": lambda one, two: by_udp(one, two, two.address),
        "the name's answer": lambda one, two: named[one, two] == two.address,
        "TCP by name": lambda one, two: by_tcp(one, two, named[one, two] or "0.0.0.0"),
        "UDP by name": lambda one, two: by_udp(one, two, named[one, two] or "0.0.0.0"),
        "a ping of 1,422 bytes": lambda one, two: ping(one.namespace, two.address, LARGEST_BYTES) == "reply",
        "none of 1,423": lambda one, two: ping(one.namespace, two.address, LARGEST_BYTES + 1) == "too large",
    }
    near = sum(one.host == two.host for one, two in pairs)
    print(f"pairs of containers: {len(pairs)}, {near} of them on one host")
    for words, held in rows.items():
        failed = [f"{one.task} -> {two.task}" for one, two in pairs if not held(one, two)]
        print(f"  {words:24} {len(pairs) - len(failed)} of {len(pairs)} {', '.join(failed)}", flush=True)


def name_of(container: Container) -> str:
    """Its slot's name. A job with a task on each node has no slots that have names of their own."""
    job, _, slot = container.task.partition("/")
    return f"{slot}.{job}"


# --- how fast ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Way:
    """`enter` are the words that run a program at the end of the client, which calls `address`, at ports so much
    `further` on. `server` are those at the other end.
    """

    name: str
    enter: list[str]
    namespace: str
    address: str
    server: list[str]
    further: int = 0


@contextlib.contextmanager
def vxlan_by_hand(lab: LabNodes, one: int, two: int) -> Iterator[dict[int, str]]:
    """The names of a namespace on either host, which reach each other at 10.99.HOST.2."""
    ends = {host: f"{lab.lab.name(host)}h" for host in (one, two)}
    with contextlib.ExitStack() as stack:
        for host, other in ((one, two), (two, one)):
            for line in (
                f"link add hand.vx type vxlan id 99 dstport 4789 local {lab.lab.address(host)} nolearning",
                f"link set hand.vx mtu 1450 address 02:99:00:00:00:0{host} up",
                f"addr add 10.99.{host}.0/32 dev hand.vx",
                f"neigh add 10.99.{other}.0 lladdr 02:99:00:00:00:0{other} dev hand.vx nud permanent",
                f"route add 10.99.{other}.0/24 via 10.99.{other}.0 dev hand.vx onlink",
                "link add hand0 mtu 1450 type bridge",
                f"addr add 10.99.{host}.1/24 dev hand0",
                "link set hand0 up",
            ):
                lab.run(host, "ip", *line.split())
            stack.callback(lab.run, host, "ip", "link", "delete", "hand.vx")
            stack.callback(lab.run, host, "ip", "link", "delete", "hand0")
            fdb = f"fdb add 02:99:00:00:00:0{other} dev hand.vx dst {lab.lab.address(other)} self permanent"
            lab.run(host, "bridge", *fdb.split())
            for side in ("-i", "-o"):
                lab.run(host, "iptables", "-I", "FORWARD", side, "hand0", "-j", "ACCEPT")
                stack.callback(lab.run, host, "iptables", "-D", "FORWARD", side, "hand0", "-j", "ACCEPT")
            end = ends[host]
            _ip("netns", "add", end)
            stack.callback(_ip, "netns", "delete", end)
            _ip(
                "link",
                "add",
                end,
                "mtu",
                "1450",
                "type",
                "veth",
                "peer",
                "name",
                "eth0",
                "mtu",
                "1450",
                "netns",
                end,
            )
            _ip("link", "set", end, "netns", lab.lab.name(host))
            lab.run(host, "ip", "link", "set", end, "master", "hand0", "up")
            for line in (
                "link set lo up",
                "link set eth0 up",
                f"addr add 10.99.{host}.2/24 dev eth0",
                f"route add default via 10.99.{host}.1",
            ):
                _ip("-n", end, *line.split())
        yield ends


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=30)


def ways(lab: LabNodes, found: list[Container], sink: Container, ends: dict[int, str], near: int) -> list[Way]:
    """From host `near` and what is on it to that of `sink`, and from the sixth host by way of `near`."""
    far, hosts = sink.host, {host: lab.enter(host) for host in lab.lab.hosts}
    container = next(each for each in found if each.host == near)
    hand = {host: ["nsenter", f"--net=/var/run/netns/{end}"] for host, end in ends.items()}
    name, address = lab.lab.name, lab.lab.address
    return [
        Way("host to host", hosts[near], name(near), address(far), hosts[far]),
        Way("VXLAN by hand", hand[near], ends[near], f"10.99.{far}.2", hand[far]),
        Way("container to container", container.enter(), container.namespace, sink.address, sink.enter()),
        Way("sixth host to a node", hosts[CLIENT], name(CLIENT), address(near), hosts[near]),
        Way("port of that node", hosts[CLIENT], name(CLIENT), address(near), sink.enter(), OPEN),
    ]


@contextlib.contextmanager
def serving(way: Way) -> Iterator[None]:
    """iperf3 and an echo at its end, once they listen. One way at a time: two have their ends at one place, or a
    node's port where its own program would listen.
    """
    commands = (["iperf3", "-s", "-p", str(IPERF)], [sys.executable, "-c", ECHO_SERVER, str(ECHO)])
    processes = [
        subprocess.Popen([*way.server, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for words in commands
    ]
    try:
        deadline = time.monotonic() + 20
        while not all(_listens(way, port) for port in (IPERF, ECHO)):
            if time.monotonic() > deadline:
                raise SystemExit(f"{way.name}: nobody listens")
            time.sleep(0.02)
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _listens(way: Way, port: int) -> bool:
    words = [*way.server, "ss", "-Hltn", f"sport = :{port}"]
    return bool(subprocess.run(words, check=True, capture_output=True, timeout=10).stdout)


def gbit_per_s(way: Way, seconds: float) -> float:
    words = ["iperf3", "-c", way.address, "-p", str(IPERF + way.further), "-t", str(seconds), "-O", "0.5", "-J"]
    done = subprocess.run([*way.enter, *words], check=False, capture_output=True, text=True, timeout=seconds + 30)
    said: dict[str, Any] = json.loads(done.stdout)
    if "error" in said:
        raise SystemExit(f"{way.name}: iperf3 says: {said['error']}")
    return float(said["end"]["sum_received"]["bits_per_second"]) / 1e9


def round_trips_us(way: Way, count: int) -> list[float]:
    took = []
    with socket_in(way.namespace, socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.settimeout(10)
        sock.connect((way.address, ECHO + way.further))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in range(count + 100):
            began = time.perf_counter()
            sock.sendall(b"x")
            sock.recv(1)
            if number >= 100:
                took.append((time.perf_counter() - began) * 1e6)
    return took


def speed(all_ways: list[Way], runs: int, seconds: float, round_trips: int) -> None:
    rates: dict[str, list[float]] = {way.name: [] for way in all_ways}
    trips: dict[str, list[float]] = {way.name: [] for way in all_ways}
    for run in range(runs):
        # Each run begins with another one: a machine that slows down slows all of them down.
        for way in all_ways[run % len(all_ways) :] + all_ways[: run % len(all_ways)]:
            with serving(way):
                rates[way.name].append(gbit_per_s(way, seconds))
                trips[way.name] += round_trips_us(way, max(1, round_trips // runs))
        print("  " + ", ".join(f"{name} {found[-1]:.2f}" for name, found in rates.items()) + " Gbit/s", flush=True)
    hand = rates["VXLAN by hand"]
    print(f"{'':24} {'Gbit/s':>7} {'worst':>6} {'to VXLAN by hand':>18} {'us: median':>12} {'p99':>7}")
    for name, found in rates.items():
        ratio = statistics.median(mine / theirs for mine, theirs in zip(found, hand, strict=True))
        p99 = sorted(trips[name])[int(len(trips[name]) * 0.99)]
        print(f"{name:24} {statistics.median(found):7.2f} {min(found):6.2f} {ratio:18.2f} "
              f"{statistics.median(trips[name]):12.1f} {p99:7.1f}", flush=True)  # fmt: skip


# --- what is left ------------------------------------------------------------------------------------------


def nothing_left(lab: LabNodes, before: dict[int, dict[str, list[str]]]) -> None:
    lab.ask(1, "DELETE", "/jobs/all")
    lab.ask(1, "DELETE", "/jobs/sink")
    lab.wait(lambda: lab.ask(1, "GET", "/tasks") == [], "the jobs to be gone")
    switch_on(lab, "off")

    def left() -> dict[int, list[str]]:
        return {host: differences(before[host], network_of_host(lab, host)) for host in NODES}

    with contextlib.suppress(AssertionError):
        lab.wait(lambda: not any(left().values()), "nothing to be left", deadline_s=40)
    compared = sum(len(lines) for lines in before[1].values())
    for host, lines in left().items():
        print(f"left on host {host}: {len(lines)} of {compared} lines differ", *lines[:40], sep="\n  ", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--round-trips", type=int, default=5_000)
    parser.add_argument("--quick", action="store_true", help="two runs of a second")
    asked: Any = parser.parse_args()
    if asked.quick:
        asked.runs, asked.seconds, asked.round_trips = 2, 1, 1_000
    if os.getuid() != 0:
        raise SystemExit("this needs root: network namespaces, and engines in them")
    with lab_hosts(len(NODES), images.busybox, others=1) as lab:
        before = {host: network_of_host(lab, host) for host in NODES}
        switch_on(lab)
        wait_for_bridges(lab)
        everybody = deployed(lab, "all", {**JOB, "count": len(NODES), "placement": {"maxPerNode": 1}})
        ports = [{"port": port + OPEN, "containerPort": port} for port in (READY, IPERF, ECHO)]
        (sink,) = deployed(lab, "sink", {**JOB, "count": 1, "ingress": ports})
        reach([*everybody, sink])
        near = next(host for host in NODES if host != sink.host)
        with vxlan_by_hand(lab, near, sink.host) as ends:
            speed(ways(lab, everybody, sink, ends, near), asked.runs, asked.seconds, asked.round_trips)
        nothing_left(lab, before)


if __name__ == "__main__":
    main()
