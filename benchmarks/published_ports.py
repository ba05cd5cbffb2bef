"""Three tasks behind a port of every node, under 500 requests/s, while they are updated and while hosts die.

    script/bench published_ports [--deaths 20] [--updates 5] [--rate 500]

Five nodes in network namespaces of their own, each with an engine of its own and FORWARD set to DROP; a sixth host
is the client: it asks all nodes in turn, each request on a connection of its own and without a second try. A host
dies when nothing comes from it any more; what it was asked itself does not count. `until none fails` is from the
death to when the last request that failed was sent, `names` until the host's task has left the answers of another
node's name server. Beside it HAProxy on the first host, before the same three containers at their own addresses:
once as most have it (a check every 2 s, three failures), once as quick as is sensible (0.2 s, two failures).
"""

import argparse
import asyncio
import os
import random
import socket
import statistics
import struct
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from support import images
from support.lab import set_namespace
from support.lab_nodes import LabNodes, lab_hosts
from support.traffic import SERVER

NODES, CLIENT = (1, 2, 3, 4, 5), 6
PORT, USUAL, QUICK = 8080, 9001, 9002
ANSWER_S = 1.0
QUIET_S = 2.0  # without a failure: it is over
# The client closes, as browsers and proxies do: whoever closes first keeps the connection's ends for a minute.
REQUEST = b"GET /up HTTP/1.1\r\nHost: web\r\n\r\n"
DOMAIN = "web.orion.internal"

HAPROXY = """
defaults
    mode http
    timeout connect 500ms
    timeout client 5s
    timeout server 5s
    option redispatch
    option httpchk GET /up
listen usual
    bind :{usual}
    default-server check
{servers}
listen quick
    bind :{quick}
    default-server check inter 200ms fall 2 rise 1
{servers}
"""


class Load:
    """Requests at a steady rate from the client's host to `targets` in turn. `failed`: when each that failed was
    sent, and to which target.
    """

    def __init__(self, lab: LabNodes, targets: Sequence[tuple[str, int]], rate: int) -> None:
        self._namespace = f"/var/run/netns/{lab.lab.name(CLIENT)}"
        self._targets = targets
        self._rate = rate
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.began = time.monotonic()
        self.sent = 0
        self.failed: list[tuple[float, str]] = []
        self.words: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def bursts(self) -> list[str]:
        """The failures that came together, a line each: since the start, how many, and of which nodes."""
        found: list[list[tuple[float, str]]] = []
        for at, host in sorted(self.failed):
            if found and at - found[-1][-1][0] < 0.5:
                found[-1].append((at, host))
            else:
                found.append([(at, host)])
        return [
            f"{each[0][0] - self.began:.2f} s to {each[-1][0] - self.began:.2f} s: {len(each)} failed,"
            f" by node {dict(Counter(host for _, host in each))}"
            for each in found
        ]

    def _run(self) -> None:
        with Path(self._namespace).open() as there:
            set_namespace(there.fileno())
        asyncio.run(self._send())

    async def _send(self) -> None:
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            while not self._ending.is_set():
                due = int((time.monotonic() - began) * self._rate)
                while self.sent < due:
                    self.sent += 1
                    group.create_task(self._one(*self._targets[self.sent % len(self._targets)]))
                await asyncio.sleep(1 / self._rate)

    async def _one(self, host: str, port: int) -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(ANSWER_S):
                reader, writer = await asyncio.open_connection(host, port)
                try:
                    writer.write(REQUEST)
                    answer = await reader.readuntil(b"\r\n\r\n")
                finally:
                    writer.close()
            words = "" if b" 200 " in answer[:20] else repr(answer[:40])
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            words = type(error).__name__
        if words:
            self.failed.append((began, host))
            self.words[words] = self.words.get(words, 0) + 1


class NameLook(threading.Thread):
    """Asks the name server of one node again and again. `left_at`: when an address has left its answer."""

    def __init__(self, lab: LabNodes, host: int, address: str) -> None:
        super().__init__(daemon=True)
        self._namespace = f"/var/run/netns/{lab.lab.name(host)}"
        words = lab.run(host, "ip", "-o", "-4", "addr", "show", "orion0").split()
        self._server = next(word for word in words if word.startswith("10.200.")).partition("/")[0]
        self._address = socket.inet_aton(address)
        self.left_at = 0.0

    def run(self) -> None:
        with Path(self._namespace).open() as there:
            set_namespace(there.fileno())
        labels = b"".join(bytes([len(part)]) + part.encode() for part in DOMAIN.split("."))
        question = struct.pack(">HHHHHH", 1, 0x0100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"
        deadline = time.monotonic() + 30
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(0.5)
            while time.monotonic() < deadline:
                asking.sendto(question, (self._server, 53))
                try:
                    answer = asking.recv(4096)
                except TimeoutError:
                    continue
                if self._address not in answer:
                    self.left_at = time.monotonic()
                    return
                time.sleep(0.02)


# --- what is done ------------------------------------------------------------------------------------------


def put(lab: LabNodes, release: int) -> None:
    body = {
        "image": images.WEB,
        "command": SERVER,
        "count": 3,
        "env": {"RELEASE": str(release)},
        "ingress": [{"port": PORT, "containerPort": 80}],
        "healthCheck": {"http": {"port": 80, "path": "/up"}, "intervalSeconds": 0.5, "retries": 2},
        "placement": {"maxPerNode": 1},
        "drainSeconds": 2,
        "update": {"monitorSeconds": 1, "order": "start-first"},
    }
    view = lab.ask(1, "PUT", "/jobs/web", body)
    path = f"/deployments/{view['deployment']['id']}"
    end = lab.wait(lambda: (d := lab.ask(1, "GET", path))["state"] != "running" and d, "its end", deadline_s=120)
    if end["state"] != "done":
        raise SystemExit(f"the deployment ended as {end}")


def ready(lab: LabNodes) -> dict[int, str]:
    """The address of the ready task on each host that has one."""
    shown = lab.ask(1, "GET", "/jobs/web/endpoints")
    shown = shown.get("endpoints", shown) if isinstance(shown, dict) else shown
    return {int(each["nodeId"].removeprefix("node")): each["address"] for each in shown}


def all_ready(lab: LabNodes) -> dict[int, str]:
    return lab.wait(lambda: len(found := ready(lab)) == 3 and found, "three ready tasks", deadline_s=90)


def all_alive(lab: LabNodes) -> bool:
    nodes = lab.ask(1, "GET", "/nodes")
    return all(node["status"] == "alive" and not node["reason"] for node in nodes)


def die(lab: LabNodes, host: int) -> dict[int, list[str]]:
    rules = {other: [f"ip saddr {lab.lab.address(host)} drop"] for other in lab.lab.hosts if other != host}
    rules[host] = [f"ip saddr {lab.lab.address(other)} drop" for other in lab.lab.hosts if other != host]
    for each, words in rules.items():
        lab.lab.add_rules(each, words)
    return rules


def until_none_fails(load: Load, died_at: float, dead: str) -> float:
    """Seconds. Waits until nothing has failed for a while."""
    while True:
        time.sleep(0.2)
        last = max((at for at, host in load.failed if at >= died_at - ANSWER_S and host != dead), default=died_at)
        if time.monotonic() > max(last, died_at) + QUIET_S + ANSWER_S:
            return max(0.0, last - died_at)
        if time.monotonic() > died_at + 60:
            raise SystemExit(f"requests fail for ever: {load.words}")


def until_quiet(load: Load) -> float:
    """Seconds, from the start of the load, until nothing has failed for a while: a host that was away is back."""
    while True:
        time.sleep(0.2)
        last = max((at for at, _ in load.failed), default=load.began)
        if time.monotonic() > last + QUIET_S + ANSWER_S:
            return last - load.began
        if time.monotonic() > load.began + 60:
            raise SystemExit(f"requests fail for ever: {load.words}")


def updates(lab: LabNodes, count: int, rate: int) -> None:
    targets = [(lab.lab.address(node), PORT) for node in NODES]
    took: list[float] = []
    with Load(lab, targets, rate) as load:
        for release in range(1, count + 1):
            began = time.monotonic()
            put(lab, release)
            took.append(time.monotonic() - began)
            at = f"{took[-1]:.1f} s, over at {time.monotonic() - load.began:.1f} s"
            print(f"  update {release}: {at}, {len(load.failed)} of {load.sent:,} failed", flush=True)
        time.sleep(2)
    for line in load.bursts():
        print(f"  {line}")
    print(f"rolling updates: {count}, {statistics.median(took):.1f} s median, {max(took):.1f} worst; "
          f"{len(load.failed)} of {load.sent:,} requests failed {load.words or ''}")  # fmt: skip


def deaths(lab: LabNodes, count: int, rate: int) -> None:
    targets = [(lab.lab.address(node), PORT) for node in NODES]
    rows: list[tuple[float, float, int]] = []
    for number in range(count):
        where = all_ready(lab)
        host = random.choice([each for each in where if each != 1])  # the one that is asked for its state lives
        look = NameLook(lab, next(each for each in NODES if each != host), where[host])
        with Load(lab, targets, rate) as load:
            settled = until_quiet(load)
            look.start()
            died_at = time.monotonic()
            rules = die(lab, host)
            took = until_none_fails(load, died_at, lab.lab.address(host))
        look.join()
        lost = sum(at >= died_at - ANSWER_S and to != lab.lab.address(host) for at, to in load.failed)
        rows.append((took, look.left_at - died_at, lost))
        told_of = f"{took:.2f} s until none fails, {lost} failed; names {rows[-1][1]:.2f} s"
        print(
            f"  death {number + 1} (node{host}): {told_of}; {load.words}; quiet after {settled:.1f} s", flush=True
        )
        late = Counter(to for at, to in load.failed if at > died_at + 1 and to != lab.lab.address(host))
        if late:
            times = sorted(round(at - died_at, 2) for at, to in load.failed if at > died_at + 1 and to in late)
            print(f"    after more than 1 s, by node: {dict(late)}; at {times[:6]} … {times[-1]}", flush=True)
        for each, words in rules.items():
            lab.lab.remove_rules(each, words)
        lab.wait(lambda: all_alive(lab), "all nodes again", deadline_s=90)
    told("until none fails", [row[0] for row in rows])
    told("names", [row[1] for row in rows])
    print(f"requests that failed in one death: {statistics.median(row[2] for row in rows):.0f} median, "
          f"{max(row[2] for row in rows)} worst")  # fmt: skip


def haproxy(lab: LabNodes, count: int, rate: int) -> None:
    for number in range(count):
        where = all_ready(lab)
        host = random.choice([each for each in where if each != 1])
        servers = "\n".join(f"    server s{each} {address}:80" for each, address in where.items())
        with tempfile.NamedTemporaryFile("w", suffix=".cfg") as config:
            config.write(HAPROXY.format(usual=USUAL, quick=QUICK, servers=servers))
            config.flush()
            words = [*lab.enter(1), "haproxy", "-db", "-q", "-f", config.name]
            process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                time.sleep(3)
                first = lab.lab.address(1)
                with (
                    Load(lab, [(first, USUAL)], rate // 2) as usual,
                    Load(lab, [(first, QUICK)], rate // 2) as quick,
                ):
                    time.sleep(1)
                    died_at = time.monotonic()
                    rules = die(lab, host)
                    found = [until_none_fails(load, died_at, "") for load in (usual, quick)]
            finally:
                process.kill()
                process.wait()
        lost = [sum(at >= died_at - ANSWER_S for at, _ in load.failed) for load in (usual, quick)]
        PROXIED.append((found[0], found[1]))
        print(f"  HAProxy, death {number + 1}: usual {found[0]:.2f} s, {lost[0]} failed; "
              f"quick {found[1]:.2f} s, {lost[1]} failed", flush=True)  # fmt: skip
        for each, words in rules.items():
            lab.lab.remove_rules(each, words)
        lab.wait(lambda: all_alive(lab), "all nodes again", deadline_s=90)
    told("HAProxy, usual", [row[0] for row in PROXIED])
    told("HAProxy, quick", [row[1] for row in PROXIED])


PROXIED: list[tuple[float, float]] = []


def told(name: str, found: list[float]) -> None:
    print(f"{name}: {statistics.median(found):.2f} s median, {max(found):.2f} worst of {len(found)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--deaths", type=int, default=20)
    parser.add_argument("--updates", type=int, default=5)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--proxied", type=int, default=5)
    asked: Any = parser.parse_args()
    if os.getuid() != 0:
        raise SystemExit("this needs root: network namespaces, and engines in them")
    with lab_hosts(len(NODES), images.web, others=1, network="10.200.0.0/16") as lab:
        for host in NODES:
            lab.wait(lambda host=host: "orion0" in lab.run(host, "ip", "-o", "link"), f"the bridge of host {host}")
        put(lab, 0)
        all_ready(lab)
        if asked.updates:
            updates(lab, asked.updates, asked.rate)
        if asked.deaths:
            deaths(lab, asked.deaths, asked.rate)
        if asked.proxied:
            haproxy(lab, asked.proxied, asked.rate)


if __name__ == "__main__":
    main()
