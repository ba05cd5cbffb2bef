"""Very many long polls on a long list, all woken by one POST: what they cost the node that leads.

    script/bench long_polls [--pollers 1000] [--tasks 5000]

Three nodes; the tasks fit nowhere, so that no container is started. All pollers ask the leader for /tasks past the
same index, then one task is created and each gets the whole list; again with pollers that ask anew at once, while
ten tasks are created. The bare row: the same node idle. Exits with 1 when a bound is broken: no election, no turn
of the loop over 50 ms of its own CPU time, at most 150 MB more.
"""

import argparse
import asyncio
import http.client
import json
import re
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from support.nodes import NO_ENGINE, NodeProcess, cluster

HELD_MS = 50
MORE_MB = 150
AT_ONCE = 16
SETTLE_S = 3.0
CONNECTS_AT_ONCE = 50
POSTS = 10
DEADLINE_S = 120


class Poller(asyncio.Protocol):
    """Asks past an index, drops what comes, and counts whole answers; `again`: asks anew past what it has seen."""

    def __init__(self) -> None:
        self.answers = 0
        self.bytes = 0
        self.index = 0
        self.again = False
        self._head = b""
        self._left = 0
        self.refused = 0
        self.whole = asyncio.Event()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport

    def ask(self, index: int) -> None:
        self.whole.clear()
        self._head, self._left = b"", 0
        request = f"GET /tasks?index={index}&wait=300 HTTP/1.1\r\nHost: localhost\r\nRequest-Timeout: 60\r\n\r\n"
        self.transport.write(request.encode())

    def data_received(self, data: bytes) -> None:
        self.bytes += len(data)
        if not self._left:
            self._head += data
            head, end, body = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            self._left = int(re.search(rb"content-length: (\d+)", head)[1])
            if b" 200 " in head[:20]:
                self.index = int(re.search(rb"x-orion-index: (\d+)", head)[1])
            else:
                self.refused += 1
            data = body
        self._left -= len(data)
        if self._left == 0:
            self.answers += 1
            self.whole.set()
            if self.again:
                self.ask(self.index)


def memory_mb(pid: int) -> tuple[float, float]:
    """Resident now, and the most since the last `forget_peak`."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024, int(status.split("VmHWM:")[1].split()[0]) / 1024


def forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


class Watched:
    """What the leader goes through."""

    def __init__(self, node: NodeProcess, file: Path) -> None:
        self.node = node
        self.pid = node.process.pid
        self._file = file
        self.broken: list[str] = []
        self.base_mb = 0.0
        self.term = node.ask("GET", "/raft")["term"]

    def reset(self) -> None:
        self.node.signal(signal.SIGUSR1)
        forget_peak(self.pid)

    def row(self, what: str, *, bound: bool = True) -> None:
        wall_ms, cpu_ms = map(float, self._file.read_text().split())
        now_mb, most_mb = memory_mb(self.pid)
        raft = self.node.ask("GET", "/raft")
        self.base_mb = self.base_mb or now_mb
        more_mb = most_mb - self.base_mb
        print(f"{what:42} {wall_ms:8.1f} {cpu_ms:8.1f} {more_mb:9.1f} {raft['term'] - self.term:9}", flush=True)
        if bound and cpu_ms > HELD_MS:
            self.broken.append(f"{what}: the loop was held for {cpu_ms:.1f} ms, over {HELD_MS} ms")
        if bound and more_mb > MORE_MB:
            self.broken.append(f"{what}: {more_mb:.1f} MB more, over {MORE_MB} MB")
        if raft["term"] != self.term or raft["state"] != "leader":
            self.broken.append(f"{what}: an election")
        self.reset()


def create(node: NodeProcess, names: list[str]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=60)
    for name in names:
        body = {"name": name, "image": "nginx", "memory": 10**15, "env": {"PASSWORD": "x" * 40}}
        connection.request("POST", "/tasks", json.dumps(body))
        response = connection.getresponse()
        response.read()
        assert response.status == 201, response.status
    connection.close()


def fill(node: NodeProcess, count: int) -> None:
    names = [f"task-{number}" for number in range(count)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda at: create(node, names[at::AT_ONCE]), range(AT_ONCE)))


async def quiet_index(node: NodeProcess) -> int:
    """Once nothing changes by itself."""
    before = -1
    while (index := (await asyncio.to_thread(node.ask, "GET", "/raft"))["appliedIndex"]) != before:
        before = index
        await asyncio.sleep(1)
    return int(index)


async def polls(watched: Watched, count: int) -> None:
    node, loop = watched.node, asyncio.get_running_loop()
    index = await quiet_index(node)
    pollers: list[Poller] = []
    for _ in range(count):
        _, poller = await loop.create_connection(Poller, "127.0.0.1", node.port)
        poller.ask(index)
        pollers.append(poller)
        if len(pollers) % CONNECTS_AT_ONCE == 0:
            await asyncio.sleep(0.02)
    await asyncio.sleep(SETTLE_S)
    assert not any(poller.answers for poller in pollers), "the state moves by itself"
    watched.row(f"{count:,} pollers come")
    began = time.perf_counter()
    await asyncio.to_thread(create, node, ["news"])
    async with asyncio.timeout(DEADLINE_S):
        await asyncio.gather(*(poller.whole.wait() for poller in pollers))
    took = time.perf_counter() - began
    watched.row("one POST, all are answered")
    got = sum(poller.bytes for poller in pollers)
    refused = sum(poller.refused for poller in pollers)
    print(f"    {got / 1e6:,.0f} MB in {took:.2f} s, {refused} refused", flush=True)
    index = await quiet_index(node)
    for poller in pollers:
        poller.answers, poller.again = 0, True
        poller.ask(index)
    await asyncio.sleep(SETTLE_S)
    watched.row("all ask again, at once")
    began = time.perf_counter()
    for number in range(POSTS):
        await asyncio.to_thread(create, node, [f"more-{number}"])
        await asyncio.sleep(0.2)
    target = await quiet_index(node)
    async with asyncio.timeout(DEADLINE_S):
        while any(poller.index < target for poller in pollers):
            await asyncio.sleep(0.05)
    took = time.perf_counter() - began
    watched.row(f"{POSTS} POSTs, all ask anew at once")
    got = sum(poller.bytes for poller in pollers) - got
    refused = sum(poller.refused for poller in pollers) - refused
    answers = sum(poller.answers for poller in pollers)
    print(f"    {answers:,} answers, {got / 1e6:,.0f} MB in {took:.2f} s, {refused} refused", flush=True)
    for poller in pollers:
        poller.again = False
        poller.transport.close()
    await asyncio.sleep(SETTLE_S)
    now_mb, _ = memory_mb(watched.pid)
    print(f"    afterwards {now_mb - watched.base_mb:.1f} MB more than before", flush=True)


def bench(pollers: int, tasks: int) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="orion-watch-") as root, cluster(NO_ENGINE) as made:
        file = Path(root) / "held"
        made.program = lambda name: [
            sys.executable,
            str(Path(__file__).with_name("loop_watch.py")),
            f"{file}-{name}",
        ]
        made.grow_to(3, engines=False)
        leader = made.wait(made.leader, "a leader")
        began = time.perf_counter()
        fill(leader, tasks)
        print(f"{tasks:,} tasks in {time.perf_counter() - began:.1f} s", flush=True)
        watched = Watched(leader, Path(f"{file}-{leader.name}"))
        leader.ask("GET", "/tasks")
        time.sleep(SETTLE_S)
        watched.reset()
        print(f"{'':42} {'held ms':>8} {'cpu ms':>8} {'MB more':>9} {'elections':>9}")
        time.sleep(SETTLE_S)
        watched.row("bare: idle", bound=False)
        asyncio.run(polls(watched, pollers))
        return watched.broken


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--pollers", type=int, default=1_000)
    options.add_argument("--tasks", type=int, default=5_000)
    given = options.parse_args()
    if broken := bench(given.pollers, given.tasks):
        sys.exit("BROKEN: " + "\nBROKEN: ".join(broken))
    print(f"holds: no election, no turn over {HELD_MS} ms, at most {MORE_MB} MB more")


if __name__ == "__main__":
    main()
